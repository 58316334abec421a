"""What is said of sequences, compiled and interpreted, against what replay says of their schedules."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hcp.graph.instances import chain, random_layered
from hcp.graph.ir import LARGEST_TOTAL, Graph, Node, Value
from hcp.planning import sequences
from hcp.planning.compiled_sequences import run_compiled
from hcp.planning.problem import Problem
from hcp.planning.sequences import evaluate
from hcp.planning.tracker import Tracker
from hcp.schedule.actions import Schedule, ScheduleError
from hcp.schedule.replay import replay
from tests.strategies import graphs, seeded_graphs


def judged(graph, nodes):
    """What replay says of a sequence's schedule; None where that is illegal."""
    schedule = Schedule.from_computes(graph, [graph.index.node_names[v] for v in nodes])
    try:
        usage = replay(graph, schedule)
    except ScheduleError:
        return None
    return usage.cost, usage.peak, usage.peak_step, usage.profile


def told(found):
    cost, peak, step, profile = found
    return None if step < 0 else (cost, peak, step, tuple(profile.tolist()))


@st.composite
def executions(draw):
    """A graph, and a sequence of its nodes: often legal, with recomputations, sometimes anything."""
    graph = draw(st.one_of(graphs(), seeded_graphs()))
    index = graph.index
    any_node = st.integers(0, index.n - 1)
    if draw(st.integers(0, 4)) == 4:
        return graph, draw(st.lists(any_node, max_size=2 * index.n))
    nodes = index.order.tolist()
    for place in draw(st.lists(st.integers(1, index.n), max_size=5)):
        nodes.insert(draw(st.integers(place, len(nodes))), nodes[place - 1])
    return graph, nodes


# The first call loads the machine code.
@settings(deadline=None)
@given(executions())
def test_a_sequence_is_what_its_schedule_is(drawn):
    graph, nodes = drawn
    expected = judged(graph, nodes)
    usage = evaluate(graph.index, nodes)
    assert (usage and told((usage.cost, usage.peak, usage.peak_step, usage.profile))) == expected
    if nodes:
        for walk in (run_compiled, sequences._interpreted):
            assert told(walk(graph.index, np.array(nodes, np.int64))) == expected


def test_a_long_sequence_is_what_its_schedule_is():
    graph = random_layered(500, seed=3)
    nodes = graph.index.order.repeat(3)
    for walk in (run_compiled, sequences._interpreted):
        assert told(walk(graph.index, nodes)) == judged(graph, nodes.tolist())


def test_costs_beyond_64_bits_add_up():
    graph = Graph((Node("a", outputs=(Value("x", 1),), cost=LARGEST_TOTAL),))
    assert evaluate(graph.index, [0] * 9).cost == 9 * LARGEST_TOTAL


@pytest.mark.parametrize("nodes", [[], [0], [0, 1, 2], [0, -1], [1, 0]])
def test_what_is_no_schedule_is_illegal(nodes):
    assert evaluate(chain(2).index, nodes) is None


def test_a_search_takes_a_sequence_as_it_takes_its_schedule():
    problem = Problem(chain(3), 2)
    tracker = Tracker(problem)
    assert not tracker.offer_sequence([0, 2, 1])
    assert tracker.smallest_peak is None
    assert tracker.offer_sequence([0, 1, 0, 1, 2])
    assert not tracker.offer_sequence([0, 1, 0, 1, 2])
    assert tracker.offer_sequence([0, 1, 2])
    assert tracker.schedule == Schedule.from_computes(problem.graph, problem.graph.order)
    tight = Tracker(Problem(chain(3), 1))
    assert not tight.offer_sequence([0, 1, 2])
    assert tight.smallest_peak == 2


def test_a_sequence_has_to_follow_the_fixed_order():
    graph = Graph((Node("a"), Node("b")))
    tracker = Tracker(Problem(graph, 1, ("b", "a")))
    assert not tracker.offer_sequence([0, 1])
    assert tracker.offer_sequence([1, 0])


def test_interpreted_where_nothing_is_compiled(monkeypatch):
    monkeypatch.setattr(type(sequences.SEQUENCES), "ready", lambda part: False)
    monkeypatch.setattr(sequences, "_compiled", None)
    assert evaluate(chain(3).index, [0, 1, 2]).cost == 3
