"""Every theory check holds, and fails when its claim is broken: one sign, bound or formula at a time."""

from math import ceil, log2
from pathlib import Path

import pytest

import theory_checks
from hcp.heuristics.keep_all import KeepAll
from hcp.planning.solution import Solution, Status
from tests.effort import THOROUGH, some
from theory_checks import (
    binomial,
    certificates,
    checkers,
    compression,
    frontier_width,
    integrality,
    interval_tree,
    orders,
    pebbling,
    rotor,
    sandwich,
    sqrt_law,
    staging,
)
from theory_checks.__main__ import CHECKS, main
from theory_checks.claims import ClaimFailed
from theory_checks.measures import bend


# The dearest is that both checkers agree, of which tests/unit/tools has its own test.
@pytest.mark.parametrize("name", CHECKS if THOROUGH else [name for name in CHECKS if name != "checkers"])
def test_claims_hold(name):
    assert CHECKS[name].check(full=False) > 0


def out_of_budget(problem):
    """Keeps everything, whatever the budget."""
    return Solution(KeepAll()(type(problem)(problem.graph, 2**40)).schedule, Status.FEASIBLE)


BROKEN = {
    "binomial: one more": (binomial, {"formula": lambda n, s: binomial.advances(n, s) + (n > 2)}),
    "binomial: one slot more": (binomial, {"formula": lambda n, s: binomial.advances(n, s + 1)}),
    "sqrt law: peak": (sqrt_law, {"bound": lambda n, k: sqrt_law.peak_bound(n, k) - 1}),
    "sqrt law: power": (sqrt_law, {"power": 0.4}),
    "interval tree: peak": (interval_tree, {"peak": lambda n, w, k: interval_tree.peak_bound(n, w, k) - 2}),
    "interval tree: runs": (interval_tree, {"runs": lambda k: interval_tree.runs_bound(k) - 1}),
    "interval tree: extra": (interval_tree, {"extra": lambda n, k: interval_tree.extra_bound(n, k) / 2}),
    "compression: chain": (compression, {"chain_peak": lambda graph: len(graph.nodes) ** 0.2}),
    "compression: tree": (compression, {"powers": {**compression.POWERS, "tree": (0.0, 0.5)}}),
    "compression: pyramid": (compression, {"powers": {**compression.POWERS, "pyramid": (0.0, 0.3)}}),
    "compression: layered": (compression, {"powers": {**compression.POWERS, "random layered": (0.0, 0.5)}}),
    "pebbling: path": (pebbling, {"prices": {"path": lambda _: 3}}),
    "pebbling: tree": (pebbling, {"prices": {"tree": lambda height: height + 1}}),
    "pebbling: pyramid": (pebbling, {"prices": {"pyramid": lambda height: height + 3}}),
    "sandwich: bound": (sandwich, {"bound": lambda graph, budget: sandwich.certified_bound(graph, budget) + 1}),
    "sandwich: conflicts": (sandwich, {"conflicts": lambda graph, budget: 2**61}),
    "sandwich: host": (sandwich, {"moved": lambda graph, budget: sandwich.certified_bound(graph, budget) + 1}),
    "sandwich: planner over the budget": (sandwich, {"planners": {"keep_all": out_of_budget}}),
    "orders: optimum": (orders, {"optimum": lambda graph, budget: orders.order_free_optimum(graph, budget) - 1}),
    "orders: bound": (orders, {"bound": lambda graph, budget: orders.order_free_optimum(graph, budget) + 1}),
    "frontier width: width": (frontier_width, {"width": lambda n: n + 1}),
    "frontier width: peak": (frontier_width, {"peak": 5}),
    "certificates: sign": (
        certificates,
        {"evaluate": lambda graph, proof: int(certificates.lagrangian(graph, proof, sign=-1))},
    ),
    "checkers: one more": (checkers, {"evaluate": lambda *case: checkers.proven(*case) + 1}),
    "integrality: the linear relaxation's value": (integrality, {"integer": lambda model: model.constant}),
    "staging: without stages": (
        staging,
        {"unstaged": lambda graph, budget: staging.relaxation(graph, budget, staged=True)},
    ),
    "staging: with stages": (
        staging,
        {"staged": lambda graph, budget: staging.relaxation(graph, budget, staged=False)},
    ),
    "rotor: cost": (rotor, {"cost": lambda graph, budget: (rotor.rotor_cost(graph, budget) or 0) - 1}),
    "rotor: never beaten": (rotor, {"beaten": False}),
    "integrality: above the optimum": (integrality, {"integer": lambda model: integrality.integer_optimum(model) + 1}),
}


@pytest.mark.parametrize("broken", some(BROKEN, 12))
def test_a_broken_claim_is_found(broken):
    check, change = BROKEN[broken]
    with pytest.raises(ClaimFailed):
        check.check(full=False, **change)


@pytest.mark.parametrize(
    ("growth", "logarithmic"),
    [
        (lambda n: 2 + log2(n), True),
        (lambda n: 0.3 * log2(n), True),
        (lambda n: 100 + 7 * log2(n), True),
        (lambda n: ceil(log2(n)) + 2, True),
        (lambda n: n**0.2, False),
        (lambda n: 50 + 3 * n**0.2, False),
        # As large at the first size as the peaks that are measured.
        (lambda n: ceil(6 * (n / 15) ** 0.2), False),
        (lambda n: n**0.5, False),
        (lambda n: log2(log2(n)), False),
        (lambda n: 7, False),
    ],
)
def test_powers_are_told_from_logarithms(growth, logarithmic):
    for lengths in (compression.CHAINS, compression.CHAINS[:6]):
        found = bend((length, growth(length)) for length in lengths)
        assert (1 / compression.MOST_BEND <= found <= compression.MOST_BEND) == logarithmic


def test_every_check_has_a_broken_claim():
    assert {check.__name__ for check, _ in BROKEN.values()} == {check.__name__ for check in CHECKS.values()}


def test_the_table_names_claims_and_the_exit_code_says_whether_all_hold(capsys, monkeypatch):
    assert main(["pebbling", "--quick"]) == 0
    printed = capsys.readouterr().out
    assert pebbling.CLAIM in printed
    assert pebbling.SOURCE in printed
    assert "holds" in printed
    monkeypatch.setitem(pebbling.PRICES, "path", (pebbling.chain, (2, 3), lambda _: 3))
    assert main(["frontier_width", "pebbling", "--quick"]) == 1
    printed = capsys.readouterr().out
    assert "FALSE: path 2: the least peak is 2" in printed
    with pytest.raises(SystemExit):
        main(["no-such-check"])


def test_every_check_has_its_section_in_the_docs():
    root = Path(theory_checks.__file__).parents[1]
    text = (root / "docs" / "theory.md").read_text(encoding="utf-8")
    for name, check in CHECKS.items():
        assert f"theory_checks/{name}.py" in text
        if "theory.md, " in check.SOURCE:
            heading = check.SOURCE.rpartition("theory.md, ")[2]
            assert f"## {heading}" in text.lower()
