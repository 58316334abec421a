"""The bounds that every order-free search begins with: conflicts, then the cut relaxation."""

from dataclasses import dataclass, field
from functools import partial

from hcp.planning.compilation import COMPILING, ORDER_SEARCH, PATH_CUTS
from hcp.planning.deadline import Deadline
from hcp.planning.parameters import Params, Share
from hcp.planning.solution import Bound
from hcp.planning.tracker import Tracker
from hcp.solvers.conflicts.bound import ConflictParams, Conflicts
from hcp.solvers.cut_relaxation.relaxation import Relaxation, RelaxationParams, Relaxer, infeasibility_note


@dataclass(frozen=True)
class RootParams(Params):
    """Parameters of the first bounds.

    Attributes:
        first_conflict_share: Share of their time for conflicts before the cut relaxation, since these close the gap of
            small and narrow graphs at once; 0 leaves that out.
        conflict_share: Share of the time that the cut relaxation leaves for conflicts; 0 leaves that out. They get all
            of it where they prove more than the cut relaxation.
        explained: Where the first conflicts account for so much of the best schedule's extra cost, they get that share
            at once; where they and the cut relaxation do, they are left at that.
        conflicts: Parameters of the conflict relaxation.
        relaxation: Parameters of the cut relaxation.
    """

    first_conflict_share: Share = 0.05
    conflict_share: Share = 0.25
    explained: Share = 0.5
    conflicts: ConflictParams = field(default_factory=ConflictParams)
    relaxation: RelaxationParams = field(default_factory=RelaxationParams)


@dataclass(frozen=True)
class Root:
    """What the bounds leave: a relaxation to go on from, unless there was no time, or why no schedule can exist."""

    relaxation: Relaxation | None = None
    infeasibility: Bound | None = None

    @property
    def note(self) -> str:
        """Why no schedule can exist, for people."""
        return "" if self.infeasibility is None else infeasibility_note(self.infeasibility)


def first_bound(tracker: Tracker, seconds: float, params: RootParams) -> None:
    """The first bounds on the cost, within some seconds: of the chains whose programs are solved the soonest."""
    graph, budget = tracker.problem.graph, tracker.problem.budget
    tracker.report("linear relaxation")
    Relaxer(graph, budget, tracker.deadline.share(seconds), params.relaxation, partial(_add, tracker)).first()


def solve_root(tracker: Tracker, seconds: float, params: RootParams) -> Root:
    """Bounds a problem within some seconds; the tracker gets the bounds on the cost."""
    graph, budget = tracker.problem.graph, tracker.problem.budget
    deadline = tracker.deadline.share(seconds)
    relaxer = Relaxer(graph, budget, deadline, params.relaxation, partial(_add, tracker))
    if not (ORDER_SEARCH.ready() and PATH_CUTS.ready()):
        # What is solved without them meanwhile is a bound already, and all there is if they do not come in time.
        plain = _relaxed(tracker, relaxer.best())
        waited = [part.wait(deadline, lambda: tracker.report(COMPILING)) for part in (PATH_CUTS, ORDER_SEARCH)]
        if plain.infeasibility is not None or tracker.done or not all(waited):
            return plain
    conflicts = Conflicts(graph, budget, params.conflicts)
    if params.first_conflict_share:
        tracker.report("conflicts")
        conflicts.search(deadline.part(deadline.left * params.first_conflict_share), inputs=False)
        _add(tracker, conflicts.bound)
        # A relaxation may have proved more before; what counts here is what conflicts do.
        if not tracker.done and _explained(tracker, params.explained, _value(conflicts.bound)):
            conflicts.search(deadline.part(deadline.left * params.conflict_share), exact=True)
            _add(tracker, conflicts.bound)
        if tracker.done:
            return Root()
    tracker.report("linear relaxation")
    root = _relaxed(tracker, relaxer.best(), conflicts.bound)
    if not params.conflict_share or root.infeasibility is not None or _explained(tracker, params.explained):
        return root
    return _deepened(tracker, conflicts, root, deadline, params.conflict_share)


def _explained(tracker: Tracker, share: float, bound: int | None = None) -> bool:
    """Whether a bound, the best one where none is given, accounts for some share of the best schedule's extra cost."""
    base = tracker.problem.graph.base_cost
    proved = tracker.bound if bound is None else bound
    return tracker.cost is not None and proved - base >= share * (tracker.cost - base)


def _value(bound: Bound | None) -> int:
    """What a bound says of the cost; 0 where it says nothing."""
    return bound.value if bound is not None and bound.of == "cost" else 0


def _add(tracker: Tracker, bound: Bound | None) -> None:
    """Tells the tracker of a bound on the cost that is better than those before."""
    if bound is not None and bound.of == "cost" and bound.value > tracker.bound:
        tracker.add_bound(bound)


def _deepened(tracker: Tracker, conflicts: Conflicts, root: Root, deadline: Deadline, share: float) -> Root:
    """Looks for conflicts whose re-executions need their inputs, as long as they are what proves most."""
    tracker.report("conflicts")
    conflicts.search(deadline.part(deadline.left * share))
    proved = tracker.problem.graph.base_cost if root.relaxation is None else root.relaxation.bound.value
    if conflicts.best is None or conflicts.best.value(tracker.problem.graph) >= proved:
        conflicts.search(deadline, exact=True)
    _add(tracker, conflicts.bound)
    return Root(infeasibility=conflicts.bound) if conflicts.hopeless else root


def _relaxed(tracker: Tracker, relaxation: Relaxation | None, conflicts: Bound | None = None) -> Root:
    """What a relaxation and conflicts leave; the tracker gets a bound on the cost."""
    proofs = (conflicts, None if relaxation is None else relaxation.bound)
    proved = [bound for bound in proofs if bound is not None and bound.of == "peak"]
    if proved:
        return Root(infeasibility=max(proved, key=lambda bound: bound.value))
    if relaxation is not None and relaxation.bound not in tracker.bounds:
        tracker.add_bound(relaxation.bound)
    return Root(relaxation)
