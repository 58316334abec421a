"""rotor's dynamic programme: optimal among persistent schedules, and beaten by schedules that are not persistent."""

from collections.abc import Callable
from functools import partial
from heapq import heappop, heappush
from itertools import count
from random import Random

from hcp.graph.ir import Graph, Node, Value
from hcp.heuristics.block_memory import block_needs
from hcp.heuristics.rotor import ChainTable, persistent_schedule
from hcp.heuristics.sequence import block_sequence
from hcp.planning.problem import Problem
from hcp.schedule.actions import keep_everything
from hcp.schedule.replay import replay
from hcp.solvers.exhaustive import Exhaustive
from theory_checks.claims import require

CLAIM = "rotor = optimum over persistent schedules >= optimum over all schedules, strictly on some chains"
SOURCE = "Beaumont et al. 2019, arXiv:1911.13214; theory.md, rotor"

# Forward step i makes state a_i and tape s_i; its backward reads the gradient, a_{i-1} and s_i.
Kept = frozenset[tuple[str, int]]


def taped_chain(steps: int, draw: Callable[[], int]) -> Graph:
    """A chain of steps with sizes, costs and workspaces drawn one by one."""
    forward = [
        Node(
            f"f{i}",
            inputs=(f"a{i - 1}",) if i else (),
            outputs=(Value(f"a{i}", draw()), Value(f"s{i}", draw())),
            cost=draw(),
            workspace=draw() - 1,
        )
        for i in range(steps)
    ]
    backward = [
        Node(
            f"b{i}",
            inputs=(*([f"g{i + 1}"] if i < steps - 1 else []), *([f"a{i - 1}"] if i else []), f"s{i}"),
            outputs=(Value(f"g{i}", draw()),),
            cost=draw(),
            workspace=draw() - 1,
        )
        for i in reversed(range(steps))
    ]
    return Graph((*forward, *backward), name=f"taped-chain-{steps}")


def persistent_optimum(graph: Graph, budget: int) -> int | None:
    """Least cost of a schedule that keeps what it keeps until the backward that it is for; None where none fits.

    Dijkstra's algorithm over the next backward, what is kept, and the state computed last. ``("a", i)`` stands for
    state a_i, kept for the backward of step i + 1, and ``("s", i)`` for all that step i makes, kept for its own.
    """
    steps = len(graph.nodes) // 2
    size = {name: value.bytes for name, value in graph.values.items()}
    tie = count()
    queue: list[tuple[int, int, tuple[int, Kept, int | None]]] = [(0, next(tie), (steps - 1, frozenset(), None))]
    expanded: set[tuple[int, Kept, int | None]] = set()

    def fits(name: str, kept: set[str], back: int) -> bool:
        node = graph.node[name]
        gradient = size[f"g{back + 1}"] if back < steps - 1 else 0
        made = sum(value.bytes for value in node.outputs) + node.workspace
        return sum(size[value] for value in kept) + gradient + made <= budget

    while queue:
        cost, _, state = heappop(queue)
        back, kept, current = state
        if back < 0:
            return cost
        if state in expanded:
            continue
        expanded.add(state)
        values = {f"a{i}" for _, i in kept} | {f"s{i}" for kind, i in kept if kind == "s"}
        ready = ("s", back) in kept and (back == 0 or f"a{back - 1}" in values)
        if ready and fits(f"b{back}", values - {f"a{back}"}, back):
            left = kept - {("s", back), ("a", back - 1)}
            heappush(queue, (cost + graph.node[f"b{back}"].cost, next(tie), (back - 1, left, None)))
        for step in range(back + 1):
            entry = f"a{step - 1}"
            at_hand = step == 0 or entry in values
            if ("s", step) in kept or not (at_hand or current == step - 1):
                continue
            for keep_entry in (False,) if at_hand else (False, True):
                if fits(f"f{step}", values if at_hand else values | {entry}, back):
                    after = kept | {("a", step - 1)} if keep_entry else kept
                    total = cost + graph.node[f"f{step}"].cost
                    heappush(queue, (total, next(tie), (back, after, step)))
                    if at_hand or keep_entry:
                        heappush(queue, (total, next(tie), (back, after | {("s", step)}, None)))
    return None


def rotor_cost(graph: Graph, budget: int) -> int | None:
    """Cost of the dynamic programme's schedule by replay; None where it finds none."""
    sequence = block_sequence(graph, graph.order, "rotor")
    schedule = persistent_schedule(sequence, ChainTable(block_needs(sequence), budget, levels=500), budget)
    if schedule is None:
        return None
    usage = replay(graph, schedule)
    require(usage.peak <= budget, f"{graph.name}, budget {budget}: the plan peaks at {usage.peak}")
    return usage.cost


def check(full: bool = True, cost: Callable[[Graph, int], int | None] = rotor_cost, beaten: bool = True) -> int:
    """Random taped chains of 2 to 5 steps, budgets from the largest node's needs to keep-everything's peak."""
    instances = 0
    better = 0
    for seed in range(300 if full else 60):
        rng = Random(seed)
        graph = taped_chain(2 + seed % 4, partial(rng.randint, 1, 6))
        low, high = int(graph.index.floor.max()), replay(graph, keep_everything(graph)).peak
        budget = low + (high - low) * (1 + seed // 4 % 3) // 4
        where = f"taped chain of seed {seed}, budget {budget}"
        found, persistent = cost(graph, budget), persistent_optimum(graph, budget)
        require(found == persistent, f"{where}: rotor {found}, persistent optimum {persistent}")
        if persistent is not None:
            free = Exhaustive()(Problem(graph, budget)).bounds[0].value
            require(free <= persistent, f"{where}: persistent optimum {persistent} under the optimum {free}")
            better += free < persistent
        instances += 1
    require((better > 0) == beaten, f"another schedule was cheaper on {better} of the chains")
    return instances
