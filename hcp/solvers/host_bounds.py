"""Order-free bounds on the cost, or on the peak, of schedules that offload and fetch; see ``certificates/host.py``."""

from typing import Final

from hcp.graph.ir import Graph
from hcp.planning.deadline import Deadline
from hcp.planning.solution import Bound
from hcp.schedule.host import HostLink
from hcp.schedule.scopes import ORDER_FREE
from hcp.solvers.certificates.host import HostCertificate, Relaxed, RelaxedKind, relax
from hcp.solvers.conflicts.bound import conflict_bound
from hcp.solvers.cut_relaxation.relaxation import Relaxation, Relaxer
from hcp.solvers.prover import SOURCE as TREE_SOURCE
from hcp.solvers.tree.certify import certificate_of
from hcp.solvers.tree.search import Tree

# Of the seconds given, for conflicts.
CONFLICT_SHARE: Final = 0.3


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
    limit = deadline.part(deadline.left * conflict_share)
    conflicts = conflict_bound(relax(graph, host, "again").graph, budget, limit, inputs=False)
    found = () if conflicts is None else (_carried(graph, host, "again", conflicts),)
    if found and found[0].of == "peak":
        return found
    begun = deadline.passed
    relaxation = Relaxer(relax(graph, host, "provide").graph, budget, deadline).best()
    if relaxation is None:
        return found
    # No longer than the relaxation took: the rest of the time belongs to plans.
    limit = deadline.part(deadline.passed - begun)
    proofs = (relaxation.bound, *_by_tree(relax(graph, host, "provide"), budget, relaxation, limit, cutoff))
    carried = tuple(_carried(graph, host, "provide", proof) for proof in proofs)
    return next(((bound,) for bound in carried if bound.of == "peak"), (*found, *carried))


def _by_tree(
    relaxed: Relaxed, budget: int, relaxation: Relaxation, deadline: Deadline, cutoff: int | None
) -> tuple[Bound, ...]:
    """What a tree adds to a relaxation, if it does."""
    most = None if cutoff is None else cutoff + relaxed.constant
    known = relaxation.bound
    if known.of == "peak" or (most is not None and known.value >= most):
        return ()
    tree = Tree(relaxed.graph, relaxation.form, most, deadline)
    tree.grow()
    if not tree.empty and tree.bound <= known.value:
        return ()
    certificate = certificate_of(tree, budget)
    return (Bound(budget + 1 if tree.empty else tree.bound, certificate.of, ORDER_FREE, certificate, TREE_SOURCE),)


def _carried(graph: Graph, host: HostLink, kind: RelaxedKind, bound: Bound) -> Bound:
    """A bound on a relaxed graph as one on the graph with the link."""
    assert bound.certificate is not None
    value = bound.value if bound.of == "peak" else relax(graph, host, kind).cost(bound.value)
    certificate = HostCertificate(host, kind, bound.certificate)
    return Bound(value, bound.of, bound.scope, certificate, f"{bound.source} with transfers")
