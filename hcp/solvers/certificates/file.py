"""Certificates as plan files hold them. A new kind needs a line in ``READERS``."""

import json
from collections.abc import Callable, Mapping
from typing import Final

from hcp.graph.errors import GraphError
from hcp.graph.fields import Record
from hcp.graph.ir import Graph
from hcp.planning.floor import FloorCertificate
from hcp.planning.solution import Certificate, Quantity
from hcp.solvers.certificates.conflicts import CONFLICT_FORMAT, read_conflicts
from hcp.solvers.certificates.cost_limit import COST_LIMIT_FORMAT, CostLimitCertificate, read_limit
from hcp.solvers.certificates.cuts import CUT_FORMAT, read_cuts
from hcp.solvers.certificates.engines import (
    ENGINES_FORMAT,
    QUEUE_FORMAT,
    EnginesCertificate,
    read_queue,
    read_weights,
    weighted,
)
from hcp.solvers.certificates.host import HOST_FORMAT, OVERLAP_FORMAT, HostCertificate, read_link
from hcp.solvers.certificates.stages import STAGE_FORMAT, read_stages
from hcp.solvers.certificates.tree import TREE_FORMAT, read_tree
from hcp.solvers.certificates.unknown import UnknownCertificate
from hcp.solvers.formats import Format, NotChecked, entry_for

FLOOR_FORMAT: Final = Format("floor", 1)

# Those around another certificate, and those that speak of no graph that another one relaxes to.
_AROUND: Final = {each.name for each in (HOST_FORMAT, OVERLAP_FORMAT, ENGINES_FORMAT, COST_LIMIT_FORMAT)}
_OTHERS: Final = _AROUND | {FLOOR_FORMAT.name, QUEUE_FORMAT.name}

Reader = Callable[[Record, Graph], Certificate]


def read_certificate(data: object, owner: str, graph: Graph) -> Certificate:
    """A certificate as its ``to_dict`` wrote it; what it proves is checked when it is asked.

    Args:
        data: The JSON object.
        owner: How error messages call it.
        graph: The graph whose nodes and values it names.

    Raises:
        NotChecked: If this hcp does not know its kind, or that of a proof in it; that is asked before anything else.
        GraphError: On anything else; says what is wrong.
    """
    record = Record(data, owner)
    reader = _reader(record)
    inner = record
    while "proof" in inner and _name(inner) in _AROUND:
        inner = Record(inner.get("proof"), f"the proof in {inner.owner}")
        _reader(inner)
    return reader(record, graph)


def read_or_keep(data: object, owner: str, graph: Graph, of: Quantity) -> Certificate:
    """A certificate, or what stands for one that this hcp cannot check, on a bound of the cost or of the peak.

    Raises:
        GraphError: On what is damaged; says what is wrong.
    """
    try:
        return read_certificate(data, owner, graph)
    except NotChecked as error:
        return UnknownCertificate(of, str(error), json.dumps(data))


def _reader(record: Record) -> Reader:
    return entry_for(record.text("kind"), READERS, f"the kind of {record.owner}")


def _name(record: Record) -> str:
    return record.text("kind").partition("/")[0]


def _check_proof(record: Record) -> None:
    """Refuses a proof that is about no other graph; a limit would be about the cost of the other graph's schedules."""
    inner = _name(Record(record.get("proof"), f"the proof in {record.owner}"))
    if inner in _OTHERS:
        raise GraphError(f"{record.owner} has a proof of kind {inner!r}; expected one of rows, conflicts or a tree")


def _read_host(record: Record, graph: Graph) -> HostCertificate:
    """A certificate around another one, about the graph that it relaxes to."""
    _check_proof(record)
    host, relaxed, weights, other = read_link(record, graph)
    proof = read_certificate(record.get("proof"), f"the proof in {record.owner}", other)
    certificate = HostCertificate(host, relaxed, proof, weights)
    if not certificate.holds:
        raise GraphError(f"{record.owner} counts on inputs, which a fetch needs none of; expected conflicts without")
    return certificate


def _read_engines(record: Record, graph: Graph) -> EnginesCertificate:
    """A certificate around another one, about the graph without engines."""
    _check_proof(record)
    weights = read_weights(record, graph)
    proof = read_certificate(record.get("proof"), f"the proof in {record.owner}", weighted(graph, weights))
    return EnginesCertificate(weights, proof)


def _read_limit(record: Record, graph: Graph) -> CostLimitCertificate:
    """A certificate around one of the cost."""
    budget, limit, proof = read_limit(record)
    return CostLimitCertificate(budget, limit, read_certificate(proof, f"the proof in {record.owner}", graph))


READERS: Final[Mapping[Format, Reader]] = {
    CUT_FORMAT: read_cuts,
    CONFLICT_FORMAT: read_conflicts,
    STAGE_FORMAT: read_stages,
    HOST_FORMAT: _read_host,
    OVERLAP_FORMAT: _read_host,
    ENGINES_FORMAT: _read_engines,
    QUEUE_FORMAT: read_queue,
    TREE_FORMAT: read_tree,
    COST_LIMIT_FORMAT: _read_limit,
    FLOOR_FORMAT: lambda _, __: FloorCertificate(),
}
