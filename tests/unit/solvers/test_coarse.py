"""The search on a coarse graph: what it returns is judged on the whole graph."""

from dataclasses import replace

import pytest

from hcp.graph.instances import training_chain
from hcp.graph.ir import Graph, Node, Value
from hcp.planning.problem import Control, Limits, Problem
from hcp.planning.solution import Status
from hcp.portfolio import Auto, AutoParams
from hcp.schedule.actions import keep_everything
from hcp.schedule.replay import replay
from hcp.solvers.coarse import Coarse, CoarseParams
from hcp.solvers.coarsening.merges import coarsened
from hcp.solvers.memetic import Evolution, Memetic
from hcp.solvers.search import SearchParams

WORK = Limits(60, workers=1, work_limit=1.0)


def gathered(length):
    """A training chain whose nodes read weights that are gathered for each of them, from pieces that stay."""
    pieces, nodes = [], []
    for node in training_chain(length, uniform=False).nodes:
        pieces.append(Value(f"{node.name}.piece", 1, "parameter"))
        nodes.append(Node(f"{node.name}.gather", "", (pieces[-1].name,), (Value(f"{node.name}.whole", 5),), 1))
        nodes.append(replace(node, inputs=(*node.inputs, f"{node.name}.whole"), cost=node.cost + 20))
    return Graph(tuple(nodes), tuple(pieces))


GRAPH = gathered(12)
PROBLEM = Problem(GRAPH, replay(GRAPH, keep_everything(GRAPH)).peak * 6 // 10)


def test_the_weights_are_gathered_where_they_are_read():
    members = coarsened(GRAPH, 10 * PROBLEM.budget, CoarseParams().merges).members
    for group in members.values():
        assert group[::2] == tuple(f"{name}.gather" for name in group[1::2])


def test_it_finds_what_the_whole_graph_allows():
    solution = Coarse()(PROBLEM, WORK)
    usage = replay(GRAPH, solution.schedule)
    assert usage.peak <= PROBLEM.budget
    assert usage.cost == replay(GRAPH, Memetic()(PROBLEM, WORK).schedule).cost


def test_work_limits_give_the_same_schedule_again():
    assert Coarse()(PROBLEM, WORK).schedule == Coarse()(PROBLEM, WORK).schedule


def test_an_incumbent_is_kept_where_nothing_better_is_found():
    best = Memetic()(PROBLEM, WORK).schedule
    solution = Coarse()(PROBLEM, Limits(60, work_limit=1e-3), Control(incumbent=best))
    assert replay(GRAPH, solution.schedule).cost == replay(GRAPH, best).cost


def test_who_is_stopped_returns_the_incumbent():
    kept = Memetic()(PROBLEM, WORK).schedule
    solution = Coarse()(PROBLEM, Limits(60), Control(stop=lambda: True, incumbent=kept))
    assert solution.schedule == kept
    assert solution.interrupted


def test_progress_is_of_the_whole_search():
    seen = []
    Coarse()(PROBLEM, WORK, Control(monitor=seen.append))
    assert {progress.planner for progress in seen} == {"coarse"}
    costs = [progress.incumbent for progress in seen if progress.incumbent is not None]
    assert costs == sorted(costs, reverse=True)


@pytest.mark.parametrize("order", [None, GRAPH.order])
def test_the_whole_graph_is_searched_where_merging_does_not_pay(monkeypatch, order):
    searched = []

    class Noting(Evolution):
        def __call__(self, problem, limits, control, /):
            searched.append(problem)
            return super().__call__(problem, limits, control)

    monkeypatch.setattr("hcp.solvers.coarse.Evolution", Noting)
    problem = replace(PROBLEM, order=order)
    schedule = Coarse(CoarseParams(most_left=0.1))(problem, WORK).schedule
    assert searched == [problem]
    assert replay(GRAPH, schedule).peak <= problem.budget
    assert order is None or schedule.follows(order)


def test_a_budget_that_no_schedule_meets_gives_none():
    solution = Coarse()(Problem(GRAPH, GRAPH.index.least_bytes - 1), Limits(60, work_limit=0.1))
    assert solution.schedule is None
    assert solution.status is Status.NO_SOLUTION


@pytest.mark.parametrize(("share", "least", "expected"), [(0.5, 1, 1), (0.0, 1, 0), (0.5, 1e6, 0)])
def test_the_portfolio_asks_it_where_the_limit_is_short_for_the_graph(monkeypatch, share, least, expected):
    asked = []

    class Noting(Coarse):
        def __call__(self, problem, limits, control, /):
            asked.append(self.params)
            return super().__call__(problem, limits, control)

    monkeypatch.setattr("hcp.portfolio.Coarse", Noting)
    params = AutoParams(coarse_share=share, coarse_from=least, search=SearchParams(root_share=0))
    Auto(params)(PROBLEM, Limits(60, workers=1, work_limit=0.5))
    assert asked == [params.coarse] * expected
