"""A search of graphs of many equal layers: plans few of the layers, tiles the plan, and goes on from there.

The graph is folded to few layers, under a budget that leaves each as much as in the whole graph. Schedules of the small
graph are tiled to the whole one, with the multiplicities that fit the budget. How much memory does not grow with
the layers is not known at first: the first tiling shows it, and later folds have their budgets by it. Each stage starts
from what the one before gave, and its tilings may use the patterns of all; last is the memetic search on the whole
graph.
"""

from dataclasses import dataclass, field, replace
from typing import Final

from hcp.analysis.repetition import find_repetition
from hcp.planning.compilation import ANNEALING
from hcp.planning.parameters import Params, Positive, Share, Whole
from hcp.planning.problem import DEFAULT_CONTROL, DEFAULT_LIMITS, Control, Limits, Problem
from hcp.planning.solution import Solution
from hcp.planning.tracker import Tracker
from hcp.schedule.actions import Schedule
from hcp.solvers.memetic import Evolution, MemeticParams
from hcp.solvers.repetition.fold import Fold, fold
from hcp.solvers.repetition.multiplicity import Multiplicity, Tile
from hcp.solvers.repetition.tiling import Layout, Template, Tiling

NAME: Final = "layers"


@dataclass(frozen=True)
class Stage(Params):
    """A search of few layers.

    Attributes:
        layers: Equal layers of each stack.
        share: Of the whole limit.
        allowance: Factor on what a layer may keep. Patterns that keep a bit more or less than the budget leaves a layer
            mix to what it leaves exactly.
    """

    layers: Whole
    share: Share
    allowance: Positive = 1.0


@dataclass(frozen=True)
class LayerParams(Params):
    """Parameters of the search of few layers.

    Attributes:
        stages: One after the other; the first is short, since it shows which budget few layers need.
        patterns: Patterns of each stack among which a tiling chooses, about.
        largest: Graphs with few layers are of use where they have at most this part of the whole graph's nodes.
        memetic: Parameters of the memetic searches.
    """

    stages: tuple[Stage, ...] = (
        Stage(4, 0.03),
        Stage(4, 0.1),
        Stage(4, 0.04, 0.95),
        Stage(4, 0.04, 1.05),
        Stage(8, 0.12),
    )
    patterns: Whole = 24
    largest: Share = 0.5
    memetic: MemeticParams = field(default_factory=MemeticParams)


DEFAULT_LAYERS: Final = LayerParams()


@dataclass
class _Running:
    """A stage that has begun: its fold and budget, and its search, with the time that it may still take."""

    fold: Fold
    budget: int
    search: Evolution
    left: float
    start: Schedule | None = None


class LayerSearch:
    """A memetic search that first plans few of many equal layers, where the graph has such; goes on from call to call.

    All calls are for the same graph, budget and order; time limit, incumbent, workers and monitor may differ.

    Args:
        whole: The search of the whole graph, which follows.
        limit: Of all calls together, in units of their limits.
        params: Tuned choices.
    """

    def __init__(self, whole: Evolution, limit: float, params: LayerParams = DEFAULT_LAYERS) -> None:
        self.whole = whole
        self.params = params
        self._limit = limit
        self._waiting = list(params.stages)
        self._running: _Running | None = None
        self._fixed: float | None = None
        self._layout: Layout | None = None
        # By the equal layers that they leave: stages of as many share one, with what it has worked out.
        self._folds: dict[int, Fold | None] = {}
        self._templates: list[Template] = []

    @property
    def repeats(self) -> bool:
        """Whether a schedule was tiled, so that the graph as a whole needs no other start."""
        return bool(self._templates)

    def __call__(
        self, problem: Problem, limits: Limits = DEFAULT_LIMITS, control: Control = DEFAULT_CONTROL, /
    ) -> Solution:
        """Searches until the limit is reached, nothing is recomputed, or Ctrl-C."""
        tracker = Tracker(problem, limits, control, NAME)
        solution = tracker.run(self._few)
        if tracker.over:
            return solution
        rest = tracker.limits.part(tracker.deadline, tracker.deadline.left)
        return self.whole(problem, rest, replace(control, incumbent=tracker.schedule))

    def _few(self, tracker: Tracker) -> Solution:
        """Makes the stages that are left, as far as there is time."""
        if tracker.problem.order in {None, tracker.problem.graph.order} and tracker.wait_for(ANNEALING):
            while not tracker.over and self._stage(tracker):
                pass
        return tracker.solution()

    def _stage(self, tracker: Tracker) -> bool:
        """Goes on with a stage for as long as it may; says whether there was one."""
        if self._running is None:
            self._running = self._begun(tracker)
        stage = self._running
        if stage is None:
            return False
        deadline = tracker.deadline.part(stage.left)
        order = None if tracker.problem.order is None else stage.fold.small.order
        found = stage.search(
            Problem(stage.fold.small, stage.budget, order),
            tracker.limits.part(deadline, deadline.left),
            Control(lambda: tracker.deadline.stopped, lambda _: tracker.report("few layers"), stage.start),
        )
        stage.left -= deadline.passed
        if found.schedule is not None:
            stage.start = found.schedule
        if not tracker.over or stage.left <= 0.01 * self._limit:
            self._running = None
        # Of a stage that goes on in the next call as well: what there is has to do if none follows.
        self._tile(tracker, stage)
        return True

    def _begun(self, tracker: Tracker) -> _Running | None:
        """The next stage, if one is left that folds the graph."""
        if self._layout is None:
            self._layout = Layout(find_repetition(tracker.problem.graph))
        while self._waiting:
            stage = self._waiting.pop(0)
            if stage.layers not in self._folds:
                self._folds[stage.layers] = fold(self._layout.repetition, stage.layers)
            folded = self._folds[stage.layers]
            if folded is None or folded.small.index.n > self.params.largest * folded.full.index.n:
                continue
            budget = folded.budget(tracker.problem.budget, self._fixed, stage.allowance)
            search, start = Evolution(params=self.params.memetic), self._start(folded, budget, tracker)
            return _Running(folded, budget, search, stage.share * self._limit, start)
        return None

    def _start(self, folded: Fold, budget: int, tracker: Tracker) -> Schedule | None:
        """A start for a stage: the last one's schedule, tiled to the layers of this one."""
        if not self._templates:
            return None
        fewer, sequence = self._templates[-1].fold, self._templates[-1].sequence
        if fewer.small == folded.small:
            return Schedule.from_nodes(folded.small, sequence)
        between = fold(find_repetition(folded.small), len(fewer.stacks[0].patterns))
        if between is None or between.small != fewer.small:
            return None
        tiling = Tiling.of([Template(Layout(between.repetition), between, sequence)], self.params.patterns)
        fitting = [tile for tile in Multiplicity(tiling, budget, tracker.deadline).tiles() if tile.usage.peak <= budget]
        best = min(fitting, key=lambda tile: tile.usage.cost, default=None)
        return None if best is None else Schedule.from_nodes(folded.small, best.sequence.tolist())

    def _tile(self, tracker: Tracker, stage: _Running) -> None:
        """Offers the tilings of a stage's schedule; what it shows of memory sets the next stages' budgets."""
        if stage.start is None or self._layout is None:
            return
        tracker.report("tiling few layers")
        index = stage.fold.small.index
        sequence = tuple(index.node_of[name] for name in stage.start.computes)
        self._templates.append(Template(self._layout, stage.fold, sequence))
        tiling = Tiling.of(self._templates, self.params.patterns)
        tiles: list[Tile] = []
        for tile in Multiplicity(tiling, tracker.problem.budget, tracker.deadline).tiles():
            if not tiles:
                self._fixed = stage.fold.fixed(stage.budget, tile.usage.peak)
            tiles.append(tile)
            tracker.offer_sequence(tile.sequence.tolist())
        if tracker.schedule is None and tiles:
            nearest = min(tiles, key=lambda tile: tile.usage.peak)
            self.whole.start_from(Schedule.from_nodes(tracker.problem.graph, nearest.sequence.tolist()))
