"""First incumbents of the exact solvers."""

from dataclasses import replace

import pytest

from hcp.annealing.engine import DEFAULT_ENGINE
from hcp.graph.instances import instance
from hcp.planning.compilation import ANNEALING
from hcp.planning.problem import Control, Limits, Problem
from hcp.planning.tracker import Tracker
from hcp.schedule.actions import keep_everything
from hcp.schedule.replay import replay
from hcp.solvers.start import StartParams, first_incumbent


def started(params, order=False, percent=70, heard=None):
    graph = instance("unet:3")
    budget = replay(graph, keep_everything(graph)).peak * percent // 100
    problem = Problem(graph, budget, graph.order if order else None)
    control = Control(monitor=lambda progress: None if heard is None else heard.append(progress.phase))
    tracker = Tracker(problem, Limits(60), control, "test")
    first_incumbent(tracker, problem, params, DEFAULT_ENGINE)
    return tracker


@pytest.mark.parametrize("order", [False, True])
def test_the_incumbent_is_within_the_budget_and_follows_the_order(order):
    tracker = started(StartParams(moves=20_000), order)
    problem = tracker.problem
    assert replay(problem.graph, tracker.schedule).peak <= problem.budget
    assert not order or tracker.schedule.follows(problem.graph.order)


def test_more_moves_are_no_worse_and_counted_moves_repeat():
    few, many, again = (started(StartParams(moves=moves)) for moves in (100, 60_000, 60_000))
    cost = [replay(tracker.problem.graph, tracker.schedule).cost for tracker in (few, many)]
    assert cost[1] <= cost[0]
    assert many.schedule == again.schedule


def test_without_a_share_nothing_is_tried():
    heard = []
    assert started(replace(StartParams(), share=0), heard=heard).schedule is None
    assert not heard


def test_nothing_is_tried_while_the_search_is_compiled(monkeypatch):
    monkeypatch.setattr(type(ANNEALING), "ready", lambda _: False)
    assert started(StartParams()).schedule is None
