"""Gaps of the relaxations: linear against integer programs, cut against staged, each against the optimum it bounds."""

from collections.abc import Callable
from math import ceil

from hcp.graph.instances import instance, random_graph
from hcp.graph.ir import Graph
from hcp.planning.deadline import Deadline
from hcp.planning.problem import Problem
from hcp.schedule.actions import keep_everything
from hcp.schedule.replay import replay
from hcp.solvers.cut_relaxation.cuts import CutModel
from hcp.solvers.cut_relaxation.relaxation import Relaxer
from hcp.solvers.exhaustive import Exhaustive, least_peak
from hcp.solvers.fixed_order.stages import build_stage_grid, build_stage_model
from hcp.solvers.models.cpsat import solve_with_cpsat
from hcp.solvers.models.highs import LinearProgram
from hcp.solvers.models.integer import IntegerStatus, IntegerTask
from hcp.solvers.models.rows import Model
from theory_checks.claims import require

CLAIM = "cut LP <= cut integer <= order-free optimum; staged LP <= staged integer <= fixed-order optimum, some strictly"
SOURCE = "formulations.md, the cut relaxation; theory.md, integrality gaps"

# Linear programs are solved in floating point.
SLACK = 1e-6

# (instance, percent of the keep-everything peak) where the linear relaxation, cuts included, is below the integer
# program.
WITH_GAP = (("unet:2", 50), ("residual-net:3", 80), ("transformer:2", 60))


def integer_optimum(model: Model) -> int:
    """The optimum of a model's integer program, proved by CP-SAT."""
    result = solve_with_cpsat(IntegerTask(model, {}, 0, deadline=Deadline(30), workers=8, seed=0))
    assert result.status is IntegerStatus.OPTIMAL
    return result.bound


def check(full: bool = True, integer: Callable[[Model], int] = integer_optimum) -> int:
    """Small random graphs against the oracle; then named graphs on which the gap is strict."""
    below_optimum = 0
    seeds = range(150 if full else 20)
    for seed in seeds:
        graph = random_graph(4 + seed % 4, seed, edge_probability=0.5)
        least, most = least_peak(graph), replay(graph, keep_everything(graph)).peak
        budget = max(1, (least + most) // 2)
        free = Exhaustive()(Problem(graph, budget)).bounds[0].value
        linear, whole = _cut(graph, budget, integer)
        where = f"{graph.name}, budget {budget}"
        require(linear <= whole <= free, f"{where}: cut forms {linear}, {whole}; optimum {free}")
        below_optimum += whole < free
        fixed_order = Exhaustive()(Problem(graph, budget, graph.order)).bounds
        if fixed_order:
            fixed = fixed_order[0].value
            staged_linear, staged = _staged(graph, budget, integer)
            in_order = staged_linear <= staged + SLACK and staged <= fixed and free <= fixed
            require(in_order, f"{where}: staged {staged_linear}, {staged}; in order {fixed}, free {free}")
    require(below_optimum > 0, "the integer program of the cut relaxation was the optimum everywhere")
    for text, percent in WITH_GAP if full else WITH_GAP[:1]:
        graph = instance(text)
        budget = replay(graph, keep_everything(graph)).peak * percent // 100
        linear, whole = _cut(graph, budget, integer)
        require(linear < whole, f"{text} at {percent} %: no gap between {linear} and {whole}")
    return len(seeds) + len(WITH_GAP if full else WITH_GAP[:1])


def _cut(graph: Graph, budget: int, integer: Callable[[Model], int]) -> tuple[int, int]:
    """The certified linear bound with cuts, and the integer optimum of the same model."""
    found = Relaxer(graph, budget, Deadline(20)).best()
    assert found is not None
    form: CutModel = found.form
    return found.bound.value, max(integer(form.model), graph.base_cost)


def _staged(graph: Graph, budget: int, integer: Callable[[Model], int]) -> tuple[float, int]:
    """Linear and integer optimum of the fixed-order model that sees memory at the ends of stages only."""
    grid = build_stage_grid(graph.index, budget, tuple(graph.index.order.tolist()))
    model = build_stage_model(grid, budget).model
    return ceil(LinearProgram(model).solve(Deadline(20)).value - SLACK), integer(model)
