"""How often patterns come: chosen as well as by trying all."""

from itertools import combinations_with_replacement, pairwise

import pytest

from hcp.analysis.repetition import find_repetition
from hcp.graph.instances import instance
from hcp.planning.deadline import Deadline
from hcp.planning.problem import Limits, Problem
from hcp.schedule.replay import keep_everything_usage
from hcp.solvers.memetic import Memetic
from hcp.solvers.repetition.fold import fold
from hcp.solvers.repetition.multiplicity import Multiplicity
from hcp.solvers.repetition.tiling import Layout, Template, Tiling

GRAPH = instance("transformer:14")
REPETITION = find_repetition(GRAPH)
FOLD = fold(REPETITION, 4)
PEAK = keep_everything_usage(GRAPH).peak


def sums(total, parts):
    """All ways to write a number as a sum of so many, zero or more each."""
    for ends in combinations_with_replacement(range(total + 1), parts - 1):
        yield tuple(b - a for a, b in pairwise((0, *ends, total)))


@pytest.fixture(scope="module", params=[50, 70])
def tiling(request):
    budget = PEAK * request.param // 100
    found = Memetic(moves=5_000)(Problem(FOLD.small, FOLD.budget(budget)), Limits(60, workers=1)).schedule
    sequence = tuple(FOLD.small.index.node_of[name] for name in found.computes)
    return Tiling.of([Template(Layout(REPETITION), FOLD, sequence)], 100)


@pytest.mark.parametrize("percent", [45, 55, 65])
def test_the_choice_is_the_best_of_all(tiling, percent):
    budget = PEAK * percent // 100
    search = Multiplicity(tiling, budget, Deadline(60))
    found = [tile.usage.cost for tile in search.tiles() if tile.usage.peak <= budget]
    (row,) = tiling.patterns
    everything = (search.tile((counts,)) for counts in sums(REPETITION.stacks[0].equal, len(row)))
    # The slopes hold where each pattern comes once at least.
    best = min(
        (tile.usage.cost for tile in everything if tile.usage.peak <= budget and min(tile.counts[0])), default=None
    )
    if best is not None:
        assert found
        assert min(found) <= best


def test_the_even_tiling_comes_first_and_none_twice(tiling):
    tiles = list(Multiplicity(tiling, PEAK // 2, Deadline(60)).tiles())
    assert tiles[0].counts == Multiplicity(tiling, PEAK // 2, Deadline(60)).even()
    assert all(sum(row) == REPETITION.stacks[0].equal for tile in tiles for row in tile.counts)


def test_a_search_without_time_gives_the_even_tiling_alone(tiling):
    assert len(list(Multiplicity(tiling, PEAK // 2, Deadline(0)).tiles())) == 1
