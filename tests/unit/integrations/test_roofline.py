"""The roofline."""

from hcp.integrations.roofline import BYTES_PER_NANOSECOND, FLOPS_PER_NANOSECOND, LAUNCH_NANOSECONDS, nanoseconds


def test_the_larger_of_arithmetic_and_traffic_counts():
    launch = LAUNCH_NANOSECONDS["cpu"]
    assert nanoseconds(0, 0, "cpu") == launch
    assert nanoseconds(1e6 * FLOPS_PER_NANOSECOND["cpu"], 8, "cpu") == launch + 1e6
    assert nanoseconds(8, 1e6 * BYTES_PER_NANOSECOND["cpu"], "cpu") == launch + 1e6


def test_names_of_platforms():
    assert nanoseconds(1e9, 0, "gpu") == nanoseconds(1e9, 0, "cuda") < nanoseconds(1e9, 0, "cpu")
    assert nanoseconds(1e9, 0, "abacus") == nanoseconds(1e9, 0, "cpu")
