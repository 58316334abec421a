"""Graphs as sequences of blocks, and schedules from the steps of chain algorithms."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hcp.graph.instances import instance
from hcp.heuristics.revolve import Revolve
from hcp.heuristics.rotor import Rotor
from hcp.heuristics.sequence import BlockStep, StepKind, run_steps
from hcp.planning.problem import NotApplicable, Problem
from hcp.schedule.replay import replay
from tests.chains import sequence_of, taped_chain
from tests.effort import examples


def test_blocks_of_a_residual_network():
    graph = instance("residual-net:3")
    sequence = sequence_of(graph)
    names = graph.index.value_names
    assert [sorted(names[x] for x in values) for values in sequence.exits] == [["v0"], ["v3"], ["v6"], []]
    assert [len(rise) for rise in sequence.rises] == [1, 3, 3, 3]


@pytest.mark.parametrize("planner", [Revolve(), Rotor()], ids=repr)
def test_other_graphs_are_refused_with_what_is_needed(planner):
    for name in ("unet:3", "random-layered:30", "pyramid:4"):
        graph = instance(name)
        with pytest.raises(NotApplicable, match="needs a sequence of blocks"):
            planner(Problem(graph, 10**9))


def steps_of(sequence, draw, first=0, end=None):
    """Any way through blocks first..end-1: hold a middle exit or save on, do the right part, then the left one."""
    end = len(sequence) if end is None else end
    if end - first == 1:
        yield BlockStep(StepKind.SAVE, first)
        yield BlockStep(StepKind.BACK, first)
        return
    if draw(st.booleans()):
        # Everything of the first block is kept for its fall.
        yield BlockStep(StepKind.SAVE_ON, first)
        yield BlockStep(StepKind.HOLD_SAVED, first)
        yield from steps_of(sequence, draw, first + 1, end)
        yield BlockStep(StepKind.BACK, first)
        yield BlockStep(StepKind.RELEASE, first)
        return
    middle = draw(st.integers(first + 1, end - 1))
    yield from (BlockStep(StepKind.ADVANCE, block) for block in range(first, middle))
    yield BlockStep(StepKind.HOLD_EXIT, middle - 1)
    yield from steps_of(sequence, draw, middle, end)
    yield BlockStep(StepKind.RELEASE, middle - 1)
    yield from steps_of(sequence, draw, first, middle)


@settings(max_examples=examples(150), deadline=None)
@given(st.integers(2, 7), st.randoms(use_true_random=False), st.data())
def test_any_steps_give_a_legal_schedule_that_follows_the_order(n, random, data):
    graph = taped_chain(n, lambda: random.randint(1, 6))
    sequence = sequence_of(graph)
    schedule = run_steps(sequence, steps_of(sequence, data.draw))
    usage = replay(graph, schedule)
    assert schedule.follows(graph.order)
    # Nothing of the fall runs twice.
    assert not set(usage.recomputed) & {f"b{i}" for i in range(n)}


def test_what_is_saved_and_held_never_runs_again():
    graph = taped_chain(6)
    sequence = sequence_of(graph)
    rise = [
        step
        for block in range(6)
        for step in (BlockStep(StepKind.SAVE_ON, block), BlockStep(StepKind.HOLD_SAVED, block))
    ]
    fall = [
        step
        for block in reversed(range(6))
        for step in (BlockStep(StepKind.BACK, block), BlockStep(StepKind.RELEASE, block))
    ]
    assert replay(graph, run_steps(sequence, [*rise, *fall])).cost == graph.base_cost


def test_what_nobody_holds_is_run_again_on_demand():
    graph = taped_chain(5)
    fall = [BlockStep(StepKind.BACK, block) for block in reversed(range(5))]
    lazy = replay(
        graph, run_steps(sequence_of(graph), [*(BlockStep(StepKind.ADVANCE, block) for block in range(5)), *fall])
    )
    # Each fall but that of the last block needs the rise from the start on; the last one's own tape is gone as well.
    assert lazy.recomputed["f0"] == 5
    assert lazy.recomputed["f4"] == 1
