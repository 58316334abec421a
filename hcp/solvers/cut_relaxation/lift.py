"""Between integer points of a cut relaxation and schedules."""

import math

import numpy as np

from hcp.graph.index import GraphIndex
from hcp.graph.ir import Graph
from hcp.planning.sequences import evaluate
from hcp.schedule.actions import Schedule
from hcp.schedule.states import states
from hcp.solvers.cut_relaxation.cuts import CutModel
from hcp.solvers.models.rows import FloatArray


def lift(graph: Graph, form: CutModel, point: FloatArray) -> Schedule:
    """The legal schedule that an integer point stands for; it may break the budget inside stages.

    Each stage's nodes run in topological order and the stage's chain node last; values go at their last use. Of two
    such orders, the graph's own and one that runs a node just before its first reader, the one with the smaller peak.
    """
    index = graph.index
    stages = stage_sets(form, point)
    rank = index.position
    orders = (_in_graph_order(stages, form, rank), _just_in_time(index, stages, form, rank))
    sequences = [[v for stage in order for v in stage] for order in orders]
    usages = [evaluate(index, sequence) for sequence in sequences]
    peaks = [math.inf if usage is None else usage.peak for usage in usages]
    least = sequences[peaks.index(min(peaks))]
    return Schedule.from_nodes(graph, least)


def stage_sets(form: CutModel, point: FloatArray) -> list[set[int]]:
    """The nodes that run in each stage."""
    runs, _, _ = form.grid.at(np.round(point))
    return [set(np.flatnonzero(runs[:, k] > 0.5).tolist()) for k in range(runs.shape[1])]


def _in_graph_order(stages: list[set[int]], form: CutModel, rank: np.ndarray) -> list[list[int]]:
    ends = [*form.chain, -1]
    return [sorted(nodes, key=lambda v: (v == end, rank[v])) for nodes, end in zip(stages, ends, strict=True)]


def _just_in_time(index: GraphIndex, stages: list[set[int]], form: CutModel, rank: np.ndarray) -> list[list[int]]:
    """Per stage: a depth-first post-order from its chain node last, from nodes without readers in the stage first."""
    found = []
    for nodes, end in zip(stages, [*form.chain, -1], strict=True):
        read = {p for v in nodes for p in index.predecessors[v]}
        roots = sorted((v for v in nodes if v not in read), key=lambda v: (v == end, rank[v]))
        order: list[int] = []
        seen: set[int] = set()
        for root in roots:
            stack = [(root, False)]
            while stack:
                node, ready = stack.pop()
                if ready:
                    order.append(node)
                elif node not in seen:
                    seen.add(node)
                    stack.append((node, True))
                    below = [p for p in index.predecessors[node] if p in nodes and p not in seen]
                    stack.extend((p, False) for p in sorted(below, key=lambda p: -rank[p]))
        found.append(order)
    return found


def hint(graph: Graph, form: CutModel, schedule: Schedule) -> dict[int, bool]:
    """Values of the relaxation's columns that describe a schedule, as far as it shows them."""
    index = graph.index
    width = form.grid.births.shape[1]
    born = np.zeros((index.n, width), np.bool_)
    runs = np.zeros((index.n, width), np.bool_)
    live = np.zeros((index.m, width), np.bool_)
    stage, entering = 0, False
    for name, state in zip(schedule.computes, states(graph, schedule), strict=True):
        if entering:
            stage += 1
            live[[index.value_of[value] for value in state.live], stage] = True
        node = index.node_of[name]
        born[node, stage:] = True
        runs[node, stage] = True
        entering = stage < len(form.chain) and node == form.chain[stage]
    # The columns of a resident value's saves are those of its maker's births.
    saves, live = form.grid.saves[index.droppable], live[index.droppable]
    known: dict[int, bool] = {}
    for columns, entries in ((form.grid.births, born), (form.grid.runs, runs), (saves, live)):
        free = columns >= 0
        known.update(zip(columns[free].tolist(), entries[free].tolist(), strict=True))
    return known
