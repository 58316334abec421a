"""The inner loop of the annealing: draw a move, compare the energies, commit it or roll it back."""

import math
from typing import Final, NamedTuple

import numpy as np

from hcp.annealing.compiled import Random, compiled, compiled_inside, uniform
from hcp.annealing.moves import add, drop, push, recompute, shift
from hcp.annealing.network import Bool, Int32, Int64, Network
from hcp.annealing.timeline import AREA, BUDGET, COST, LIMIT, Timeline, commit, rollback
from hcp.planning.parameters import Share

# Moves between two changes of temperature and penalty.
_STEP: Final = 64

# Stays inside a 64-bit integer when a cost is added.
_NO_LIMIT: Final = 2.0**61

# Entries of Best.score.
BEST_COST: Final = 0
LEAST_AREA: Final = 1


class Best(NamedTuple):
    """The best states of a walk. Changed in place.

    Attributes:
        within: Slots of the cheapest timeline within the budget.
        least: Slots of the timeline with the least area over the budget, kept while none is within it.
        score: Cost of the one (-1: none yet), area of the other.
    """

    within: Int32
    least: Int32
    score: Int64


class Mix(NamedTuple):
    """How often each kind of move is drawn; the rest recompute a single input of an execution.

    Attributes:
        shift: Move one execution.
        push: Move a first execution, and what depends on it or what it depends on with it.
        recompute: Recompute an idle value just before its next use, with all that this needs.
        drop: Drop executions that are repeated.
        swap: Drop executions, then recompute one or two idle values.
        far: Share of the shifts that draw their target uniformly.
    """

    shift: Share
    push: Share
    recompute: Share
    drop: Share
    swap: Share
    far: Share


class Segment(NamedTuple):
    """A number of moves, while temperature and penalty go from their initial to their final values."""

    moves: int
    initial_temperature: float
    final_temperature: float
    initial_penalty: float
    final_penalty: float


def new_best(slots: int) -> Best:
    """No state yet."""
    return Best(np.full(slots, -1, np.int32), np.full(slots, -1, np.int32), np.array([-1, np.iinfo(np.int64).max]))


@compiled
def propose(net: Network, line: Timeline, random: Random, mix: Mix) -> bool:
    """Tries a random move; says whether it changed the timeline."""
    draw = uniform(random) - mix.shift
    if draw < 0:
        return shift(net, line, random, mix.far)
    draw -= mix.push
    if draw < 0:
        return push(net, line, random)
    draw -= mix.recompute
    if draw < 0:
        return recompute(net, line, random)
    draw -= mix.drop
    if draw < 0:
        return drop(net, line, random)
    draw -= mix.swap
    if draw < 0:
        return _swap(net, line, random)
    return add(net, line, random)


@compiled_inside
def _swap(net: Network, line: Timeline, random: Random) -> bool:
    """Drops executions, and makes up for the memory that this costs by recomputing one or two idle values."""
    if not drop(net, line, random):
        return False
    if line.total[AREA] > 0 and not recompute(net, line, random):
        return False
    if line.total[AREA] > 0 and uniform(random) < 0.5:
        return recompute(net, line, random)
    return True


@compiled
def walk(  # noqa: PLR0917
    net: Network, line: Timeline, best: Best, random: Random, mix: Mix, segment: Segment, halted: Bool
) -> int:
    """Makes the moves of a segment, or fewer where another thread sets the entry of ``halted``; says how many.

    The energy is cost / (cost of running every node once) + penalty * area over the budget / budget.
    """
    per_cost = 1.0 / max(1.0, float(net.cost.sum()))
    per_area = 1.0 / max(1.0, float(line.total[BUDGET]))
    temperature, penalty = segment.initial_temperature, segment.initial_penalty
    for move in range(segment.moves):
        if move % _STEP == 0:
            if halted[0]:
                return move
            part = move / segment.moves
            temperature = (
                segment.initial_temperature * (segment.final_temperature / segment.initial_temperature) ** part
            )
            penalty = segment.initial_penalty * (segment.final_penalty / segment.initial_penalty) ** part
        cost, area = line.total[COST], line.total[AREA]
        # Metropolis, with the draw made first: a move stops where its cost alone has it rejected.
        most_rise = -temperature * math.log(1.0 - uniform(random))
        line.total[LIMIT] = cost + int(min((most_rise + penalty * (area * per_area)) / per_cost, _NO_LIMIT))
        if not propose(net, line, random, mix):
            rollback(net, line)
            continue
        rise = (line.total[COST] - cost) * per_cost + penalty * ((line.total[AREA] - area) * per_area)
        if rise > most_rise:
            rollback(net, line)
            continue
        commit(line)
        if line.total[AREA] == 0:
            if line.total[COST] < best.score[BEST_COST] or best.score[BEST_COST] < 0:
                best.score[BEST_COST] = line.total[COST]
                best.within[:] = line.slot
        elif best.score[BEST_COST] < 0 and line.total[AREA] < best.score[LEAST_AREA]:
            best.score[LEAST_AREA] = line.total[AREA]
            best.least[:] = line.slot
    return int(segment.moves)
