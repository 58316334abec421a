"""The choice among a sequence's executions against all choices."""

from itertools import product

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import hcp
from hcp.planning.deadline import Deadline
from hcp.solvers.models.cpsat import solve_with_cpsat
from hcp.solvers.models.integer import IntegerStatus, IntegerTask
from hcp.solvers.recombination.selection import select
from tests.effort import examples
from tests.strategies import graphs


def schedule_of(graph, nodes):
    return hcp.Schedule.from_computes(graph, [graph.index.node_names[node] for node in nodes])


def legal(graph, nodes):
    try:
        return hcp.replay(graph, schedule_of(graph, nodes))
    except hcp.ScheduleError:
        return None


@st.composite
def long_sequences(draw, most=11):
    """A graph, its own order with executions strewn in, and which steps are its own order's."""
    graph = draw(graphs(max_nodes=6))
    order = graph.index.order.tolist()
    steps = [(node, True) for node in order]
    for _ in range(draw(st.integers(0, most - len(order)))):
        steps.insert(draw(st.integers(1, len(steps))), (draw(st.sampled_from(order)), False))
    sequence, made = zip(*steps, strict=True)
    return graph, np.array(sequence, np.int64), np.array(made, np.bool_)


@settings(max_examples=examples(150), deadline=None)
@given(long_sequences(), st.data())
def test_the_choice_is_the_best_of_all_choices(drawn, data):
    graph, sequence, made = drawn
    peak = hcp.replay(graph, schedule_of(graph, sequence[made])).peak
    budget = data.draw(st.integers(peak // 2, peak))
    free = np.array(data.draw(st.lists(st.booleans(), min_size=len(made), max_size=len(made))))
    best = None
    for choice in product((False, True), repeat=int(free.sum())):
        tried = made.copy()
        tried[free] = choice
        usage = legal(graph, sequence[tried])
        if usage is not None and usage.peak <= budget and (best is None or usage.cost < best):
            best = usage.cost

    selection = select(graph.index, budget, sequence, made, free)
    assume(selection.hint)
    result = solve_with_cpsat(IntegerTask(selection.model, selection.hint, 0, Deadline(60), 1, 0))

    if best is None:
        assert result.status is IntegerStatus.INFEASIBLE
        return
    assert result.status is IntegerStatus.OPTIMAL
    usage = legal(graph, selection.chosen(result.point))
    assert (usage.cost, usage.peak <= budget) == (best, True)
    assert result.bound <= best


@settings(max_examples=examples(100), deadline=None)
@given(long_sequences())
def test_the_hint_is_a_point_of_the_model_where_the_schedule_fits(drawn):
    graph, sequence, made = drawn
    usage = hcp.replay(graph, schedule_of(graph, sequence[made]))
    selection = select(graph.index, usage.peak, sequence, made, np.ones(len(made), np.bool_))
    point = np.array([selection.hint[column] for column in range(len(selection.hint))], np.int64)
    assert (selection.model.matrix @ point <= selection.model.rhs).all()
    assert selection.model.cost @ point + selection.model.constant == usage.cost
