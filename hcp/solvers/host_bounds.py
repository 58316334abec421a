"""Order-free bounds on the cost, or on the peak, of schedules that offload and fetch; see ``certificates/host.py``.

Where copies overlap the computation, each choice of weights gives a bound. The linear relaxation in which the time is
no less than each kind of work has the best of them as its optimum, so that this is what is looked for: the more copies
count, the less computing does.
"""

from dataclasses import dataclass
from typing import Final

from hcp.graph.ir import LARGEST_TOTAL, Graph
from hcp.planning.deadline import Deadline
from hcp.planning.solution import Bound
from hcp.schedule.host import HostLink
from hcp.schedule.scopes import ORDER_FREE
from hcp.solvers.certificates.host import EQUAL, HostCertificate, Relaxed, RelaxedKind, Weights, relax
from hcp.solvers.conflicts.bound import conflict_bound
from hcp.solvers.cut_relaxation.relaxation import Relaxation, Relaxer
from hcp.solvers.prover import SOURCE as TREE_SOURCE
from hcp.solvers.tree.certify import certificate_of
from hcp.solvers.tree.search import Tree

# Of the seconds given, for conflicts.
CONFLICT_SHARE: Final = 0.3

# All weights together, where copies overlap the computation, as a power of two: copies have a smaller one.
WEIGHT: Final = 12
# Of the seconds given, for the choice of weights, and of that for each.
WEIGHTS_SHARE: Final = 0.7
EACH_SHARE: Final = 0.3


def host_bounds(  # noqa: PLR0917 - one instance and its limits
    graph: Graph,
    budget: int,
    host: HostLink,
    deadline: Deadline,
    conflict_share: float = CONFLICT_SHARE,
    cutoff: int | None = None,
) -> tuple[Bound, ...]:
    """The bounds found before a deadline; one on the peak comes alone, as no schedule meets the budget then.

    Args:
        graph: The computation.
        budget: In bytes.
        host: The link.
        deadline: Of all.
        conflict_share: Of the time, for conflicts.
        cutoff: Cost of the best schedule known: more need not be proved.
    """
    search = _Search(graph, budget, host, cutoff)
    if host.overlap:
        return search.over_weights(deadline, conflict_share)
    conflicts = search.conflicts(EQUAL, deadline.part(deadline.left * conflict_share))
    if conflicts and conflicts[0].of == "peak":
        return conflicts
    begun = deadline.passed
    relaxation = search.relaxation(EQUAL, deadline)
    # No longer than the relaxation took: the rest of the time belongs to plans.
    return _together(conflicts, search.proofs(EQUAL, relaxation, deadline.part(deadline.passed - begun)))


@dataclass(frozen=True)
class _Search:
    """Bounds for one instance; see ``host_bounds``."""

    graph: Graph
    budget: int
    host: HostLink
    cutoff: int | None

    def over_weights(self, deadline: Deadline, conflict_share: float) -> tuple[Bound, ...]:
        """The bounds for the best weights found: what they prove is concave in them, so smaller steps lead there."""
        limit = deadline.part(deadline.left * WEIGHTS_SHARE)
        solved: dict[Weights, Relaxation | None] = {}
        choices = self._choices()
        best = step = len(choices) // 2
        while step and not limit.over:
            for place in (best, best - step, best + step):
                if 0 <= place < len(choices) and choices[place] not in solved and not limit.over:
                    weights, each = choices[place], limit.part(limit.left * EACH_SHARE)
                    solved[weights] = relaxation = self.relaxation(weights, each)
                    # Whether the memory suffices does not depend on weights.
                    if relaxation is not None and relaxation.bound.of == "peak":
                        return self.proofs(weights, relaxation, each)
            best = max(range(len(choices)), key=lambda place: self._proved(choices[place], solved.get(choices[place])))
            step //= 2
        weights = choices[best]
        conflicts = self.conflicts(weights, deadline.part(deadline.left * conflict_share))
        return _together(conflicts, self.proofs(weights, solved.get(weights), deadline))

    def conflicts(self, weights: Weights, limit: Deadline) -> tuple[Bound, ...]:
        """What conflicts prove, if anything."""
        relaxed = relax(self.graph, self.host, "again", weights)
        found = conflict_bound(relaxed.graph, self.budget, limit, inputs=False)
        return () if found is None else (self._carried("again", weights, found),)

    def relaxation(self, weights: Weights, limit: Deadline) -> Relaxation | None:
        """The relaxation of the graph in which values are provided."""
        return Relaxer(relax(self.graph, self.host, "provide", weights).graph, self.budget, limit).best()

    def proofs(self, weights: Weights, relaxation: Relaxation | None, limit: Deadline) -> tuple[Bound, ...]:
        """What a relaxation proves, and a tree over it where that is more."""
        if relaxation is None:
            return ()
        tree = _by_tree(relax(self.graph, self.host, "provide", weights), self.budget, relaxation, limit, self.cutoff)
        return tuple(self._carried("provide", weights, proof) for proof in (relaxation.bound, *tree))

    def _choices(self) -> list[Weights]:
        """Ever more for fetches, which are the copies that both relaxed graphs know, and the rest for the computation.

        Costs stay numbers that graphs may have.
        """
        most = LARGEST_TOTAL // 2 // max(1, self.graph.base_cost)
        total = 2 ** min(WEIGHT, max(1, most.bit_length() - 1))
        few = [2**power for power in range(total.bit_length() - 1)]
        return [Weights(total - fetch, 0, fetch) for fetch in (*few, *(total - each for each in reversed(few)))]

    def _proved(self, weights: Weights, relaxation: Relaxation | None) -> int:
        if relaxation is None:
            return 0
        return relax(self.graph, self.host, "provide", weights).cost(relaxation.bound.value)

    def _carried(self, kind: RelaxedKind, weights: Weights, bound: Bound) -> Bound:
        """A bound on a relaxed graph as one on the graph with the link."""
        assert bound.certificate is not None
        relaxed = relax(self.graph, self.host, kind, weights)
        value = bound.value if bound.of == "peak" else relaxed.cost(bound.value)
        certificate = HostCertificate(self.host, kind, bound.certificate, weights)
        return Bound(value, bound.of, bound.scope, certificate, f"{bound.source} with transfers")


def _together(conflicts: tuple[Bound, ...], others: tuple[Bound, ...]) -> tuple[Bound, ...]:
    """All bounds, or one that no schedule can meet."""
    found = (*conflicts, *others)
    return next(((bound,) for bound in found if bound.of == "peak"), found)


def _by_tree(
    relaxed: Relaxed, budget: int, relaxation: Relaxation, deadline: Deadline, cutoff: int | None
) -> tuple[Bound, ...]:
    """What a tree adds to a relaxation, if it does."""
    most = None if cutoff is None else cutoff * relaxed.divisor + relaxed.constant
    known = relaxation.bound
    if known.of == "peak" or (most is not None and known.value >= most):
        return ()
    tree = Tree(relaxed.graph, relaxation.form, most, deadline)
    tree.grow()
    if not tree.empty and tree.bound <= known.value:
        return ()
    certificate = certificate_of(tree, budget)
    return (Bound(budget + 1 if tree.empty else tree.bound, certificate.of, ORDER_FREE, certificate, TREE_SOURCE),)
