"""Which branch to take: strong branching with pseudo-costs (Achterberg, Koch and Martin 2005)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import floor
from typing import Final, NamedTuple

import numpy as np

from hcp.graph.cancellation import ticking
from hcp.graph.index import IntArray
from hcp.planning.deadline import Stop
from hcp.solvers.cut_relaxation.grid import Grid
from hcp.solvers.models.highs import LpResult, LpStatus
from hcp.solvers.models.rows import FloatArray
from hcp.solvers.tree.box import Box, Branch
from hcp.solvers.tree.params import TreeParams
from hcp.solvers.tree.sums import RunSum

# Nearer to a whole number than this a value counts as whole.
WHOLE: Final = 1e-6
# Part of the gap that a side without a gain counts with.
_LEAST: Final = 1e-6

# Columns that say the same of different stages share their history: (what, node or value); sums have their own.
Kind = tuple[int, int]
_SUM: Final = -1


class _Candidate(NamedTuple):
    branch: Branch
    kind: Kind
    part: float
    score: float


@dataclass
class _History:
    """Gains so far on one side, for a change of one."""

    total: float = 0.0
    trials: int = 0

    def add(self, gain: float, distance: float) -> None:
        self.total += gain / distance
        self.trials += 1


@dataclass
class Chooser:
    """Chooses branches, and learns from those it tried.

    Attributes:
        grid: Of the columns.
        sums: Beside them.
        params: Of the choice.
        stop: Asked before every trial: whether to end the choice with what is known.
    """

    grid: Grid
    sums: list[RunSum]
    params: TreeParams
    stop: Stop
    _history: dict[tuple[Kind, bool], _History] = field(default_factory=dict)
    _what: IntArray = field(init=False)
    _item: IntArray = field(init=False)

    def __post_init__(self) -> None:
        self._what = np.zeros(self.grid.count, np.int64)
        self._item = np.zeros(self.grid.count, np.int64)
        for what, block in enumerate((self.grid.births, self.grid.runs, self.grid.saves)):
            item, stage = np.nonzero(block >= 0)
            self._what[block[item, stage]] = what
            self._item[block[item, stage]] = item
        self._columns = [each.columns(self.grid) for each in self.sums]

    def choose(self, box: Box, result: LpResult, cutoff: float, tried: Callable[[Box], LpResult]) -> Branch | None:
        """The branch whose two sides gain most; None where the solution is whole.

        Args:
            box: To be split.
            result: Its solution.
            cutoff: Gains beyond it are of no more use.
            tried: Solves a part for some iterations.
        """
        gap = max(min(cutoff - result.value, abs(result.value) + 1.0), 1e-9)
        candidates = sorted(self._candidates(result.point, gap), key=lambda each: -each.score)
        best: tuple[float, Branch] | None = None
        trials = fruitless = 0
        seen: set[Kind] = set()
        for candidate in candidates:
            if self.stop():
                break
            if candidate.kind in seen:
                continue
            seen.add(candidate.kind)
            if best is None or not self._reliable(candidate.kind):
                trials += 1
                gains = [self._gain(box, candidate, result.value, gap, tried, upper) for upper in (False, True)]
                score = _product(gains, gap)
                enough = min(gains) >= gap
            else:
                score, enough = candidate.score, False
            fruitless = 0 if best is None or score > best[0] else fruitless + 1
            if best is None or score > best[0]:
                best = score, candidate.branch
            if enough or fruitless >= self.params.fruitless or trials >= self.params.candidates:
                break
        return None if best is None else best[1]

    def _candidates(self, point: FloatArray, gap: float) -> list[_Candidate]:
        """Columns and sums that are not whole at a point."""
        columns = point[: self.grid.count]
        found = []
        for j in ticking(np.flatnonzero(np.minimum(columns, 1 - columns) > WHOLE).tolist()):
            kind = int(self._what[j]), int(self._item[j])
            found.append(self._candidate(Branch(j), kind, float(columns[j]), gap))
        for k, members in enumerate(ticking(self._columns)):
            amount = float(point[members].sum()) + self.sums[k].constant(self.grid)
            whole = floor(amount + WHOLE)
            if WHOLE < amount - whole < 1 - WHOLE:
                found.append(self._candidate(Branch(k, of_sum=True, at=whole), (_SUM, k), amount - whole, gap))
        return found

    def _candidate(self, branch: Branch, kind: Kind, part: float, gap: float) -> _Candidate:
        gains = []
        for upper, distance in ((False, part), (True, 1 - part)):
            known = self._history.get((kind, upper))
            rate = self._guess(kind) if known is None else known.total / known.trials
            gains.append(min(rate * distance, gap))
        return _Candidate(branch, kind, part, _product(gains, gap))

    def _guess(self, kind: Kind) -> float:
        """What a change of one may gain where nothing is known: what the nodes cost; sums come first."""
        what, item = kind
        index = self.grid.index
        if what == _SUM:
            return 2.0 * float(index.cost[list(self.sums[item].nodes)].max())
        node = index.producer[item] if what == 2 else item
        return 0.5 * float(index.cost[node])

    def _reliable(self, kind: Kind) -> bool:
        sides = [self._history.get((kind, upper)) for upper in (False, True)]
        return all(side is not None and side.trials >= self.params.reliable for side in sides)

    def _gain(  # noqa: PLR0917
        self, box: Box, candidate: _Candidate, value: float, gap: float, tried: Callable[[Box], LpResult], upper: bool
    ) -> float:
        """What one side of a branch gains, up to the gap."""
        result = tried(box.half(candidate.branch, upper=upper))
        gain = gap if result.status is LpStatus.INFEASIBLE else min(max(result.value - value, 0.0), gap)
        distance = 1 - candidate.part if upper else candidate.part
        self._history.setdefault((candidate.kind, upper), _History()).add(gain, distance)
        return gain


def _product(gains: list[float], gap: float) -> float:
    low, high = (max(gain, _LEAST * gap) for gain in gains)
    return low * high
