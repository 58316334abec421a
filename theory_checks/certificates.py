"""Certificates, evaluated again in exact rational arithmetic by a second program that shares nothing with the first.

``hcp.solvers.certificates.cuts`` sums the columns of the weighted rows in integers over one denominator. Here the same
multipliers are fractions, the objective is a table, and the bound is found by minimising the Lagrangian
``c z + y (A z - b)`` column by column at both ends of 0 <= z <= 1.
"""

from collections.abc import Callable, Iterator
from fractions import Fraction
from math import ceil, gcd

from hcp.graph.instances import instance, random_graph
from hcp.graph.ir import Graph
from hcp.planning.deadline import Deadline
from hcp.planning.solution import Bound
from hcp.schedule.actions import keep_everything
from hcp.schedule.replay import replay
from hcp.solvers.certificates.cuts import CutCertificate
from hcp.solvers.cut_relaxation.model import build_cut_model
from hcp.solvers.cut_relaxation.relaxation import Relaxer
from hcp.solvers.exhaustive import least_peak
from theory_checks.claims import require

CLAIM = "every certificate proves exactly the bound that is reported with it"
SOURCE = "weak duality; formulations.md, certificates"

STRUCTURED = ("unet:3", "residual-net:4", "training-chain:20", "transformer:1")


def lagrangian(graph: Graph, certificate: CutCertificate, sign: int = 1) -> Fraction:
    """Least value of the Lagrangian over the box, for ``sign`` times the multipliers; the cost is 0 for peaks."""
    number = {name: i for i, name in enumerate(graph.index.node_names)}
    chain = tuple(number[name] for name in certificate.chain)
    model = build_cut_model(graph.index, certificate.budget, chain, certificate.cuts).model
    plain = model.shape[0] - len(certificate.cuts)
    numbers = [*(model.row_of[row] for row in certificate.rows), *range(plain, model.shape[0])]
    weight = {numbers[row]: sign * Fraction(top, certificate.denominator) for row, top in certificate.multipliers}
    with_cost = not certificate.of_peak
    slope = {j: Fraction(c) for j, c in enumerate(model.cost.tolist())} if with_cost else {}
    least = Fraction(model.constant if with_cost else 0)
    entries = model.matrix.tocoo()
    for row, column, entry in zip(entries.row.tolist(), entries.col.tolist(), entries.data.tolist(), strict=True):
        if row in weight:
            slope[column] = slope.get(column, Fraction(0)) + weight[row] * entry
    least -= sum(y * int(model.rhs[row]) for row, y in weight.items())
    return least + sum(min(Fraction(0), s) for s in slope.values())


def proven(graph: Graph, certificate: CutCertificate) -> int:
    """What the certificate proves: a cost, as a multiple of the costs' common divisor, or the first feasible peak."""
    value = lagrangian(graph, certificate)
    if certificate.of_peak:
        return certificate.budget + 1 if value > 0 else 0
    unit = gcd(*(node.cost for node in graph.nodes)) or 1
    return max(ceil(value / unit) * unit, sum(node.cost for node in graph.nodes))


def check(full: bool = True, evaluate: Callable[[Graph, CutCertificate], int] = proven) -> int:
    """Bounds on costs and on peaks, of random and of structured graphs."""
    instances = 0
    kinds = set()
    for graph, bound in _bounds(full):
        certificate = bound.certificate
        assert isinstance(certificate, CutCertificate)
        value = evaluate(graph, certificate)
        require(value == bound.value, f"{graph.name}: {bound.of} bound {bound.value}, but {value} is proved")
        require(all(top > 0 for _, top in certificate.multipliers), f"{graph.name}: a multiplier is not positive")
        kinds.add(bound.of)
        instances += 1
    require(kinds == {"cost", "peak"}, f"only bounds on {kinds} occurred")
    return instances


def _bounds(full: bool) -> Iterator[tuple[Graph, Bound]]:
    for seed in range(300 if full else 30):
        graph = random_graph(3 + seed % 6, seed, edge_probability=0.5)
        # Every third budget is one byte short, for bounds on the peak.
        yield from _bound(graph, max(1, least_peak(graph) - (seed % 3 == 0)))
    for text in STRUCTURED[: None if full else 2]:
        graph = instance(text)
        peak = replay(graph, keep_everything(graph)).peak
        for share in (75, 50, 5):
            yield from _bound(graph, peak * share // 100)


def _bound(graph: Graph, budget: int) -> Iterator[tuple[Graph, Bound]]:
    found = Relaxer(graph, budget, Deadline(20)).best()
    if found is not None:
        yield graph, found.bound
