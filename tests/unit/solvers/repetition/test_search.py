"""The search of few layers: legal plans at once, and what follows where nothing repeats."""

import pytest

from hcp.graph.instances import instance
from hcp.planning.problem import Control, Limits, Problem
from hcp.planning.solution import Solution, Status
from hcp.schedule.replay import keep_everything_usage, replay
from hcp.solvers.memetic import Evolution
from hcp.solvers.repetition.search import LayerParams, LayerSearch, Stage
from tests.effort import slow

GRAPH = instance("transformer:24")
BUDGET = keep_everything_usage(GRAPH).peak // 2


def reads(graph, maker, reader):
    """Whether one node reads what another makes."""
    return any(graph.producer.get(name) == maker for name in graph.node[reader].inputs)


class Whole(Evolution):
    """In place of the search of the whole graph: notes what it is asked, and returns its start."""

    def __init__(self):
        super().__init__()
        self.asked = []

    def __call__(self, problem, limits, control, /):
        self.asked.append((problem, limits, control))
        return Solution(control.incumbent, Status.FEASIBLE)


def test_few_layers_give_a_plan_of_all():
    whole = Whole()
    # Seconds are for busy machines; work ends the search.
    search = LayerSearch(whole, 3)
    found = search(Problem(GRAPH, BUDGET), Limits(100, workers=1, work_limit=3))
    usage = replay(GRAPH, found.schedule)
    assert usage.peak <= BUDGET
    # The optimum is +4.41 %.
    assert usage.cost < 1.06 * GRAPH.base_cost
    assert search.repeats
    ((problem, limits, control),) = whole.asked
    assert problem.graph is GRAPH
    assert limits.work_limit <= 3
    assert control.incumbent == found.schedule


@slow
def test_it_goes_on_where_a_call_ended():
    whole = Whole()
    search = LayerSearch(whole, 6, LayerParams(stages=(Stage(4, 0.2), Stage(4, 0.2))))
    costs = []
    while not whole.asked:
        found = search(Problem(GRAPH, BUDGET), Limits(60, workers=1, work_limit=0.7))
        costs += [] if found.schedule is None else [replay(GRAPH, found.schedule).cost]
        assert len(costs) < 20
    assert costs
    assert min(costs) < 1.08 * GRAPH.base_cost


@slow
def test_the_same_work_gives_the_same_plan():
    plans = [
        LayerSearch(Whole(), 1)(Problem(GRAPH, BUDGET), Limits(60, workers=1, seed=3, work_limit=1)).schedule
        for _ in range(2)
    ]
    assert plans[0] is not None
    assert plans[0] == plans[1]


def test_a_given_order_is_kept():
    problem = Problem(GRAPH, BUDGET, GRAPH.order)
    found = LayerSearch(Whole(), 1.5)(problem, Limits(60, workers=1, work_limit=1.5))
    assert found.schedule.follows(GRAPH.order)


@pytest.mark.parametrize("name", ["random-layered:12", "transformer:3", "pyramid:6"])
def test_where_little_repeats_the_whole_is_searched_at_once(name):
    graph, whole = instance(name), Whole()
    LayerSearch(whole, 10)(Problem(graph, keep_everything_usage(graph).peak - 1), Limits(10, workers=1))
    assert len(whole.asked) == 1


def test_another_order_than_the_graphs_is_searched_as_a_whole():
    graph = instance("transformer:24")
    order = list(graph.order)
    # The first two neighbours that do not read one another change places.
    place = next(i for i in range(1, len(order)) if not reads(graph, order[i - 1], order[i]))
    order[place - 1 : place + 1] = order[place], order[place - 1]
    other = tuple(order)
    whole = Whole()
    LayerSearch(whole, 10)(Problem(graph, BUDGET, other), Limits(10, workers=1))
    assert len(whole.asked) == 1


def test_it_stops_when_asked_to():
    asked = LayerSearch(Whole(), 10)(Problem(GRAPH, BUDGET), Limits(10, workers=1), Control(lambda: True))
    assert asked.interrupted
