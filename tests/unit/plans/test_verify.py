"""``verify_plan`` believes nothing that a file says without proof."""

import json
import subprocess
import sys

import pytest

import hcp
from hcp.graph.instances import instance
from hcp.plans.file import PlanFileError


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    path = tmp_path_factory.mktemp("plans") / "plan.json"
    graph = instance("transformer:3")
    hcp.save_plan(hcp.solve(graph, "60%", "cpsat", time_limit=30), path)
    return path


@pytest.fixture
def file(original, tmp_path):
    copy = tmp_path / "plan.json"
    copy.write_bytes(original.read_bytes())
    return copy


def certified(data):
    return max((b for b in data["bounds"] if b["certificate"]), key=lambda b: b["value"])


def certificate(data):
    return certified(data)["certificate"]


def staircase(data):
    return next(cut for cut in certificate(data)["cuts"] if cut["family"] == "path/1")


def test_an_honest_plan_is_verified(file):
    plan = hcp.verify_plan(file)
    proved = [bound for bound in plan.bounds if plan.verified(bound)]
    assert max(bound.value for bound in proved) > plan.graph.base_cost
    assert plan.status is hcp.Status.OPTIMAL


def test_verification_loads_no_solver(file):
    code = f"""
import sys
import hcp
assert hcp.verify_plan({str(file)!r}).schedule is not None
loaded = {{"highspy", "ortools", "pulp"}} & set(sys.modules)
assert not loaded, loaded
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


TAMPERED = {
    "a cost": lambda d: d.update(cost=d["cost"] - 1),
    "a peak": lambda d: d.update(peak=d["peak"] - 1),
    "a budget": lambda d: d.update(budget_bytes=d["peak"] - 1),
    "a node's cost": lambda d: d["graph"]["nodes"][3].update(cost=1),
    "a value's size": lambda d: d["graph"]["values"][3].update(bytes=1),
    "the graph's hash": lambda d: d.update(graph_hash="0" * 64),
    "a dropped execution": lambda d: d["actions"].pop(0),
    "a dropped free": lambda d: d["actions"].remove(next(a for a in d["actions"] if a[0] == "free")),
    "a bound": lambda d: certified(d).update(value=certified(d)["value"] + 1),
    "a bound of another kind": lambda d: certified(d).update(of="peak"),
    "fewer multipliers": lambda d: certificate(d).update(multipliers=certificate(d)["multipliers"][::2]),
    "a negative multiplier": lambda d: certificate(d)["multipliers"][0].__setitem__(1, -5),
    "a row that is not there": lambda d: certificate(d)["multipliers"][0].__setitem__(0, 10**7),
    "a denominator": lambda d: certificate(d).update(denominator=certificate(d)["denominator"] // 2),
    "no denominator": lambda d: certificate(d).update(denominator=0),
    "a shorter chain": lambda d: certificate(d).update(chain=certificate(d)["chain"][:1]),
    "a reversed chain": lambda d: certificate(d)["chain"].reverse(),
    "an unknown node in the chain": lambda d: certificate(d)["chain"].__setitem__(0, "nobody"),
    "a certificate for less memory": lambda d: certificate(d).update(budget_bytes=d["budget_bytes"] - 1),
    "a certificate of another kind": lambda d: certificate(d).update(kind="trust-me/1"),
    "rows of another version": lambda d: certificate(d).update(kind="cut-relaxation/1"),
    "no steps in a staircase": lambda d: staircase(d).update(steps=[]),
    "a staircase through strangers": lambda d: staircase(d).update(reader=d["graph"]["order"][0]),
    "a cut of another version": lambda d: staircase(d).update(family="path/2"),
    "a cut of no family": lambda d: staircase(d).update(family="hearsay/1"),
    "an optimum without a bound": lambda d: d.update(bounds=[]),
    "a word above the cost": lambda d: d["bounds"].append(word(d["cost"] + 1)),
    "a smallest peak above the peak": lambda d: d["bounds"].append(word(d["peak"] + 1, of="peak")),
    "infeasible beside a schedule": lambda d: d.update(status="INFEASIBLE"),
    "no solution beside a schedule": lambda d: d.update(status="NO_SOLUTION"),
    "an optimum on a solver's word": lambda d: d.update(bounds=[word(d["cost"])], optimality="certified"),
    "an optimum on an unsaid word": lambda d: (d.update(bounds=[word(d["cost"])]), d.pop("optimality")),
    "an optimum of a fixed order": lambda d: d.update(
        bounds=[word(d["cost"], scope="fixed-order")], optimality="claimed"
    ),
    "an order that the schedule breaks": lambda d: d.update(order=d["graph"]["order"][::-1]),
}


def word(value, of="cost", scope="order-free"):
    return {"of": of, "value": value, "scope": scope, "source": "somebody", "certificate": None}


def run_verify(file, *options):
    command = [sys.executable, "-m", "hcp.cli", "verify", str(file), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("what", TAMPERED)
def test_tampering_is_refused_with_the_reason(file, what):
    data = json.loads(file.read_text())
    before = json.dumps(data)
    TAMPERED[what](data)
    assert json.dumps(data) != before
    file.write_text(json.dumps(data))
    with pytest.raises(PlanFileError, match=r"plan\.json") as caught:
        hcp.verify_plan(file)
    assert len(str(caught.value)) > 40
    assert not hcp.check_plan(file).passed


def test_the_command_says_pass_or_fail(file):
    done = run_verify(file)
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "PASS"
    data = json.loads(file.read_text())
    TAMPERED["a word above the cost"](data)
    file.write_text(json.dumps(data))
    done = run_verify(file)
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == "FAIL"
    assert f"no cost below {data['cost'] + 1} was claimed" in done.stdout


def test_a_word_that_says_that_it_is_one_is_no_proof_and_no_lie(file):
    data = json.loads(file.read_text())
    data.update(bounds=[word(data["cost"])], optimality="claimed")
    file.write_text(json.dumps(data))
    found = hcp.check_plan(file)
    assert [check.verdict.name for check in found.checks] == ["PASS", "UNPROVED", "PASS", "UNPROVED"]
    assert found.passed
    assert not found.certified
    assert run_verify(file).returncode == 0
    strict = run_verify(file, "--certified-only", "--json")
    assert strict.returncode == 1
    assert json.loads(strict.stdout)["passed"] is False
