"""Certificates of every kind, checked by the program that shares nothing with hcp: ``tools/check_plan.py``."""

import importlib.util
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType

from hcp.graph.errors import HcpError
from hcp.graph.format import graph_to_dict
from hcp.graph.instances import random_graph
from hcp.graph.ir import Graph, Node
from hcp.planners import solve
from hcp.planning.deadline import Deadline
from hcp.planning.floor import floor_bound
from hcp.planning.solution import Bound
from hcp.schedule.host import PER, HostLink
from hcp.schedule.scopes import ORDER_FREE, within_cost
from hcp.solvers.certificates.cost_limit import CostLimitCertificate
from hcp.solvers.certificates.file import READERS
from hcp.solvers.conflicts.bound import conflict_bound
from hcp.solvers.cut_relaxation.relaxation import Relaxer
from hcp.solvers.exhaustive import least_peak
from hcp.solvers.host_bounds import host_bounds
from hcp.solvers.tree.certify import certificate_of
from hcp.solvers.tree.search import Tree
from theory_checks.claims import require

CLAIM = (
    "two programs that share nothing find that every certificate, of every kind, proves the same, and what it claims"
)
SOURCE = "format.md; theory.md, two checkers"

TOOL = Path(__file__).parents[1] / "tools" / "check_plan.py"

Case = tuple[Graph, int, HostLink | None, Bound]


@cache
def standalone() -> ModuleType:
    """The standalone checker as a module."""
    spec = importlib.util.spec_from_file_location("standalone_checker", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Its dataclasses look their module up.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def proven(graph: Graph, budget: int, host: HostLink | None, written: object) -> int:
    """What the standalone checker says that a written certificate proves."""
    tool = standalone()
    link = None if host is None else tool.Host(**host.to_dict())
    other = tool.read_graph(json.loads(json.dumps(graph_to_dict(graph))))
    found: int = tool.prove(written, other, budget, link, tool.Work.of(tool.MOST_WORK)).value
    return found


def check(full: bool = True, evaluate: Callable[[Graph, int, HostLink | None, object], int] = proven) -> int:
    """Random graphs under budgets around their least peak, with a host and without."""
    instances, kinds = 0, set()
    for seed in range(100 if full else 12):
        for graph, budget, host, bound in _cases(seed):
            assert bound.certificate is not None
            written = json.loads(json.dumps(bound.certificate.to_dict(graph)))
            theirs, own = evaluate(graph, budget, host, written), bound.certificate.proven(graph, budget)
            where = f"{graph.name}, budget {budget}, {written['kind']}"
            require(theirs == own, f"{where}: one checker finds {own}, the other {theirs}")
            require(own >= bound.value, f"{where}: {bound.value} is claimed, and {own} is proved")
            kinds.add(written["kind"])
            instances += 1
    missing = {str(kind) for kind in READERS} - kinds
    require(not missing, f"there is no certificate of {', '.join(sorted(missing))}")
    return instances


def _cases(seed: int) -> Iterator[Case]:
    graph = random_graph(4 + seed % 5, seed, edge_probability=0.4)
    budget = max(1, least_peak(graph) + (seed % 4 - 1))
    for bound in _without_host(graph, budget):
        yield graph, budget, None, bound
        if bound.of == "cost" and bound.scope == ORDER_FREE and bound.certificate is not None:
            limited = CostLimitCertificate(budget, bound.value - 1, bound.certificate)
            yield graph, budget, None, Bound(budget + 1, "peak", within_cost(bound.value - 1), limited)
    engines = replace(graph, nodes=tuple(_on_engine(node, place) for place, node in enumerate(graph.nodes)))
    for solver in ("proof", "staged"):
        for bound in _of_plan(engines, budget, solver):
            yield engines, budget, None, bound
    for overlap in (False, True):
        link = HostLink(2 * PER, PER, seed % 3, overlap=overlap)
        for bound in (*host_bounds(graph, budget, link, Deadline(20)), floor_bound(graph)):
            yield graph, budget, link, bound


def _without_host(graph: Graph, budget: int) -> Iterator[Bound]:
    yield floor_bound(graph)
    relaxation = Relaxer(graph, budget, Deadline(20)).best()
    if relaxation is not None:
        yield relaxation.bound
        tree = Tree(graph, relaxation.form, None, Deadline(20))
        tree.grow()
        certificate = certificate_of(tree, budget)
        yield Bound(budget + 1 if tree.empty else tree.bound, certificate.of, ORDER_FREE, certificate)
    conflicts = conflict_bound(graph, budget, Deadline(20))
    if conflicts is not None:
        yield conflicts
    yield from _of_plan(graph, budget, "staged")


def _of_plan(graph: Graph, budget: int, solver: str) -> Iterator[Bound]:
    """The bounds of a plan, apart from the one that every plan has."""
    try:
        plan = solve(graph, budget, solver, time_limit=20)
    except HcpError:
        return
    yield from (bound for bound in plan.bounds[:-1] if bound.certificate is not None)


def _on_engine(node: Node, place: int) -> Node:
    """Every other node runs beside the computation."""
    return replace(node, workspace=0, engine="network" if place % 2 else "")
