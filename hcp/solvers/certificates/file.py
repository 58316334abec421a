"""Certificates as plan files hold them."""

from collections.abc import Mapping

from hcp.graph.errors import GraphError
from hcp.graph.fields import Record, as_list, shown
from hcp.graph.ir import Graph
from hcp.planning.solution import Certificate
from hcp.schedule.host import HostLink
from hcp.solvers.certificates.conflicts import CONFLICT_KIND, ConflictCertificate
from hcp.solvers.certificates.cuts import KIND, CutCertificate
from hcp.solvers.certificates.host import HOST_KIND, RELAXED, HostCertificate, relax
from hcp.solvers.certificates.stages import STAGE_KIND, StageCertificate
from hcp.solvers.cut_relaxation.path_cuts import PathCut

KINDS = (KIND, CONFLICT_KIND, STAGE_KIND, HOST_KIND)


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
    kind = record.text("kind")
    if kind not in KINDS:
        raise GraphError(f"{owner} has kind {kind!r}; expected one of {', '.join(map(repr, KINDS))}")
    if kind == HOST_KIND:
        return _host(record, owner, graph)
    denominator = record.get("denominator")
    if isinstance(denominator, bool) or not isinstance(denominator, int) or denominator <= 0:
        raise GraphError(f"{owner} has denominator {shown(denominator)}; expected a whole number above zero")
    multipliers = tuple(_pair(item, owner) for item in record.items("multipliers"))
    if kind == STAGE_KIND:
        return StageCertificate(record.amount("budget_bytes"), multipliers, denominator)
    if kind == CONFLICT_KIND:
        conflicts = tuple(_names(item, owner) for item in record.items("conflicts"))
        of_peak = record.flag("of_peak", False)
        return ConflictCertificate(record.amount("budget_bytes"), conflicts, multipliers, denominator, of_peak)
    return CutCertificate(
        tuple(record.texts("chain")),
        record.amount("budget_bytes"),
        multipliers,
        denominator,
        tuple(_cut(item, owner, graph.index.node_of, graph.index.value_of) for item in record.items("cuts")),
        record.flag("of_peak", False),
    )


def _host(record: Record, owner: str, graph: Graph) -> HostCertificate:
    host = HostLink.from_record(Record(record.get("host"), f"the host of {owner}"))
    match record.text("relaxed"):
        case "again" | "provide" as relaxed:
            other = relax(graph, host, relaxed).graph
            return HostCertificate(host, relaxed, read_certificate(record.get("proof"), f"the proof in {owner}", other))
        case unknown:
            raise GraphError(f"{owner} is about graph {unknown!r}; expected one of {', '.join(map(repr, RELAXED))}")


def _names(item: object, owner: str) -> tuple[str, ...]:
    names = tuple(as_list(item, owner, "conflicts"))
    if not all(isinstance(name, str) for name in names):
        raise GraphError(f"{owner} has conflict {shown(item)}; expected a list of nodes' names")
    return tuple(str(name) for name in names)


def _pair(item: object, owner: str) -> tuple[int, int]:
    match item:
        case [int(row), int(numerator)]:
            return row, numerator
    raise GraphError(f"{owner} has multiplier {shown(item)}; expected [row, numerator]")


def _cut(item: object, owner: str, nodes: Mapping[str, int], values: Mapping[str, int]) -> PathCut:
    match item:
        case [str(reader), int(stage), bool(first), steps] if reader in nodes:
            walk = tuple(_step(step, owner, values) for step in as_list(steps, owner, "steps"))
            return PathCut(nodes[reader], stage, first, walk)
    raise GraphError(f"{owner} has cut {shown(item)}; expected [reader, stage, first, steps]")


def _step(step: object, owner: str, values: Mapping[str, int]) -> tuple[int, int]:
    match step:
        case [str(value), int(stage)] if value in values:
            return values[value], stage
    raise GraphError(f"{owner} has step {shown(step)}; expected [value, stage]")
