"""Recombination: the cheapest schedule within the budget that a common supersequence of several contains.

What merging tours does for the travelling salesman (Cook and Seymour, "Tour merging via branch-decomposition", 2003):
good schedules share most of what they do, so what is left to choose among their executions is small, and its best
choice is often better than all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from operator import itemgetter
from random import Random
from typing import Final

import numpy as np

from hcp.graph.cancellation import Cancelled
from hcp.graph.index import BoolArray, GraphIndex, IntArray
from hcp.planning.deadline import Deadline
from hcp.planning.parameters import Amount, Growth, Params, Whole
from hcp.planning.tracker import Tracker
from hcp.solvers.models.cpsat import solve_with_cpsat
from hcp.solvers.models.integer import IntegerStatus, IntegerTask
from hcp.solvers.recombination.selection import select

Nodes = tuple[int, ...]


@dataclass(frozen=True)
class RecombinationParams(Params):
    """Parameters of recombination.

    Attributes:
        most_free: Most executions that one program chooses among; of longer sequences, a window of this many.
        most_kept: Most schedules in the population.
        longer: How much longer than the first schedule the supersequence may be at first, as a share of it.
        growth: Factor on that share after a program that was solved in time, and divisor after one that was not.
        longest: Most that this share grows to.
    """

    most_free: Whole = 2_500
    most_kept: Whole = 48
    longer: Amount = 0.5
    growth: Growth = 1.5
    longest: Amount = 3.0


DEFAULT_RECOMBINATION: Final = RecombinationParams()


@dataclass
class Population:
    """Schedules worth recombining, as nodes of the graph's index. Changed in place.

    Attributes:
        params: Tuned choices.
        longer: By how much recombined schedules may be longer than the first of them, as a part of it.
    """

    params: RecombinationParams = DEFAULT_RECOMBINATION
    longer: float = field(init=False)
    _members: dict[Nodes, tuple[int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.longer = self.params.longer

    def add(self, index: GraphIndex, excess: int, schedule: Nodes) -> None:
        """Takes a schedule; the worst goes where there are too many.

        Args:
            index: The graph.
            excess: A measure of how far the schedule breaks the budget; 0 where it does not.
            schedule: Its executions.
        """
        self._members[schedule] = (excess, int(index.cost[list(schedule)].sum()))
        self._shrink()

    def take(self, others: "Population") -> None:
        """Takes all that another population has."""
        self._members.update(others._members)
        self._shrink()

    def best(self) -> list[Nodes]:
        """The members, cheapest first; those that break the budget come last."""
        return [schedule for schedule, _ in sorted(self._members.items(), key=itemgetter(1))]

    def _shrink(self) -> None:
        for worst in self.best()[self.params.most_kept :]:
            del self._members[worst]

    def adapt(self, *, solved: bool) -> None:
        """More schedules the next time where the choice among these was solved, fewer where it was not."""
        growth = self.params.growth
        self.longer = min(self.longer * growth, self.params.longest) if solved else self.longer / growth


def recombine(
    tracker: Tracker,
    schedules: Sequence[Nodes],
    longer: float,
    deadline: Deadline,
    random: Random,
    *,
    most_free: int = RecombinationParams.most_free,
) -> tuple[Nodes, bool] | None:
    """The cheapest schedule among the executions of several, and whether that is proved; None if none was found.

    First executions keep the order of the first schedule.

    Args:
        tracker: Gives the problem, and hears of the progress.
        schedules: Sequences of nodes, legal each; the first is to be improved on and may break the budget.
        longer: By how much the others may make the first one longer, as a part of it.
        deadline: For all of it; of very long schedules the model alone may take more.
        random: Where the sequence is too long to choose all of it at once, draws the window.
        most_free: Steps that are chosen at once.
    """
    problem = tracker.problem
    index = problem.graph.index
    sequence, made = supersequence(schedules, int((1 + longer) * len(schedules[0])))
    free = _window(made, random, most_free)
    if problem.order is not None:
        free &= ~_firsts(sequence, made)
    try:
        with deadline.enforced():
            selection = select(index, problem.budget, sequence, made, free)
    except Cancelled:
        return None
    if selection is None or not selection.hint or deadline.over:
        return None
    result = solve_with_cpsat(
        IntegerTask(
            model=selection.model,
            hint=selection.hint,
            bound=0,
            deadline=deadline,
            # Alone, its search by linear programmes is ten times as fast as in parallel with others on a few cores.
            workers=1,
            seed=tracker.limits.seed,
            poll=lambda: tracker.report("recombining schedules"),
        )
    )
    if result.point is None:
        return None
    return tuple(selection.chosen(result.point)), result.status is IntegerStatus.OPTIMAL


def supersequence(schedules: Sequence[Nodes], most: int) -> tuple[IntArray, BoolArray]:
    """One sequence that contains the first schedule and, where first executions come in the same order, the others.

    What a schedule runs again before it first runs a node comes before that node's first execution here. A schedule
    that would make the sequence longer than ``most`` is left out.

    Returns:
        The sequence, and which of its steps are the first schedule's.
    """
    order, blocks = _blocks(schedules[0])
    common = [[(node, True) for node in block] for block in blocks]
    length = len(schedules[0])
    for other in schedules[1:]:
        theirs = dict(zip(*_blocks(other), strict=False))
        # What comes after the last first execution of theirs has no place here.
        longer = {
            place: _merged(common[place], theirs[first]) for place, first in enumerate(order) if theirs.get(first)
        }
        added = sum(len(block) - len(common[place]) for place, block in longer.items())
        if length + added <= most:
            length += added
            for place, block in longer.items():
                common[place] = block
    steps = [
        step
        for block, first in zip(common, [*order, None], strict=True)
        for step in (block if first is None else [*block, (first, True)])
    ]
    nodes, mine = zip(*steps, strict=True)
    return np.array(nodes, np.int64), np.array(mine, np.bool_)


def _blocks(schedule: Nodes) -> tuple[list[int], list[Nodes]]:
    """The nodes in the order of their first executions, and what runs again before each of them and after the last."""
    seen: set[int] = set()
    order: list[int] = []
    blocks: list[Nodes] = []
    again: list[int] = []
    for node in schedule:
        if node in seen:
            again.append(node)
        else:
            seen.add(node)
            order.append(node)
            blocks.append(tuple(again))
            again = []
    return order, [*blocks, tuple(again)]


def _merged(ours: list[tuple[int, bool]], theirs: Sequence[int]) -> list[tuple[int, bool]]:
    """A common supersequence of two blocks."""
    merged: list[tuple[int, bool]] = []
    matcher = SequenceMatcher(None, [node for node, _ in ours], theirs, autojunk=False)
    for tag, begin, end, their_begin, their_end in matcher.get_opcodes():
        merged += ours[begin:end]
        if tag != "equal":
            merged += [(node, False) for node in theirs[their_begin:their_end]]
    return merged


def _window(made: BoolArray, random: Random, most: int) -> BoolArray:
    """All steps, or a window around one of those that the first schedule lacks."""
    free = np.ones(len(made), np.bool_)
    if len(made) > most:
        lacking = np.flatnonzero(~made)
        centre = int(random.choice(lacking)) if len(lacking) else random.randrange(len(made))
        begin = min(max(0, centre - most // 2), len(made) - most)
        free[:begin] = free[begin + most :] = False
    return free


def _firsts(sequence: IntArray, made: BoolArray) -> BoolArray:
    """The first executions among the steps that are made."""
    firsts = np.zeros(len(sequence), np.bool_)
    steps = np.flatnonzero(made)
    firsts[steps[np.unique(sequence[steps], return_index=True)[1]]] = True
    return firsts
