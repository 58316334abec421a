"""Budgets as people write them: bytes, sizes with a unit, or percentages of the keep-everything peak."""

import re
from fractions import Fraction
from numbers import Integral, Real
from typing import Final

from hcp.graph.errors import HcpError
from hcp.graph.ir import Graph
from hcp.schedule.replay import keep_everything_usage

UNITS: Final = {
    "": 1,
    "B": 1,
    "kB": 10**3,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
}

_SOME_BYTES: Final = 2**60

_NUMBER_AND_UNIT: Final = re.compile(r"\s*(-?\d+(?:\.\d+)?)\s*([A-Za-z%]*)\s*", re.ASCII)
_OF_EAGER: Final = re.compile(r"(.*%)\s*of\s+eager\s*", re.ASCII)


class BudgetError(HcpError):
    """A budget that cannot be understood, or that no graph could meet."""


def is_share(budget: int | str | None) -> bool:
    """Whether a budget is a percentage."""
    return isinstance(budget, str) and "%" in budget


def is_of_eager(budget: int | str | None) -> bool:
    """Whether a budget is a percentage of what the program takes that is not planned, such as ``"60% of eager"``."""
    return isinstance(budget, str) and _OF_EAGER.fullmatch(budget) is not None


def check_written(budget: int | str) -> None:
    """Refuses a budget that no graph gives a meaning to, before there is one.

    Raises:
        BudgetError: See ``parse_budget``.
    """
    parse_budget(budget, None, _SOME_BYTES)


def parse_budget(budget: int | str, graph: Graph | None, whole: int | None = None) -> int:
    """Bytes that a budget stands for, rounded down.

    Args:
        budget: Bytes as a whole number or digits, a size such as ``"8GiB"``, or a percentage such as ``"80%"`` of the
            keep-everything peak of the graph's own order.
        graph: What percentages refer to; None where they refer to ``whole``.
        whole: Bytes that percentages refer to, where that is not the graph's own keep-everything peak.

    Raises:
        BudgetError: On anything else, on zero or less, and on more than 100 %.
    """
    amount = _whole_number(budget)
    if amount is None:
        number, unit = _number_and_unit(budget, whole)
        if unit == "%":
            if whole is None:
                assert graph is not None
                whole = _peak(graph)
            amount = int(number * whole / 100)
        else:
            amount = int(number * UNITS[unit])
    if amount <= 0:
        raise BudgetError(f"budget {budget!r} comes to {amount} bytes; give more than zero")
    return amount


def _peak(graph: Graph) -> int:
    """Of keep-everything, where shares of it can be budgets."""
    peak = keep_everything_usage(graph).peak
    if peak == 0:
        raise BudgetError(
            f"graph {graph.name!r} never holds a byte, so that no share of its peak is a budget; "
            "give its values their sizes, or a budget in bytes"
        )
    return peak


def _whole_number(budget: object) -> int | None:
    """Bytes given as a number: Python's or NumPy's, also one such as 5e5; None where it is no whole number of bytes."""
    if isinstance(budget, bool) or not isinstance(budget, Real):
        return None
    if isinstance(budget, Integral):
        return int(budget)
    number = float(budget)
    return int(number) if number.is_integer() and number > 1 else None


def _number_and_unit(budget: object, whole: int | None) -> tuple[Fraction, str]:
    """What a text says: a number with one of ``UNITS``, or at most 100 with ``"%"``."""
    eager = _OF_EAGER.fullmatch(budget) if isinstance(budget, str) else None
    if eager is not None and whole is None:
        raise BudgetError(
            f"budget {budget!r} is of what the program takes that is not planned, which a graph does not say; give "
            f"{eager[1]!r}, of keeping everything"
        )
    match = _NUMBER_AND_UNIT.fullmatch(budget if eager is None else eager[1]) if isinstance(budget, str) else None
    if match is None:
        share = f"; a share is written {f'{budget:.0%}'!r}" if isinstance(budget, float) and 0 < budget <= 1 else ""
        raise BudgetError(f"budget {budget!r} is not understood; give bytes, a size such as '8GiB', or '80%'{share}")
    number, unit = Fraction(match[1]), match[2]
    if unit == "%" and number > 100:
        raise BudgetError(
            f"budget {budget!r} is more than 100% of the keep-everything peak; "
            "give at most 100%, or bytes if more memory is really meant"
        )
    if unit != "%" and unit not in UNITS:
        raise BudgetError(
            f"budget {budget!r} has unknown unit {unit!r}; use one of "
            f"{', '.join(name for name in UNITS if name)} or %, such as '8GiB'"
        )
    return number, unit
