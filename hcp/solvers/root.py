"""The bounds that every order-free search begins with: conflicts, then the cut relaxation."""

from dataclasses import dataclass
from typing import Final

from hcp.planning.compilation import COMPILING, ORDER_SEARCH, PATH_CUTS
from hcp.planning.solution import Bound
from hcp.planning.tracker import Tracker
from hcp.solvers.conflicts.bound import conflict_bound
from hcp.solvers.cut_relaxation.relaxation import Relaxation, Relaxer, infeasibility_note

# Of the seconds given, for conflicts: they prove small and narrow graphs at once, and stop early elsewhere.
CONFLICT_SHARE: Final = 0.25


@dataclass(frozen=True)
class Root:
    """What the bounds leave: a relaxation to go on from, unless there was no time, or why no schedule can exist."""

    relaxation: Relaxation | None = None
    hopeless: Bound | None = None

    @property
    def note(self) -> str:
        """Why no schedule can exist, for people."""
        return "" if self.hopeless is None else infeasibility_note(self.hopeless)


def solve_root(tracker: Tracker, seconds: float) -> Root:
    """Bounds a problem within some seconds; the tracker gets the bounds on the cost."""
    graph, budget = tracker.problem.graph, tracker.problem.budget
    deadline = tracker.deadline.part(seconds)
    if not (ORDER_SEARCH.ready() and PATH_CUTS.ready()):
        # What is solved without them meanwhile is a bound already, and all there is if they do not come in time.
        plain = _relaxed(tracker, Relaxer(graph, budget, deadline).best())
        waited = [part.wait(deadline, lambda: tracker.report(COMPILING)) for part in (PATH_CUTS, ORDER_SEARCH)]
        if plain.hopeless is not None or tracker.done or not all(waited):
            return plain
    tracker.report("conflicts")
    conflicts = conflict_bound(graph, budget, deadline.part(deadline.left * CONFLICT_SHARE))
    if conflicts is not None and conflicts.of == "cost":
        tracker.add_bound(conflicts)
        if tracker.done:
            return Root()
    tracker.report("linear relaxation")
    return _relaxed(tracker, Relaxer(graph, budget, deadline).best(), conflicts)


def _relaxed(tracker: Tracker, relaxation: Relaxation | None, conflicts: Bound | None = None) -> Root:
    """What a relaxation and conflicts leave; the tracker gets a bound on the cost."""
    proofs = (conflicts, None if relaxation is None else relaxation.bound)
    hopeless = [bound for bound in proofs if bound is not None and bound.of == "peak"]
    if hopeless:
        return Root(hopeless=max(hopeless, key=lambda bound: bound.value))
    if relaxation is not None:
        tracker.add_bound(relaxation.bound)
    return Root(relaxation)
