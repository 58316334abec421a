"""Figures of a machine: measured once, and refused where they are none."""

import json

import pytest

pytest.importorskip("torch")

import torch

from hcp.graph.errors import HcpError
from hcp.integrations import measurements
from hcp.integrations.torch import calibration
from hcp.integrations.torch.calibration import Constants, constants, host_link, measurements_of


def unexpected(*_):
    raise AssertionError("measured again")


def test_an_operation_takes_a_launch_and_the_slower_of_work_and_traffic():
    machine = Constants(flops=4.0, moved_bytes=2.0, launch=100.0)
    assert machine.nanoseconds(0, 0) == 100
    assert machine.nanoseconds(4000, 10) == 1100
    assert machine.nanoseconds(40, 1000) == 600


def forget():
    """As a later process starts."""
    measurements._KNOWN.clear()
    for kept in (calibration._constants, calibration._host_link):
        kept.cache_clear()


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(calibration, "_ELEMENTS", 2**12)
    monkeypatch.setattr(calibration, "_MATRIX", 16)
    forget()
    yield
    forget()


def test_a_machine_is_measured_once(tmp_path, quick, monkeypatch):
    first, link = constants("cpu", tmp_path), host_link("cpu", tmp_path)
    assert first.flops > 0
    assert link.offload_rate > 0
    # A later process takes them from the files.
    forget()
    monkeypatch.setattr(calibration, "_least", unexpected)
    assert (constants("cpu", tmp_path), host_link("cpu", tmp_path)) == (first, link)


def test_a_constant_of_zero_names_the_file(tmp_path, quick):
    path = measurements_of("cpu", "roofline", tmp_path).path
    figures = {"flops": 0, "moved_bytes": 1, "launch": 1}
    path.write_text(json.dumps({"schema": measurements.SCHEMA, "figures": figures}))
    forget()
    with pytest.raises(HcpError, match=f"{path.name}.*constant of zero; delete it"):
        constants("cpu", tmp_path)


def test_figures_belong_to_a_number_of_threads(tmp_path):
    before, threads = measurements_of("cpu", "times", tmp_path).path, torch.get_num_threads()
    try:
        torch.set_num_threads(threads + 1)
        assert measurements_of("cpu", "times", tmp_path).path != before
    finally:
        torch.set_num_threads(threads)
