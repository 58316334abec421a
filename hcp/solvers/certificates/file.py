"""Certificates as plan files hold them. A new kind needs a line in ``READERS``."""

from collections.abc import Callable, Mapping
from typing import Final

from hcp.graph.fields import Record
from hcp.graph.ir import Graph
from hcp.planning.solution import Certificate
from hcp.solvers.certificates.conflicts import CONFLICT_FORMAT, read_conflicts
from hcp.solvers.certificates.cuts import CUT_FORMAT, read_cuts
from hcp.solvers.certificates.host import HOST_FORMAT, HostCertificate, read_link
from hcp.solvers.certificates.stages import STAGE_FORMAT, read_stages
from hcp.solvers.certificates.tree import TREE_FORMAT, read_tree
from hcp.solvers.formats import Format, entry_for

Reader = Callable[[Record, Graph], Certificate]


def read_certificate(data: object, owner: str, graph: Graph) -> Certificate:
    """A certificate as its ``to_dict`` wrote it; what it proves is checked when it is asked.

    Args:
        data: The JSON object.
        owner: How error messages call it.
        graph: The graph whose nodes and values it names.

    Raises:
        GraphError: On anything else; says what is wrong.
    """
    record = Record(data, owner)
    return entry_for(record.text("kind"), READERS, f"the kind of {owner}")(record, graph)


def _read_host(record: Record, graph: Graph) -> HostCertificate:
    """A certificate around another one, about the graph that it relaxes to."""
    host, relaxed, other = read_link(record, graph)
    return HostCertificate(host, relaxed, read_certificate(record.get("proof"), f"the proof in {record.owner}", other))


READERS: Final[Mapping[Format, Reader]] = {
    CUT_FORMAT: read_cuts,
    CONFLICT_FORMAT: read_conflicts,
    STAGE_FORMAT: read_stages,
    HOST_FORMAT: _read_host,
    TREE_FORMAT: read_tree,
}
