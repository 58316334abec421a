"""Budgets that say how cost falls with memory: a grid from the smallest that is known to work to keep-everything."""

import re
from collections.abc import Sequence
from typing import Final

from hcp.feasibility import smallest_known
from hcp.graph.errors import HcpError
from hcp.graph.ir import Graph
from hcp.schedule.budget import parse_budget
from hcp.sweeps.store import Store

_GRID: Final = re.compile(r"grid:(\d+)", re.ASCII)
_FEWEST: Final = 2
_MOST: Final = 1000


def budget_grid(graph: Graph, count: int) -> tuple[int, ...]:
    """Budgets in bytes, the largest first: keep-everything's peak, equal steps, the smallest peak that was found.

    The smallest comes from some seconds of annealing, so that it may differ between runs.

    Args:
        graph: The computation.
        count: How many, at least 2; fewer come back where they fall together.

    Raises:
        HcpError: If the count is out of range.
    """
    if not _FEWEST <= count <= _MOST:
        raise HcpError(f"a grid of {count} budgets is not possible; give {_FEWEST} to {_MOST}, such as grid:8")
    # Refuses graphs that hold nothing.
    high, low = parse_budget("100%", graph), smallest_known(graph)
    return tuple(dict.fromkeys(high - (high - low) * i // (count - 1) for i in range(count)))


def resolved(graph: Graph, budgets: Sequence[int | str], store: Store | None) -> list[tuple[int | str, int]]:
    """Budgets as given, and in bytes; ``"grid:8"`` stands for as many sizes, the same ones whenever a store is resumed.

    Raises:
        BudgetError: On a budget that cannot be understood.
        HcpError: On a grid that is out of range.
    """
    found: dict[int | str, int] = {}
    for budget in budgets:
        match = _GRID.fullmatch(budget.strip()) if isinstance(budget, str) else None
        if match is None:
            found[budget] = parse_budget(budget, graph)
        else:
            found |= {size: size for size in _grid(graph, int(match[1]), store)}
    return list(found.items())


def _grid(graph: Graph, count: int, store: Store | None) -> tuple[int, ...]:
    stored = None if store is None else store.grid(graph, count)
    if stored is not None:
        return stored
    budgets = budget_grid(graph, count)
    if store is not None:
        store.add_grid(graph, count, budgets)
    return budgets
