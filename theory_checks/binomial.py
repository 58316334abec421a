"""Reversing a uniform chain: Revolve's binomial formula is what dynamic programming and both exact solvers find."""

from collections.abc import Callable
from functools import cache
from math import comb, inf

from hcp.planners import solve
from hcp.planning.problem import Problem
from hcp.planning.solution import Status
from hcp.solvers.exhaustive import Exhaustive
from theory_checks.claims import require
from theory_checks.families import reversal

CLAIM = "reversing n uniform steps with s slots takes r n - C(s+r, s+1) advances, r least with C(s+r, s) >= n"
SOURCE = "Griewank & Walther 2000, Revolve (optimal schedules); theory.md, binomial optimum"

# Published counts, for chains that no search reaches.
KNOWN = {(10, 2): 20, (10, 3): 15, (50, 5): 122, (100, 5): 316, (100, 10): 222, (250, 25): 473}

# (steps, slots) for CP-SAT, beyond what exhaustive search reaches quickly.
PROVED_BY_CPSAT = ((10, 3), (12, 4), (10, 2))


def advances(steps: int, slots: int) -> int:
    """The formula."""
    r = 0
    while comb(slots + r, slots) < steps:
        r += 1
    return r * steps - comb(slots + r, slots + 1)


def check(full: bool = True, formula: Callable[[int, int], int] = advances) -> int:
    """Compares the formula with the recurrence, with exhaustive search, and with CP-SAT's proof."""
    instances = 0
    for steps in range(1, 101 if full else 31):
        for slots in range(1, 11):
            least = _by_recurrence(steps, slots)
            require(formula(steps, slots) == least, f"n={steps}, s={slots}: the recurrence gives {least}")
            instances += 1
    for (steps, slots), known in KNOWN.items():
        require(formula(steps, slots) == known, f"n={steps}, s={slots}: published as {known}")
        instances += 1
    for steps in range(2, 10 if full else 7):
        for slots in range(1, 4):
            least = _by_search(steps, slots)
            require(formula(steps, slots) == least, f"n={steps}, s={slots}: exhaustive search finds {least}")
            instances += 1
    for steps, slots in PROVED_BY_CPSAT if full else PROVED_BY_CPSAT[:1]:
        plan = solve(reversal(steps), budget(steps, slots), "cpsat", time_limit=60)
        proved = plan.status is Status.OPTIMAL and plan.cost == formula(steps, slots)
        require(proved, f"n={steps}, s={slots}: CP-SAT says {plan.status.value} at {plan.cost}")
        instances += 1
    return instances


def budget(steps: int, slots: int) -> int:
    """Bytes that stand for a number of slots: at an adjoint step, its workspace, the slots and the state it reads."""
    return steps + slots + 1


def _by_search(steps: int, slots: int) -> int:
    graph = reversal(steps)
    return Exhaustive(max_nodes=len(graph.nodes))(Problem(graph, budget(steps, slots))).bounds[0].value


@cache
def _by_recurrence(steps: int, slots: int) -> float:
    """Advance to the next state to store, reverse what lies behind it with a slot less, then what lies before it."""
    if steps == 1:
        return 0
    if slots == 0:
        return inf
    return min(k + _by_recurrence(steps - k, slots - 1) + _by_recurrence(k, slots) for k in range(1, steps))
