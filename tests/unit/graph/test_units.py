"""Amounts as people read them."""

import pytest

from hcp.graph.units import bytes_text, cost_text


@pytest.mark.parametrize(
    ("amount", "text"),
    [(None, "-"), (0, "0 B"), (1023, "1023 B"), (1024, "1.00 KiB"), (3 * 2**19, "1.50 MiB"), (2**60, "1024.00 PiB")],
)
def test_bytes(amount, text):
    assert bytes_text(amount) == text


@pytest.mark.parametrize(
    ("cost", "unit", "text"),
    [
        (None, "ns", "-"),
        (999, "ns", "999 ns"),
        (1500, "ns", "1.50 us"),
        (2 * 10**9, "ns", "2.00 s"),
        (10**13, "ns", "10000.00 s"),
        (2500, "flops", "2.50 Kflop"),
        (2500, "units", "2500 units"),
    ],
)
def test_costs(cost, unit, text):
    assert cost_text(cost, unit) == text
