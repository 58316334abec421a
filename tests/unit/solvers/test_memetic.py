"""The memetic planner: determinism, orders, starts, and going on."""

import pytest

import hcp
from hcp.graph.instances import instance
from hcp.planning.problem import Control, Limits, Problem
from hcp.schedule.budget import parse_budget
from hcp.schedule.replay import replay
from hcp.solvers.memetic import Evolution, Memetic


def test_counted_moves_make_the_planner_deterministic_and_a_planner_remembers_nothing():
    graph = instance("transformer:2")
    planner = Memetic(moves=20_000)
    before = hcp.solve(graph, "70%", planner, time_limit=120)
    assert before.schedule
    # Of more nodes than the other graph has.
    hcp.solve(instance("transformer:3"), "60%", planner, time_limit=120)
    assert hcp.solve(graph, "70%", planner, time_limit=120).schedule == before.schedule


def test_moves_below_one_are_refused():
    with pytest.raises(hcp.HcpError, match="moves is 0; give a whole number above zero"):
        Memetic(moves=0)


def test_a_fixed_order_is_kept():
    graph = instance(
        "random-layered:40",
    )
    plan = hcp.solve(graph, "80%", Memetic(moves=10_000), time_limit=120, order=graph.order)
    seen = list(dict.fromkeys(plan.schedule.computes))
    assert seen == list(graph.order)


@pytest.mark.parametrize("ordered", [False, True])
def test_runs_start_from_a_lifted_schedule_that_follows_the_order(ordered):
    graph = instance("transformer:2")
    good = hcp.solve(graph, "70%", "cpsat", time_limit=60)
    assert tuple(dict.fromkeys(good.schedule.computes)) != graph.order
    problem = Problem(graph, parse_budget("70%", graph), order=graph.order if ordered else None)
    evolution = Evolution(moves=60)
    evolution.start_from(good.schedule)
    found = evolution(problem, Limits(time_limit=120, workers=1))
    # So few moves find nothing as good; where the order forbids the start, it must not be taken.
    assert (found.schedule is not None and replay(graph, found.schedule).cost == good.cost) is not ordered
    assert bool(evolution._state.lifted) is not ordered


def test_a_search_goes_on_where_its_last_turn_ended():
    graph = instance("transformer:2")
    problem, limits = Problem(graph, parse_budget("70%", graph)), Limits(time_limit=120, workers=1)
    evolution = Evolution(moves=40_000)
    heard = []

    def stop():
        # A run of the second round.
        return "annealing from the best, lowest penalty" in heard

    first = evolution(problem, limits, Control(stop, lambda progress: heard.append(progress.phase)))
    rounds = evolution._state.rounds
    assert (first.interrupted, rounds.number) == (True, 2)
    before = len(heard)
    second = evolution(problem, limits, Control(incumbent=first.schedule))
    assert len(heard) == before
    assert not second.interrupted
    assert evolution._state.rounds is rounds
    assert rounds.number > 2
    assert rounds.done >= 40_000
    assert hcp.replay(graph, second.schedule).cost <= hcp.replay(graph, first.schedule).cost
