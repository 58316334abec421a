"""Order-free bounds on the cost, or on the peak, of schedules that offload and fetch; see ``certificates/host.py``."""

from typing import Final

from hcp.graph.ir import Graph
from hcp.planning.deadline import Deadline
from hcp.planning.solution import Bound
from hcp.schedule.host import HostLink
from hcp.solvers.certificates.host import HostCertificate, RelaxedKind, relax
from hcp.solvers.conflicts.bound import conflict_bound
from hcp.solvers.cut_relaxation.relaxation import Relaxer

# Of the seconds given, for conflicts.
CONFLICT_SHARE: Final = 0.3


def host_bounds(
    graph: Graph, budget: int, host: HostLink, deadline: Deadline, conflict_share: float = CONFLICT_SHARE
) -> tuple[Bound, ...]:
    """The bounds found before a deadline; one on the peak comes alone, as no schedule meets the budget then."""
    limit = deadline.part(deadline.left * conflict_share)
    conflicts = conflict_bound(relax(graph, host, "again").graph, budget, limit, inputs=False)
    found = () if conflicts is None else (_carried(graph, host, "again", conflicts),)
    if found and found[0].of == "peak":
        return found
    relaxation = Relaxer(relax(graph, host, "provide").graph, budget, deadline).best()
    if relaxation is None:
        return found
    bound = _carried(graph, host, "provide", relaxation.bound)
    return (bound,) if bound.of == "peak" else (*found, bound)


def _carried(graph: Graph, host: HostLink, kind: RelaxedKind, bound: Bound) -> Bound:
    """A bound on a relaxed graph as one on the graph with the link."""
    assert bound.certificate is not None
    value = bound.value if bound.of == "peak" else relax(graph, host, kind).cost(bound.value)
    certificate = HostCertificate(host, kind, bound.certificate)
    return Bound(value, bound.of, bound.scope, certificate, f"{bound.source} with transfers")
