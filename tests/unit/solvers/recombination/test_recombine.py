"""Recombined schedules against their parents, and the population that they come from."""

from random import Random

import numpy as np
import pytest

import hcp
from hcp.annealing import Annealer, Cooling
from hcp.graph.instances import instance
from hcp.planning.deadline import Deadline
from hcp.planning.tracker import Tracker
from hcp.solvers.recombination.recombine import Population, RecombinationParams, _window, recombine, supersequence
from tests.unit.solvers.recombination.test_selection import legal

PARAMS = RecombinationParams()


def annealed(graph, budget, seeds=3, moves=30_000):
    annealer = Annealer(graph, budget)
    start = annealer.evicted(annealer.indices(graph.order))
    return [annealer.run(start, Cooling(), moves=moves, seed=seed).least for seed in range(seeds)]


@pytest.mark.parametrize("name", ["training-chain:30", "transformer:2", "unet:3", "residual-net:5"])
def test_recombining_is_never_worse_than_the_parents_it_contains(name):
    graph = instance(name)
    budget = hcp.replay(graph, hcp.keep_everything(graph)).peak * 9 // 10
    parents = annealed(graph, budget)
    usages = [legal(graph, parent) for parent in parents]
    parents = [parent for parent, usage in zip(parents, usages, strict=True) if usage.peak <= budget]
    assert parents
    tracker = Tracker(hcp.Problem(graph, budget))
    nodes, proved = recombine(tracker, parents, 3.0, Deadline(30), Random(0))
    usage = legal(graph, nodes)
    assert proved
    assert usage.peak <= budget
    assert usage.cost <= legal(graph, parents[0]).cost


def test_schedules_laid_together_contain_the_first_and_keep_within_the_length():
    first = (0, 1, 2, 0, 3, 1, 4)
    other = (0, 1, 2, 1, 0, 3, 2, 4, 0)
    sequence, made = supersequence([first, other], 100)
    assert tuple(sequence[made]) == first
    # The other's executions before node 3 are laid with the first's own, and what follows its last node has no place.
    assert sequence.tolist() == [0, 1, 2, 1, 0, 3, 1, 2, 4] or sequence.tolist() == [0, 1, 2, 1, 0, 3, 2, 1, 4]
    assert supersequence([first, other], 8)[0].tolist() == list(first)


def test_long_sequences_are_chosen_in_windows():
    nodes = tuple(range(PARAMS.most_free * 2))
    again = (*nodes[:-1], 0, nodes[-1])
    _, made = supersequence([nodes, again], PARAMS.most_free * 4)
    free = _window(made, Random(0), PARAMS.most_free)
    assert int(free.sum()) == PARAMS.most_free
    assert free[np.flatnonzero(~made)].all()


def test_a_population_keeps_the_cheapest_within_the_budget():
    index = instance("chain:60").index
    population, others = Population(), Population()
    for length in range(2, PARAMS.most_kept):
        population.add(index, 0, tuple(range(length)))
    others.add(index, 5, (0,))
    others.add(index, 0, (0, 1, 2, 2))
    population.take(others)
    kept = population.best()
    assert kept[0] == (0, 1)
    assert kept[-1] == (0,)
    population.add(index, 0, (0, 0, 0))
    assert (0,) not in population.best()
    assert len(population.best()) == PARAMS.most_kept
