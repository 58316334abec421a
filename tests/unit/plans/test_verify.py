"""``verify_plan`` believes nothing that a file says without proof."""

import itertools
import json
import subprocess
import sys
import time

import pytest

import hcp
from hcp.graph.format import graph_to_dict
from hcp.graph.instances import chain, instance, unet
from hcp.plans.file import PlanFileError, outcome_to_dict
from hcp.solvers.cpsat import CpSat
from hcp.solvers.cut_relaxation.relaxation import RelaxationParams
from hcp.solvers.root import RootParams
from hcp.solvers.search import SearchParams


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    path = tmp_path_factory.mktemp("plans") / "plan.json"
    graph = instance("transformer:3")
    # Of several stages, so that the one certificate has path cuts.
    root = RootParams(relaxation=RelaxationParams(stages=(4, 8)))
    planner = CpSat(params=SearchParams(root=root))
    hcp.save_plan(hcp.solve(graph, "60%", planner, time_limit=30), path)
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
    "no steps in a staircase": lambda d: staircase(d).update(steps=[]),
    "a staircase through strangers": lambda d: staircase(d).update(reader=d["graph"]["order"][0]),
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


UNKNOWN = {
    "a certificate of another kind": lambda d: certificate(d).update(kind="trust-me/1"),
    "rows of another version": lambda d: certificate(d).update(kind="cut-relaxation/1"),
    "a cut of another version": lambda d: staircase(d).update(family="path/2"),
    "a cut of no family": lambda d: staircase(d).update(family="hearsay/1"),
}


@pytest.mark.parametrize("what", UNKNOWN)
def test_what_this_hcp_does_not_know_is_neither_proved_nor_wrong(file, what):
    data = json.loads(file.read_text())
    UNKNOWN[what](data)
    file.write_text(json.dumps(data))
    found = hcp.check_plan(file)
    (check,) = (check for check in found.checks if "was not checked" in check.reason)
    assert check.verdict.name == "UNPROVED"
    assert found.passed
    assert not found.certified
    # What it does not know it keeps.
    kept = [bound for bound in outcome_to_dict(hcp.verify_plan(file))["bounds"] if bound["certificate"]]
    assert certificate(data) in [bound["certificate"] for bound in kept]
    with pytest.raises(PlanFileError, match=r"expected one of|plan again"):
        hcp.load_plan(file)


def test_a_file_may_say_less_than_its_bounds_show(file):
    data = json.loads(file.read_text())
    data.update(status="FEASIBLE", optimality=None)
    file.write_text(json.dumps(data))
    found = hcp.check_plan(file)
    assert found.passed
    assert not any(check.claim.startswith("OPTIMAL") for check in found.checks)


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


def plan_with(certificate, graph, of="cost", value=None):
    """A file's content: everything is kept, and a bound has a certificate."""
    schedule = hcp.keep_everything(graph)
    usage = hcp.replay(graph, schedule)
    plan = hcp.solve(graph, usage.peak, "keep_all")
    bound = {"of": of, "value": graph.base_cost if value is None else value, "scope": "order-free", "source": "?"}
    graph_data = {"schema": "hcp-plan/1", "graph_hash": graph.fingerprint, "graph": graph_to_dict(graph)}
    return graph_data | outcome_to_dict(plan) | {"bounds": [bound | {"certificate": certificate}]}


def many_true_conflicts(count):
    """A plan whose one certificate has very many true conflicts, no two of which are the same."""
    graph = unet(2)
    names = [node.name for node in graph.nodes]
    # No schedule fits this budget, so that whatever is listed is a conflict.
    some = itertools.islice(itertools.combinations(names, 6), count)
    conflicts = [{"nodes": nodes} for nodes in [*some, ()]]
    least = graph.index.least_bytes
    data = {"kind": "conflicts/2", "budget_bytes": least - 1, "of_peak": True, "conflicts": conflicts}
    return plan_with(data | {"denominator": 1, "tree": []}, graph, "peak", least)


def test_very_many_true_conflicts_are_given_up_and_said_to_be_unproved(tmp_path):
    data = many_true_conflicts(10)
    few = hcp.check_plan(write(tmp_path, data))
    data = many_true_conflicts(40_000)
    file = write(tmp_path, data)
    begun = time.monotonic()
    found = hcp.check_plan(file, seconds=0.5)
    assert time.monotonic() - begun < 20
    (check,) = (check for check in found.checks if check.claim.endswith("?)"))
    assert "limit of 0.5 seconds" in check.reason
    assert check.verdict.name == "UNPROVED"
    assert found.passed
    assert not found.certified
    assert [check.verdict.name for check in few.checks[:2]] == ["PASS", "PASS"]


def test_what_was_given_up_is_no_proof_of_an_optimum(file):
    found = hcp.check_plan(file, seconds=1e-9)
    assert {check.verdict.name for check in found.checks[1:]} >= {"UNPROVED"}
    assert found.checks[-1].claim.startswith("OPTIMAL")
    assert found.checks[-1].verdict.name == "UNPROVED"
    assert found.plan.optimality == "claimed"
    assert run_verify(file, "--time-limit", "1e-9").returncode == 0
    assert run_verify(file, "--time-limit", "1e-9", "--certified-only").returncode == 1
    assert run_verify(file, "--time-limit", "0").returncode == 2
    # Another look with more time.
    assert hcp.check_plan(file).plan.optimality == "certified"


@pytest.mark.parametrize("kind", ["cut-relaxation/2", "tree/2", "staged-model/2"])
def test_relaxations_too_large_to_be_built_are_not_built(kind, tmp_path):
    graph = chain(5000)
    names = [node.name for node in graph.nodes]
    certificate = {"kind": kind, "budget_bytes": 10**6, "denominator": 1, "multipliers": [], "rows": [], "cuts": []}
    certificate |= {"chain": names, "cutoff": 10**6, "columns": [], "sums": [], "tree": "eJxjYGAAAAADAAE="}
    data = plan_with(certificate, graph)
    data["bounds"][0]["scope"] = "fixed-order" if kind == "staged-model/2" else "order-free"
    (check,) = (check for check in hcp.check_plan(write(tmp_path, data)).checks if check.claim.endswith("?)"))
    assert check.verdict.name == "UNPROVED"
    assert "beyond the limit" in check.reason


def test_a_file_of_hundreds_of_megabytes_is_not_read(tmp_path):
    file = tmp_path / "plan.json"
    with file.open("wb") as hole:
        hole.truncate(200 * 2**20)
    with pytest.raises(hcp.HcpError, match="more than 128 MiB"):
        hcp.check_plan(file)
    with pytest.raises(hcp.HcpError, match="more than 128 MiB"):
        hcp.load_plan(file)


def write(folder, data):
    file = folder / "plan.json"
    file.write_text(json.dumps(data))
    return file
