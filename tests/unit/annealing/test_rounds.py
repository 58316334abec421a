"""Which runs are worth making."""

from hcp.annealing import Cooling
from hcp.annealing.rounds import Arm, Rounds, RoundsParams
from hcp.graph.instances import instance
from hcp.planning.problem import Problem
from hcp.planning.tracker import Tracker
from hcp.schedule.actions import Schedule, keep_everything
from hcp.schedule.replay import replay

GRAPH = instance("training-chain:10")
NODES = tuple(range(GRAPH.index.n))
PEAK = replay(GRAPH, keep_everything(GRAPH)).peak


def arms(*lengths):
    return [Arm(str(times), NODES * times, Cooling()) for times in lengths]


def names(kept):
    return [arm.name for arm in kept]


def test_long_starts_wait_until_the_order_has_been_tried():
    rounds = Rounds(Tracker(Problem(GRAPH, PEAK)), params=RoundsParams(longest_fresh=2))
    assert names(rounds.within_reach(arms(1, 2, 3))) == ["1", "2"]
    # With no schedule after the first round, the long ones may be all that fits.
    rounds.number = 1
    assert names(rounds.within_reach(arms(1, 2, 3))) == ["1", "2", "3"]


def test_starts_several_times_longer_than_the_best_schedule_are_dropped():
    tracker = Tracker(Problem(GRAPH, PEAK))
    rounds = Rounds(tracker, params=RoundsParams(longest_fresh=2))
    rounds.number = 1
    tracker.offer(Schedule.from_computes(GRAPH, GRAPH.order))
    assert names(rounds.within_reach(arms(1, 2, 3))) == ["1", "2"]


def test_where_every_start_is_long_all_are_kept():
    rounds = Rounds(Tracker(Problem(GRAPH, PEAK)), params=RoundsParams(longest_fresh=2))
    assert names(rounds.within_reach(arms(3, 4))) == ["3", "4"]
