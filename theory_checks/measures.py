"""What planners reach when nothing limits them, and how it grows."""

from collections.abc import Iterable
from math import log

from hcp.analysis.hcp_criteria import rise_profile
from hcp.graph.ir import Graph
from hcp.heuristics.interval_plan import build_replay_plan, plan_blocks
from hcp.heuristics.segments import Walk
from hcp.planning.planner import Planner
from hcp.planning.problem import Problem
from hcp.schedule.actions import keep_everything
from hcp.schedule.replay import Usage, replay

# More than any graph here could hold.
UNLIMITED = 2**60


def usage_of(planner: Planner, graph: Graph) -> Usage:
    """What a planner's schedule uses where the budget leaves it the choice."""
    schedule = planner(Problem(graph, UNLIMITED)).schedule
    assert schedule is not None
    return replay(graph, schedule)


def tree_usage(graph: Graph, blocks: int) -> Usage:
    """What the balanced interval tree over a number of blocks uses."""
    plan = plan_blocks(Walk(graph, graph.order), rise_profile(graph, graph.order), blocks)
    return replay(graph, build_replay_plan(plan))


def rise(graph: Graph) -> int:
    """Nodes of the graph's order up to the peak of keep-everything: its forward pass, as segment planners see it."""
    return replay(graph, keep_everything(graph)).peak_step + 1


def least_interval_tree_peak(graph: Graph) -> int:
    """The smallest peak of the interval tree over numbers of blocks a factor of about 1.25 apart."""
    most = rise(graph)
    counts = {most}
    blocks = 1.0
    while blocks < most:
        counts.add(int(blocks))
        blocks = max(blocks + 1, blocks * 1.25)
    return min(tree_usage(graph, count).peak for count in sorted(counts))


def exponent(points: Iterable[tuple[float, float]]) -> float:
    """The least-squares slope of log y over log x: the power with which y grows."""
    logs = [(log(x), log(y)) for x, y in points]
    middle_x = sum(x for x, _ in logs) / len(logs)
    middle_y = sum(y for _, y in logs) / len(logs)
    return sum((x - middle_x) * (y - middle_y) for x, y in logs) / sum((x - middle_x) ** 2 for x, _ in logs)


def slope(points: Iterable[tuple[float, float]]) -> float:
    """The least-squares slope of y over log x: what y gains where x grows by a factor of e."""
    logs = [(log(x), y) for x, y in points]
    middle = sum(x for x, _ in logs) / len(logs)
    # The mean of y drops out.
    return sum((x - middle) * y for x, y in logs) / sum((x - middle) ** 2 for x, _ in logs)


def bend(points: Iterable[tuple[float, float]]) -> float:
    """How much faster y gains in the upper half of x than in the lower one, over log x; infinite where it falls.

    It is 1 for ``a + b log x``, whatever a and b. For a power of x it is that power of the factor between the halves: a
    fitted exponent cannot tell the two apart, as that of a logarithm over a few hundred is about 0.15.
    """
    ordered = sorted(points)
    low, high = slope(ordered[: len(ordered) // 2]), slope(ordered[len(ordered) // 2 :])
    return high / low if low > 0 else float("inf")
