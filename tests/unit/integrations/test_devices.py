import pytest

pytest.importorskip("torch")

from hcp.graph.errors import HcpError
from hcp.integrations.devices import DEVICES, LAUNCH_NANOSECONDS, device_named


def test_names_are_found_in_any_case():
    assert device_named("H100-80GB") is DEVICES["h100-80gb"]


def test_an_unknown_device_names_the_known_ones():
    with pytest.raises(HcpError, match=r"device 'v100' is not known; give one of rtx4090, .*mi300x"):
        device_named("v100")


def test_the_table_is_in_order_of_memory_and_says_where_it_is_from():
    memory = [device.memory for device in DEVICES.values()]
    assert memory == sorted(memory)
    assert all("20" in device.source for device in DEVICES.values())


def test_costs_are_a_launch_and_the_larger_of_arithmetic_and_traffic():
    device = DEVICES["h100-80gb"]
    assert device.nanoseconds(0, 0, 2) == LAUNCH_NANOSECONDS
    assert device.nanoseconds(989_400 * 1000, 1, 2) == LAUNCH_NANOSECONDS + 1000
    assert device.nanoseconds(67_000 * 1000, 1, 4) == LAUNCH_NANOSECONDS + 1000
    assert device.nanoseconds(1, 3_350 * 1000, 4) == LAUNCH_NANOSECONDS + 1000
