"""Lower bounds that a graph's shape gives, each with its scope, and what is not one.

Bounds on the peak hold for every schedule, whatever its order and however often it recomputes; so does the bound on the
cost by running every node once. Stronger bounds on the cost come from linear programmes; they need a budget and a
solver, and arrive as an argument, because analysis knows no solver (``hcp.bounds`` has them).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from hcp.analysis.frontier_width import compute_frontier_width
from hcp.graph.cancellation import ticking
from hcp.graph.ir import Graph
from hcp.schedule.scopes import ORDER_FREE

NO_BOUND = "this order without recomputation: not a bound"


@dataclass(frozen=True)
class LowerBound:
    """A lower bound, or a figure that is often taken for one.

    Attributes:
        name: Short.
        of: What is bounded.
        value: In bytes or in the graph's cost unit; None where the argument gave nothing in time.
        scope: Which schedules it holds for; ``NO_BOUND`` where it is none.
        reason: The argument in a few words.
    """

    name: str
    of: Literal["peak", "cost"]
    value: int | None
    scope: str
    reason: str

    @property
    def holds(self) -> bool:
        """Whether it is a bound at all."""
        return self.value is not None and self.scope != NO_BOUND


def lower_bound_report(graph: Graph, solved: Iterable[LowerBound] = ()) -> tuple[LowerBound, ...]:
    """The bounds on the peak, then those on the cost.

    Args:
        graph: The computation.
        solved: Further bounds, such as those of linear programmes for a budget.
    """
    index = graph.index
    names = index.node_names
    node, largest = _largest_node(graph)
    worst = int(index.floor.argmax())
    crossed, held = run_once_crossing(graph)
    return (
        LowerBound("largest node", "peak", largest, ORDER_FREE, f"inputs, outputs and workspace of {names[node]!r}"),
        LowerBound(
            "working set",
            "peak",
            int(index.floor[worst]),
            ORDER_FREE,
            f"what {names[worst]!r} needs, the graph's inputs, and the resident values of its ancestors",
        ),
        LowerBound(
            "run-once values",
            "peak",
            held,
            ORDER_FREE,
            f"the working set of {names[crossed]!r}, and values of run-once nodes before it with readers after it",
        ),
        LowerBound(
            "end",
            "peak",
            int(index.last_floor[index.last]),
            ORDER_FREE,
            f"all resident values, and what the last node to run needs, at least that of {names[index.last]!r}",
        ),
        LowerBound(
            "frontier width",
            "peak",
            compute_frontier_width(graph),
            NO_BOUND,
            "the graph's own order; recomputation and other orders can go below it",
        ),
        LowerBound("every node once", "cost", graph.base_cost, ORDER_FREE, "every node runs at least once"),
        *solved,
    )


def _largest_node(graph: Graph) -> tuple[int, int]:
    index = graph.index
    held = [
        int(index.workspace[v])
        + sum(int(index.size[x]) for x in {*index.inputs[v].tolist(), *index.outputs[v].tolist()})
        for v in range(index.n)
    ]
    worst = max(range(index.n), key=held.__getitem__)
    return worst, held[worst]


def run_once_crossing(graph: Graph) -> tuple[int, int]:
    """The node at whose first execution most bytes are live in every schedule.

    A value that a run-once node made cannot come back. Where its producer is an ancestor of a node, and one of its
    readers a descendant, it is live at the node's first execution: the producer's only execution lies before that, the
    reader's first behind.
    """
    index = graph.index
    readers = index.readers.tolists()
    made_once = np.flatnonzero(index.droppable & ~index.recomputable[index.producer])
    once = [(int(x), int(index.producer[x])) for x in made_once]
    held = [int(floor) for floor in index.floor]
    for v in ticking(range(index.n)):
        own = {*index.inputs[v].tolist(), *index.outputs[v].tolist()}
        for x, maker in once:
            crosses = index.ancestors[v] >> maker & 1 and any(index.ancestors[w] >> v & 1 for w in readers[x])
            if crosses and x not in own:
                held[v] += int(index.size[x])
    worst = max(range(index.n), key=held.__getitem__)
    return worst, held[worst]
