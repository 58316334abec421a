"""Checkpointing by states and by what backwards read: against plain recursion, revolve and another package."""

from functools import cache

import pytest

import hcp
from benchmarks.multistage import Case, peers_of, steps_graph, steps_of
from hcp.graph.instances import training_chain, transformer
from hcp.heuristics.mixed import Mixed, Runs, mixed_schedule
from hcp.heuristics.sequence import block_sequence
from hcp.planning.problem import NotApplicable
from tests.effort import some


@cache
def fewest(steps, slots, stored):
    """The recursions as the paper has them, for steps that cost 1 each."""
    if steps == 1:
        return 1
    if not stored:
        return min(fewest(steps, slots - 1, True), 1 + fewest(steps - 1, slots - 1, False)) if slots else 10**6
    advanced = (k + fewest(steps - k, slots, False) + fewest(k, slots, True) for k in range(1, steps))
    return min(1 + fewest(steps - 1, slots, False), *advanced)


@pytest.mark.parametrize("steps", [2, 5, 11])
def test_the_tables_are_the_recursions(steps):
    runs = Runs([1] * steps, 4)
    for slots in range(5):
        for stored, table in ((True, runs.stored), (False, runs.at_hand)):
            expected = fewest(steps, slots, stored)
            assert (table[0, steps - 1, slots] == expected) == (expected < 10**6)


@pytest.mark.parametrize("steps", [4, 9, 30])
def test_a_schedule_costs_what_the_tables_say_or_less(steps):
    graph = steps_graph(steps)
    sequence = block_sequence(graph, graph.order, "mixed")
    runs = Runs([int(graph.index.cost[rise].sum()) for rise in sequence.rises], 4)
    for slots in range(5):
        usage = hcp.replay(graph, mixed_schedule(sequence, runs, slots))
        assert usage.cost <= steps + runs.stored[0, len(sequence) - 1, slots]
        assert usage.peak <= slots + 5


@pytest.mark.parametrize("chain", some([(10, 2), (20, 2), (20, 4), (50, 3), (100, 5)], 5))
def test_it_is_as_good_as_the_package(chain):
    case = Case(*chain, 0, 1, 1)
    graph = steps_graph(case.steps)
    theirs = hcp.Schedule.from_steps(graph, steps_of(peers_of(case)["MixedCheckpointSchedule"]()))
    usage = hcp.replay(graph, theirs)
    plan = hcp.solve(graph, usage.peak, "mixed", incumbent=None)
    # Our first state may take a slot of its own, or run once more.
    assert plan.cost <= usage.cost + 1
    assert plan.cost < hcp.solve(graph, usage.peak, "revolve").cost


def test_it_fits_other_chains_and_refuses_what_is_none():
    for graph in (training_chain(30), transformer(6)):
        plan = hcp.solve(graph, "60%", Mixed())
        assert plan.peak <= plan.problem.budget
    with pytest.raises(NotApplicable, match="solver 'mixed' needs a sequence of blocks"):
        hcp.solve(hcp.graph.instances.instance("pyramid:6"), "80%", "mixed")
