"""``verify_plan`` believes nothing that a file says without proof."""

import json
import subprocess
import sys

import pytest

import hcp
from hcp.graph.instances import instance
from hcp.planfile import PlanFileError


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
    "no steps in a staircase": lambda d: certificate(d)["cuts"][0].__setitem__(3, []),
    "a staircase through strangers": lambda d: certificate(d)["cuts"][0].__setitem__(0, d["graph"]["order"][0]),
    "an optimum without a bound": lambda d: d.update(bounds=[]),
}


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
