"""The library of instances: what it holds is true, and plans that are handed in are judged."""

import dataclasses
import json
import lzma

import pytest

import hcp
from hcp import instances
from hcp.graph.errors import HcpError
from hcp.graph.instances import training_chain
from hcp.instances.checking import check_instance
from hcp.instances.library import SUFFIX, Summary, read
from tests.effort import some

GRAPH = dataclasses.replace(training_chain(12, uniform=False), name="chain")
# The quickest to check of each level; all of them are checked by ``make instances``.
SAMPLE = [
    min((row for row in instances.summaries() if row.level == level), key=lambda row: (not row.best, row.nodes)).name
    for level in ("generated", "aten", "jaxpr", "inductor")
]


def an_instance(*best):
    return instances.Instance("chain", GRAPH, "chain", "generated", True, "a chain", {"licence": "Apache-2.0"}, best)


def a_plan(budget="60%", solver="sqrt_n"):
    return hcp.solve(GRAPH, budget, solver, time_limit=60)


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("HCP_INSTANCES", str(tmp_path))
    instances.save(an_instance())
    return tmp_path


def submit(plan, budget="60%"):
    change = instances.submitted(instances.load("chain"), plan, "somebody", "2026-11-30", budget)
    instances.save(change.instance)
    return change


def test_there_are_sixty_with_names_of_their_own_in_ten_megabytes():
    names = instances.names()
    assert len(set(names)) == len(names) >= 60
    files = list(instances.folder().glob(f"*{SUFFIX}"))
    assert {file.name.removesuffix(SUFFIX) for file in files} == set(names)
    assert sum(file.stat().st_size for file in files) < 10_000_000


def test_forty_are_certified_within_half_a_percent_at_half_of_the_memory():
    found = [best for row in instances.summaries() for best in row.best if best["budget"] == "50%"]
    assert sum(best["gap"] <= 0.005 for best in found) >= 40


@pytest.mark.parametrize("name", SAMPLE)
def test_both_checkers_confirm_a_sample(name):
    found = instances.load(name)
    rows = list(check_instance(found))
    assert [row.budget for row in rows] == [best.budget for best in found.best]
    assert [row.failed for row in rows] == [()] * len(rows)


@pytest.mark.parametrize("name", some(instances.names(), 8))
def test_the_index_says_what_the_files_say(name):
    row = next(row for row in instances.summaries() if row.name == name)
    assert json.loads(json.dumps(Summary.of(instances.load(name)).to_dict())) == row.to_dict()
    assert {"made by", "versions", "shapes", "costs", "licence"} <= set(instances.load(name).provenance)


def test_a_saved_instance_is_the_same_again(place):
    submit(a_plan())
    first = instances.load("chain")
    instances.save(first)
    assert instances.load("chain").to_dict() == first.to_dict()
    assert not list(place.glob(".*"))


def test_the_better_schedule_and_the_better_bound_stay(place):
    heuristic, exact = a_plan(), a_plan(solver="proof")
    assert exact.cost <= heuristic.cost
    first = submit(heuristic)
    assert (first.cost, first.bound) == (heuristic.cost, GRAPH.base_cost)
    second = submit(exact)
    best = instances.load("chain").best_at("60%")
    assert best.plan.cost == exact.cost
    assert best.certified.value == max(bound.value for bound in exact.bounds if exact.verified(bound))
    assert second.bound == best.certified.value
    assert not submit(heuristic).any
    assert not submit(exact).any
    assert best.plan.status is hcp.Status.OPTIMAL
    assert [row.passed for row in check_instance(instances.load("chain"))] == [True]


def test_a_bound_alone_leaves_the_schedule(place):
    submit(a_plan())
    bounded = hcp.solve(GRAPH, "60%", "lp", time_limit=5)
    before = instances.load("chain").best_at("60%").plan
    change = submit(bounded)
    after = instances.load("chain").best_at("60%")
    assert (change.cost, after.plan.schedule) == (None, before.schedule)
    assert after.certified.value == change.bound > GRAPH.base_cost


def test_claims_without_a_certificate_are_not_taken(place):
    plan = a_plan()
    claimed = hcp.Bound(plan.cost, "cost", hcp.ORDER_FREE, None, "my word")
    submit(dataclasses.replace(plan, bounds=(*plan.bounds, claimed)))
    assert instances.load("chain").best_at("60%").certified.value == GRAPH.base_cost


def test_plans_of_other_graphs_and_budgets_are_refused(place):
    submit(a_plan())
    other = hcp.solve(training_chain(7), "60%", "sqrt_n")
    with pytest.raises(HcpError, match=r"another graph.*instances get chain"):
        submit(other)
    with pytest.raises(HcpError, match="is not the plan's"):
        submit(a_plan("70%"), "60%")
    with pytest.raises(HcpError, match=r"no budget of .* there are 60%"):
        submit(a_plan("70%"), None)
    assert submit(a_plan("70%"), "70%").cost
    assert [best.budget for best in instances.load("chain").best] == ["70%", "60%"]


def test_an_unknown_name_names_the_nearest():
    with pytest.raises(HcpError, match=r"no instance 'llama3-8b-8'; the nearest are .*llama3-8b-8l"):
        instances.load("llama3-8b-8")
    with pytest.raises(HcpError, match="no budget '12%'; there are"):
        instances.load(SAMPLE[0]).best_at("12%")


def test_a_damaged_file_says_so(place):
    file = place / f"chain{SUFFIX}"
    for content in (b"", b"no archive", lzma.compress(b"[1, 2"), lzma.compress(b"[]"), file.read_bytes()[:-9]):
        file.write_bytes(content)
        with pytest.raises(HcpError, match=r"instance file .*chain"):
            instances.load("chain")


def test_a_changed_claim_is_refused(place):
    submit(a_plan())
    file = place / f"chain{SUFFIX}"
    data = json.loads(lzma.decompress(file.read_bytes()))
    data["best"][0]["plan"]["cost"] -= 1
    file.write_bytes(lzma.compress(json.dumps(data).encode()))
    with pytest.raises(HcpError, match="claims cost"):
        read(file)


def test_a_wrong_bound_fails_both_checks(place):
    submit(a_plan())
    data = instances.load("chain").to_dict()
    exact = a_plan(solver="proof")
    proof = max((bound for bound in exact.bounds if exact.verified(bound)), key=lambda bound: bound.value)
    (entry,) = data["best"]
    # The certificate proves less than it is said to.
    entry["plan"]["bounds"] = [
        {
            "of": "cost",
            "value": proof.value + 1,
            "scope": hcp.ORDER_FREE,
            "source": "x",
            "certificate": proof.certificate.to_dict(GRAPH),
        }
    ]
    (place / f"chain{SUFFIX}").write_bytes(lzma.compress(json.dumps(data).encode()))
    (row,) = check_instance(instances.load("chain"))
    assert {text.partition(":")[0] for text in row.failed} == {"hcp verify", "hcp-check"}


def write(place, data, name="chain"):
    (place / f"{name}{SUFFIX}").write_bytes(lzma.compress(json.dumps(data).encode()))


def test_what_a_file_says_of_itself_has_to_hold(place):
    submit(a_plan())
    data = instances.load("chain").to_dict()
    (entry,) = data["best"]
    for label in ("50%", "60.0%", "hello", "224"):
        write(place, data | {"best": [entry | {"budget": label}]})
        with pytest.raises(HcpError, match=r"instance file .*chain"):
            instances.load("chain")
    write(place, data | {"best": [entry, entry]})
    with pytest.raises(HcpError, match="a budget twice"):
        instances.load("chain")
    write(place, data | {"name": "another"})
    with pytest.raises(HcpError, match="holds the instance 'another'"):
        instances.load("chain")


def test_shares_are_written_in_one_way(place):
    plan = a_plan("90%")
    assert submit(plan, " 90.00 %").budget == "90%"
    assert not submit(plan, "90.0%").any
    with pytest.raises(HcpError, match="is no share"):
        submit(plan, "5KiB")


def test_what_is_known_of_other_budgets_counts(place):
    exact = a_plan("60%", "proof")
    submit(exact)
    # Fits a larger budget, and is cheaper there than what is handed in.
    change = submit(a_plan("65%", "recompute_all"), "65%")
    assert (change.cost, change.bound) == (None, None)
    change = submit(a_plan("65%", "proof"), "65%")
    assert change.bound is not None
    best = instances.load("chain").best_at("65%")
    assert best.cost <= exact.cost
    # Its bound holds for smaller budgets, and what is found for a smaller one later fits.
    assert not submit(a_plan("62%", "sqrt_n"), "62%").any
    submit(a_plan("62%", "proof"), "62%")
    found = instances.load("chain").best
    assert [each.budget for each in found] == ["65%", "62%", "60%"]
    assert sorted(each.cost for each in found) == [each.cost for each in found]
    assert sorted(each.certified.value for each in found) == [each.certified.value for each in found]
    assert [row.passed for row in check_instance(instances.load("chain"))] == [True] * len(instances.load("chain").best)


def test_a_bound_that_is_not_proved_is_named(place):
    plan = a_plan()
    change = submit(dataclasses.replace(plan, bounds=(*plan.bounds, hcp.Bound(plan.cost, "cost", hcp.ORDER_FREE))))
    assert change.unproved == plan.cost


@pytest.mark.parametrize(
    "damage",
    [
        lambda row: row.update(name=5),
        lambda row: row.update(family=None),
        lambda row: row.update(best="abc"),
        lambda row: row["best"][0].pop("gap"),
        lambda row: row["best"][0].update(gap="x"),
        lambda row: row["best"][0].update(schedule=None),
    ],
)
def test_a_damaged_index_says_so(place, damage):
    submit(a_plan())
    data = json.loads((place / "index.json").read_text())
    damage(data["instances"][0])
    for changed in (data, data | {"schema": "x"}):
        (place / "index.json").write_text(json.dumps(changed))
        instances.library._summaries.cache_clear()
        with pytest.raises(HcpError, match="index of instances"):
            instances.summaries()
