"""Stages are what makes the linear relaxation say something: the same model with and without them.

Both have a stage for every node of a given order, R[t, i] (node i runs in stage t) and S[t, i] (its output is held from
the stage before), and memory that counts all that a stage holds or makes. With stages, stage t ends with the first
execution of node t; without, any node may run in any stage.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_matrix

from hcp.graph.instances import instance
from hcp.graph.ir import Graph
from hcp.schedule.actions import keep_everything
from hcp.schedule.replay import replay
from theory_checks.claims import require

CLAIM = "unstaged LP = every node once <= staged LP <= its integer optimum, with equality on feasible training chains"
SOURCE = "Jain et al. 2020, arXiv:1910.02653 (the staged model); theory.md, stages"

CHAINS = ("training-chain:6", "training-chain:8", "training-chain:10", "training-chain:14")
OTHERS = ("unet:1", "residual-net:2", "residual-net:3")
SHARES = (60, 70, 85)

# Linear programs are solved in floating point.
SLACK = 1e-6

Row = Mapping[int, float]


def relaxation(graph: Graph, budget: int, staged: bool, integer: bool = False) -> float | None:
    """The optimum of the model, or of its linear relaxation; None where it is infeasible."""
    rows, limits = _rows(graph, budget)
    entries = [(r, column, value) for r, row in enumerate(rows) for column, value in row.items()]
    r, columns, values = zip(*entries, strict=True)
    n = len(graph.nodes)
    matrix = coo_matrix((values, (r, columns)), shape=(len(rows), 2 * n * n)).tocsr()
    low, high = _box(n, staged)
    cost = np.array([graph.node[name].cost for name in graph.order], dtype=float)
    found = milp(
        np.concatenate([np.tile(cost, n), np.zeros(n * n)]),
        constraints=LinearConstraint(matrix, -np.inf, limits),
        bounds=Bounds(low, high),
        integrality=np.full(2 * n * n, int(integer)),
        options={"time_limit": 120},
    )
    require(found.status in (0, 2), f"{graph.name}, budget {budget}: {found.message}")
    return None if found.status else float(found.fun)


def check(
    full: bool = True,
    unstaged: Callable[[Graph, int], float | None] = lambda graph, budget: relaxation(graph, budget, False),
    staged: Callable[[Graph, int], float | None] = lambda graph, budget: relaxation(graph, budget, True),
) -> int:
    """Training chains and other small graphs, at several shares of keep-everything's peak."""
    instances = above = 0
    for text in (*CHAINS, *OTHERS) if full else (*CHAINS[:2], OTHERS[0]):
        graph = instance(text)
        peak = replay(graph, keep_everything(graph)).peak
        for share in SHARES:
            budget = peak * share // 100
            where = f"{graph.name}, budget {budget}"
            flat, linear = unstaged(graph, budget), staged(graph, budget)
            require(flat is not None and abs(flat - graph.base_cost) < SLACK, f"{where}: unstaged {flat}")
            instances += 1
            if linear is None:
                continue
            whole = relaxation(graph, budget, True, integer=True)
            require(linear >= graph.base_cost - SLACK, f"{where}: staged {linear} under the base {graph.base_cost}")
            require(whole is None or linear <= whole + SLACK, f"{where}: staged {linear} over its optimum {whole}")
            if text in CHAINS:
                require(whole is None or abs(linear - whole) < SLACK, f"{where}: staged {linear}, optimum {whole}")
            above += linear > graph.base_cost + SLACK
    require(above > 0, "the staged relaxation was never above every node once")
    return instances


def _rows(graph: Graph, budget: int) -> tuple[list[Row], NDArray[np.float64]]:
    """Rows of ``A z <= b`` over R, then S, each stage by stage."""
    n = len(graph.order)
    place = {name: i for i, name in enumerate(graph.order)}
    reads: list[Sequence[int]] = [
        [place[graph.producer[x]] for x in graph.node[name].inputs if x in graph.producer] for name in graph.order
    ]
    made = [sum(value.bytes for value in graph.node[name].outputs) for name in graph.order]
    rows: list[Row] = []
    limits: list[float] = []
    for t in range(n):
        runs, held = t * n, n * n + t * n
        for i in range(n):
            rows += [{runs + i: 1, runs + j: -1, held + j: -1} for j in reads[i]]
            if t:
                rows.append({held + i: 1, held - n + i: -1, runs - n + i: -1})
        limits += [0.0] * (len(rows) - len(limits))
        rows.append({held + i: made[i] for i in range(n)} | {runs + i: made[i] for i in range(n)})
        limits.append(float(budget))
    rows += [{t * n + i: -1 for t in range(n)} for i in range(n)]
    limits += [-1.0] * n
    return rows, np.array(limits)


def _box(n: int, staged: bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    low, high = np.zeros((2, n, n)), np.ones((2, n, n))
    high[1, 0] = 0
    if staged:
        stage, node = np.indices((n, n))
        low[0][stage == node] = 1
        high[0][node > stage] = 0
        high[1][node >= stage] = 0
    return low.ravel(), high.ravel()
