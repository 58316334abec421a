"""The standalone checker against ``hcp verify`` and the oracle: on plans, on certificates, and on damaged ones."""

import ast
import base64
import json
import random
import re
import sys
import zlib
from copy import deepcopy
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

import hcp
from hcp.graph.errors import GraphError, HcpError
from hcp.graph.format import graph_to_dict
from hcp.graph.instances import instance, random_graph
from hcp.planning.deadline import Deadline
from hcp.planning.floor import floor_bound
from hcp.planning.solution import Bound
from hcp.plans.file import save_plan
from hcp.plans.verify import check_plan
from hcp.schedule.host import HostLink
from hcp.schedule.scopes import within_cost
from hcp.solvers.certificates.cost_limit import CostLimitCertificate
from hcp.solvers.certificates.file import read_certificate
from hcp.solvers.certificates.rows import CUT_ROWS, END_ROWS, to_lists
from hcp.solvers.conflicts.bound import conflict_bound
from hcp.solvers.cut_relaxation.chains import candidate_chains
from hcp.solvers.cut_relaxation.model import build_cut_model
from hcp.solvers.cut_relaxation.relaxation import Relaxer
from hcp.solvers.exhaustive import least_peak
from hcp.solvers.fixed_order.stages import build_stage_grid, build_stage_model
from hcp.solvers.host_bounds import host_bounds
from hcp.solvers.tree.certify import certificate_of
from hcp.solvers.tree.search import Tree
from tests.effort import THOROUGH, examples
from tests.host_oracle import quickest_with_host
from theory_checks.checkers import standalone

ROOT = Path(__file__).parents[3]
TOOL = ROOT / "tools" / "check_plan.py"
WRITTEN = json.loads((ROOT / "tests/unit/solvers/certificates/written.json").read_text())


tool = standalone()


def graph_of(entry):
    """The graph of which a written certificate speaks."""
    return hcp.on_engines(instance(entry["graph"]), entry.get("engines", {}))


GRAPHS = ("unet:3", "transformer:3", "residual-net:6", "training-chain:12")


def proven(certificate, graph, budget, host=None, work=10**7):
    """What the tool says that a certificate proves of a graph; None where it says that it does not know."""
    link = None if host is None else tool.Host(**host.to_dict())
    try:
        return tool.prove(certificate, tool.read_graph(graph_to_dict(graph)), budget, link, tool.Work.of(work)).value
    except tool.Wrong:
        return 0
    except tool.Beyond:
        return None


def claimed(data, graph, budget):
    """What hcp says that a certificate proves; 0 where it refuses to read it."""
    try:
        return read_certificate(data, "the certificate", graph).proven(graph, budget)
    except HcpError:
        return 0


@pytest.fixture(scope="module")
def plans(tmp_path_factory):
    """Plan files by graph and solver."""
    folder = tmp_path_factory.mktemp("plans")
    found = {}
    for text in GRAPHS:
        # Others take long, and what they plan has certificates of the same kinds.
        others = (("auto", "80%"), ("staged", "60%")) if THOROUGH or text in (GRAPHS[0], GRAPHS[-1]) else ()
        for solver, budget in (("proof", "60%"), *others):
            found[text, solver] = folder / f"{text.replace(':', '')}-{solver}.json"
            limits = {"time_limit": 60, "work_limit": 1.5 if solver == "auto" else 4}
            save_plan(hcp.solve(instance(text), budget=budget, solver=solver, **limits), found[text, solver])
    return found


def verdicts(checks):
    return [(check.claim.split(" (")[0].split(" costs less")[0], str(getattr(check.verdict, "value", check.verdict)))
            for check in checks if "every node runs once" not in check.claim]  # fmt: skip


def test_it_needs_the_standard_library_alone():
    tree = ast.parse(TOOL.read_text())
    names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert names
    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names


def test_both_checkers_agree_on_plans(plans):
    kinds = set()
    for file in plans.values():
        found = check_plan(file)
        assert verdicts(tool.check_file(file)) == verdicts(found.checks)
        for data, bound in zip(json.loads(file.read_text())["bounds"], found.plan.bounds, strict=False):
            if data["certificate"] is not None:
                kinds.add(data["certificate"]["kind"])
                graph, budget = found.plan.graph, found.plan.problem.budget
                assert proven(data["certificate"], graph, budget) == found.plan.proven(bound)
    assert kinds >= {"cut-relaxation/2", "tree/2", "staged-model/2"}


@pytest.mark.parametrize("entry", WRITTEN, ids=lambda entry: f"{entry['certificate']['kind']}-{entry['of']}")
def test_a_written_certificate_proves_the_same(entry):
    data = entry["certificate"]
    host = HostLink(**data["host"]) if "host" in data else None
    assert proven(data, graph_of(entry), entry["budget"], host) == entry["value"]


@pytest.mark.parametrize("entry", WRITTEN, ids=lambda entry: f"{entry['certificate']['kind']}-{entry['of']}")
def test_the_order_in_which_nodes_and_values_are_listed_is_of_no_account(entry):
    listed = graph_to_dict(graph_of(entry))
    luck = random.Random(3)
    luck.shuffle(listed["nodes"])
    luck.shuffle(listed["values"])
    graph, data = hcp.graph.format.graph_from_dict(listed), entry["certificate"]
    host = HostLink(**data["host"]) if "host" in data else None
    assert proven(data, graph, entry["budget"], host) == claimed(data, graph, entry["budget"]) == entry["value"]


def tree_bound(graph, budget, relaxation):
    """What a tree without a cutoff proves of the cost, or of the peak."""
    tree = Tree(graph, relaxation.form, None, Deadline(20))
    tree.grow()
    certificate = certificate_of(tree, budget)
    return Bound(budget + 1 if tree.empty else tree.bound, certificate.of, "order-free", certificate)


def dearer(graph, factor):
    """The same graph with all costs multiplied."""
    return replace(graph, nodes=tuple(replace(node, cost=node.cost * factor) for node in graph.nodes))


@cache
def bounds_of(seed):
    """A random graph, a budget, and bounds of all kinds with the host that they are about; several tests read them."""
    return list(all_bounds(seed))


def all_bounds(seed):
    for graph, budget, host, bound in planned_bounds(seed):
        yield graph, budget, host, bound
        if bound is not None and bound.certificate is not None and (bound.of, bound.scope) == ("cost", "order-free"):
            limit = bound.value - 1
            certificate = CostLimitCertificate(budget, limit, bound.certificate)
            yield graph, budget, host, Bound(budget + 1, "peak", within_cost(limit), certificate)
    yield graph, budget, None, floor_bound(graph)
    yield graph, budget, HostLink(1, 1), floor_bound(graph)


def planned_bounds(seed):
    """Bounds as planners find them."""
    graph = dearer(random_graph(4 + seed % 5, seed, edge_probability=0.4), 1 if seed % 3 else 10)
    budget = max(1, least_peak(graph) + (seed % 4 - 1))
    relaxation = Relaxer(graph, budget, Deadline(20)).best()
    yield graph, budget, None, None if relaxation is None else relaxation.bound
    if relaxation is not None:
        yield graph, budget, None, tree_bound(graph, budget, relaxation)
    yield graph, budget, None, conflict_bound(graph, budget, Deadline(20))
    for overlap in (False, True):
        link = HostLink(2 * 10**9, 10**9, seed % 3, overlap=overlap)
        for bound in host_bounds(graph, budget, link, Deadline(20)):
            yield graph, budget, link, bound
    for other in (graph, some_beside(graph)):
        for solver in ("proof", "staged"):
            try:
                plan = hcp.solve(other, budget=budget, solver=solver, time_limit=20)
            except HcpError:
                continue
            for bound in plan.bounds[:-1]:
                yield other, budget, None, bound


def some_beside(graph):
    """The same graph with every other node on an engine."""
    engines = ("", "network") * len(graph.nodes)
    nodes = (replace(node, workspace=0, engine=name) for node, name in zip(graph.nodes, engines, strict=False))
    return replace(graph, nodes=tuple(nodes))


def test_certificates_of_random_graphs_prove_the_same():
    kinds = set()
    for seed in range(examples(30)):
        for graph, budget, host, bound in bounds_of(seed):
            if bound is not None and bound.certificate is not None:
                data = json.loads(json.dumps(bound.certificate.to_dict(graph)))
                kinds.add((data["kind"], bound.of))
                assert proven(data, graph, budget, host) == bound.certificate.proven(graph, budget), (seed, data)
    assert {kind for kind, _ in kinds} == {
        *("cut-relaxation/2", "conflicts/2", "host/1", "overlap/1", "staged-model/2", "tree/2"),
        *("engines/1", "queue/1", "cost-limit/1", "floor/1"),
    }
    assert {of for _, of in kinds} == {of for kind, of in kinds if kind == "tree/2"} == {"cost", "peak"}


def slots(data):
    """Every place in nested JSON: pairs of a container and a key."""
    items = data.items() if isinstance(data, dict) else enumerate(data)
    for key, item in list(items):
        yield data, key
        if isinstance(item, dict | list):
            yield from slots(item)


def damaged_tree(text, luck):
    content = bytearray(zlib.decompress(base64.b64decode(text)))
    for _ in range(luck.randint(1, 3)):
        content[luck.randrange(len(content))] = luck.randrange(256)
    return base64.b64encode(zlib.compress(bytes(content))).decode()


def damage(data, luck):
    """Changes something at random."""
    container, key = luck.choice(list(slots(data)))
    item = container[key]
    if key == "tree" and isinstance(item, str):
        container[key] = damaged_tree(item, luck)
    elif isinstance(item, bool):
        container[key] = not item
    elif isinstance(item, int):
        container[key] = luck.choice([item + 1, item - 1, 2 * item, item // 2, -item, 0, 10**30])
    elif isinstance(item, list) and item and luck.random() < 0.7:
        place = luck.randrange(len(item))
        luck.choice([lambda: item.pop(place), lambda: luck.shuffle(item), lambda: item.append(deepcopy(item[place]))])()
    else:
        others = [found[name] for found, name in slots(data) if isinstance(found[name], type(item))]
        container[key] = deepcopy(luck.choice([*others, None, [], "nobody"]))


OPTIMA = {("unet:3", "60%"): 20640, ("residual-net:6", "60%"): 3255, ("training-chain:12", "60%"): 42,
          ("transformer:3", "60%"): 168198144}  # fmt: skip


@pytest.mark.parametrize("text", GRAPHS)
def test_no_damaged_certificate_proves_one_unit_more_than_is_true(plans, text):
    plan = check_plan(plans[text, "proof"]).plan
    graph, budget, optimum = plan.graph, plan.problem.budget, OPTIMA[text, "60%"]
    assert plan.cost >= optimum
    luck = random.Random(text)
    agreed = less = tried = 0
    for data in json.loads(plans[text, "proof"].read_text())["bounds"]:
        for _ in range(40):
            other = deepcopy(data["certificate"])
            for _ in range(luck.randint(1, 3)):
                damage(other, luck)
            mine, theirs = proven(other, graph, budget) or 0, claimed(other, graph, budget)
            most = budget if other.get("of_peak") is True else optimum
            assert max(mine, theirs) <= most, other
            tried += 1
            agreed += mine == theirs
            less += mine < data["value"]
    # What nobody knows is not called wrong here.
    assert agreed > 0.8 * tried
    assert less > 0.4 * tried


def test_damaged_certificates_of_random_graphs_against_the_oracle():
    luck = random.Random(11)
    tried = 0
    for seed in range(12):
        for graph, budget, host, bound in bounds_of(seed):
            if bound is None or host is not None or bound.scope != "order-free" or bound.certificate is None:
                continue
            if graph.engines and len(graph.nodes) > 5:
                # The search with engines takes long.
                continue
            peak = least_peak(graph)
            optimum = 10**40
            if budget >= peak:
                optimum = hcp.solve(graph.serial, budget=budget, solver="exhaustive").cost
                optimum = quickest_with_host(graph, budget, None, optimum + 1) if graph.engines else optimum
            for _ in range(15):
                data = json.loads(json.dumps(bound.certificate.to_dict(graph)))
                for _ in range(luck.randint(1, 3)):
                    damage(data, luck)
                most = peak if data.get("of_peak") is True or data.get("kind") == "floor/1" else optimum
                assert max(proven(data, graph, budget) or 0, claimed(data, graph, budget)) <= most, (seed, data)
                tried += 1
    assert tried >= 300


def test_no_damaged_limit_on_the_cost_excludes_a_schedule_that_there_is():
    luck = random.Random(12)
    tried = 0
    for seed in range(8):
        for graph, budget, host, bound in bounds_of(seed):
            if host is not None or not isinstance(bound and bound.certificate, CostLimitCertificate):
                continue
            for _ in range(15):
                data = json.loads(json.dumps(bound.certificate.to_dict(graph)))
                for _ in range(luck.randint(1, 3)):
                    damage(data, luck)
                said = max(proven(data, graph, budget) or 0, claimed(data, graph, budget))
                tried += 1
                if said and data["kind"] == "cost-limit/1" and said > least_peak(graph):
                    plan = hcp.solve(graph, budget=said - 1, solver="exhaustive")
                    assert plan.cost > data["cost_limit"], (seed, data)
    assert tried >= 150


def test_a_limit_on_the_cost_is_not_carried_through_a_host():
    """It would be about the cost of the relaxed graph's schedules, which is another one."""
    entry = next(entry for entry in WRITTEN if entry["certificate"]["kind"] == "host/1" and entry["of"] == "cost")
    graph, budget, data = instance(entry["graph"]), entry["budget"], entry["certificate"]
    limited = {"kind": "cost-limit/1", "budget_bytes": budget, "cost_limit": entry["value"] - 1}
    for other in (data | {"proof": limited | {"proof": data["proof"]}}, data | {"proof": {"kind": "floor/1"}}):
        assert proven(other, graph, budget, HostLink(**data["host"])) == claimed(other, graph, budget) == 0
    outside = limited | {"proof": data}
    assert proven(outside, graph, budget, HostLink(**data["host"])) == claimed(outside, graph, budget) == budget + 1


def test_a_cutoff_between_two_costs_counts_as_the_lower_one():
    """What the slopes fix loses the schedule of cost 260."""
    graph, rows = (
        dearer(instance("training-chain:8"), 10),
        [["needs", f"v{14 - x}", f"v{x}", 1] for x in (4, 3, 2, 1, 0)],
    )
    content = "eJxjYeBhYAIBETBggnGFQUAQAA4jARs="
    data = {"kind": "tree/2", "budget_bytes": 7, "cutoff": 269, "chain": ["v9", "v15"], "rows": [*rows, ["memory", 0]],
            "cuts": [], "columns": [], "sums": [], "tree": content}  # fmt: skip
    optimum = hcp.solve(graph, budget=7, solver="cpsat").cost
    assert proven(data, graph, 7) == claimed(data, graph, 7) == optimum == 260


def test_damaged_plans_are_answered_and_never_certified_beyond_the_optimum(plans, tmp_path):
    luck = random.Random(5)
    failed = 0
    for text in GRAPHS:
        whole = json.loads(plans[text, "proof"].read_text())
        for _ in range(40):
            data = deepcopy(whole)
            damage(data, luck)
            file = tmp_path / "plan.json"
            file.write_text(json.dumps(data))
            found = tool.check_file(file)
            certified = all(check.verdict == "PASS" for check in found)
            if certified and data["status"] == "OPTIMAL" and data["budget_bytes"] <= whole["budget_bytes"]:
                assert data["cost"] == OPTIMA[text, "60%"]
            failed += any(check.verdict == "FAIL" for check in found)
    assert failed >= 80


def test_a_certificate_for_the_graphs_own_order_proves_nothing_of_another_one(tmp_path):
    node = {"op": "", "inputs": [], "cost": 1}
    data = {
        "schema": "hcp-graph/1",
        "values": [{"name": name, "bytes": 1} for name in ("x", "y")],
        "nodes": [{"name": "a", "outputs": ["x"], **node}, {"name": "b", "outputs": ["y"], **node}],
        "order": ["a", "b"],
    }
    graph = hcp.graph.format.graph_from_dict(data)
    certificate = {"kind": "staged-model/2", "budget_bytes": 2, "denominator": 1, "multipliers": [], "rows": []}
    plan = {
        "schema": "hcp-plan/1",
        "graph": data,
        "graph_hash": graph.fingerprint,
        "budget_bytes": 2,
        "solver": "staged",
        "status": "OPTIMAL",
        "optimality": "certified",
        "cost": 2,
        "peak": 2,
        "bounds": [{"of": "cost", "value": 2, "scope": "fixed-order", "source": "", "certificate": certificate}],
    }
    for order, wanted in ((["a", "b"], "PASS"), (["b", "a"], "FAIL")):
        file = tmp_path / "plan.json"
        file.write_text(json.dumps(plan | {"order": order, "actions": [["compute", name] for name in order]}))
        assert [check.verdict for check in tool.check_file(file)][1] == wanted
        assert [check.verdict.value for check in check_plan(file).checks][1] == wanted


def of_kind(data, kind):
    return next(bound["certificate"] for bound in data["bounds"] if bound["certificate"]["kind"] == kind)


def streamed(certificate, change):
    """Changes the bytes of a tree as they are packed."""
    certificate["tree"] = base64.b64encode(change(base64.b64decode(certificate["tree"]))).decode()


def numbers(certificate, *content):
    """Puts other numbers of less than seven bits, or bytes, in place of a tree."""
    parts = (bytes([2 * each]) if isinstance(each, int) else each for each in content)
    certificate["tree"] = base64.b64encode(zlib.compress(b"".join(parts))).decode()


def whole_as_floats(text):
    return re.sub(r'("(?:cost|bytes|value|cutoff|budget_bytes)":|", )([0-9]{1,9})(?=[],}])', r"\1\2.0", text)


def through_host(data, proof):
    """Puts a certificate through a host that the plan has not."""
    kind = {"kind": "host/1", "relaxed": "provide", "host": {"offload_rate": 0}, "proof": proof}
    data["bounds"][0]["certificate"] = kind


def rows_of(data, stage):
    """The rows of some stage in a tree."""
    return [row for row in of_kind(data, "tree/2")["rows"] if row[-1] == stage]


# What both checkers say of plans that are changed as text,
TEXTS = {
    "whole numbers written as floats": ("PASS", whole_as_floats),
    "a stage between two": ("FAIL", lambda text: re.sub(r'(\["memory", )([0-9]+)', r"\1\2.5", text)),
    "not a number": ("FAIL", lambda text: text.replace('"seconds": ', '"seconds": NaN, "x": ', 1)),
    "an infinity where it means nothing": ("FAIL", lambda text: text[:-1] + ', "x": -Infinity}'),
    "a byte order mark": ("FAIL", lambda text: "\ufeff" + text),
}
# and as JSON.
RULES = {
    "a stage that is true": ("FAIL", lambda d: rows_of(d, 1)[0].__setitem__(-1, True)),
    "an order that is null": ("FAIL", lambda d: d.update(order=None)),
    "a graph without an order": ("FAIL", lambda d: d["graph"].pop("order")),
    "no solver": ("PASS", lambda d: d.pop("solver")),
    "an unknown kind": ("UNPROVED", lambda d: d["bounds"][0].update(certificate={"kind": "x"})),
    "another version with another budget": (
        "UNPROVED", lambda d: d["bounds"][0]["certificate"].update(kind="tree/99", budget_bytes=None, of_peak=3)
    ),
    "an unknown kind in a damaged host": ("UNPROVED", lambda d: through_host(d, {"kind": "conflicts/1"})),
    "a known kind in a damaged host": ("FAIL", lambda d: through_host(d, {"kind": "conflicts/2"})),
    "a damaged limit on an unknown kind": (
        "UNPROVED",
        lambda d: d["bounds"][0].update(certificate={"kind": "cost-limit/1", "proof": {"kind": "host/2"}}),
    ),
    "a limit without a proof": ("FAIL", lambda d: d["bounds"][0].update(certificate={"kind": "cost-limit/1"})),
    "bytes after a tree": ("FAIL", lambda d: streamed(of_kind(d, "tree/2"), lambda found: found + b"abc")),
    "a tree with a cut checksum": ("FAIL", lambda d: streamed(of_kind(d, "tree/2"), lambda found: found[:-2])),
    "a tree with another checksum": (
        "FAIL", lambda d: streamed(of_kind(d, "tree/2"), lambda found: found[:-1] + bytes([found[-1] ^ 1]))
    ),
    "a row twice": ("FAIL", lambda d: of_kind(d, "tree/2")["rows"].append(of_kind(d, "tree/2")["rows"][0])),
    "less than it could say": ("PASS", lambda d: d.update(status="FEASIBLE", optimality=None)),
}  # fmt: skip


def said(file):
    """What each checker says of a plan file altogether."""
    try:
        found = [[check.verdict for check in tool.check_file(file)]]
        found += [[check.verdict.value for check in check_plan(file).checks]]
    except GraphError:
        found += [["FAIL"]]
    return ["FAIL" if "FAIL" in each else "UNPROVED" if "UNPROVED" in each else "PASS" for each in found]


@pytest.mark.parametrize("what", [*TEXTS, *RULES])
def test_both_checkers_say_the_same_of_what_the_page_rules(plans, tmp_path, what):
    text = json.dumps(json.loads(plans["training-chain:12", "proof"].read_text()))
    if what in TEXTS:
        wanted, change = TEXTS[what]
        changed = change(text)
    else:
        data = json.loads(text)
        wanted, change = RULES[what]
        change(data)
        changed = json.dumps(data)
    assert changed != text
    file = tmp_path / "plan.json"
    file.write_text(changed)
    assert said(file) == [wanted, wanted]


def listed_rows(model):
    """Names of all rows that the tool knows, with what stands in them."""
    nodes, values = list(model.graph.node_of), list(model.graph.value_of)
    for family in (
        "grow",
        "first",
        "run-after",
        "birth-after",
        "needs",
        "carry",
        "made",
        "held",
        "flow",
        "memory",
        "end",
    ):
        for names in [[], *([v] for v in nodes), *([x] for x in values), *([v, x] for v in nodes for x in values)]:
            for stage in range(-1, model.numbering.stages + 1):
                try:
                    row = model.row([family, *names, stage])
                except tool.Wrong:
                    continue
                yield (family, *names, stage), (sorted(row.entries.values()), row.limit)


def built_rows(model, index, shapes):
    """Names of all rows that hcp knows, with what stands in them."""
    for key, row in model.row_of.items():
        (name,) = to_lists((key,), index)
        span = slice(*model.matrix.indptr[row : row + 2])
        assert key.block in shapes
        yield tuple(name), (sorted(model.matrix.data[span].tolist()), int(model.rhs[row]))


def test_both_know_the_same_rows_whether_they_say_something_or_not():
    useless = 0
    for seed in range(6):
        graph = random_graph(4 + seed, seed, edge_probability=0.4)
        index, budget = graph.index, least_peak(graph)
        other = tool.read_graph(graph_to_dict(graph))
        for chain in candidate_chains(graph):
            model = build_cut_model(index, budget, chain, whole=True).model
            names = [index.node_names[b] for b in chain]
            found = dict(listed_rows(tool.Chain(other, budget, names, tool.Work.of(10**8))))
            assert found == dict(built_rows(model, index, CUT_ROWS))
            useless += len(found) - build_cut_model(index, budget, chain).model.shape[0]
        grid = build_stage_grid(index, budget, tuple(index.order.tolist()))
        found = dict(listed_rows(tool.Staged(other, budget, tool.Work.of(10**8))))
        assert found == dict(built_rows(build_stage_model(grid, budget, whole=True).model, index, END_ROWS))
    assert useless > 100


def test_rows_that_say_nothing_may_be_named_and_prove_nothing():
    graph = instance("training-chain:12")
    certificate = {"kind": "cut-relaxation/2", "budget_bytes": 10**6, "denominator": 1, "multipliers": [[0, 5], [1, 5]],
                   "chain": ["v8"], "rows": [["birth-after", "v8", "v7", 0], ["memory", 0]], "cuts": []}  # fmt: skip
    assert proven(certificate, graph, 7) == claimed(certificate, graph, 7) == graph.base_cost


LONGEST = b"\x80" * 285 + b"\x00"
TREES = {
    "a shift of 2000": (True, (0, b"\xa0\x1f", 0)),
    "a shift of 2001": (False, (0, b"\xa2\x1f", 0)),
    "a number of 286 bytes": (True, (0, LONGEST, 0)),
    "a number of 287 bytes": (False, (0, b"\x80" + LONGEST, 0)),
    "a sum of 2^40 runs": (True, (4, 0, b"\x80\x80\x80\x80\x80\x40", 0, 0, 0, 0, 0, 0)),
    "a sum of more": (False, (4, 0, b"\x82\x80\x80\x80\x80\x40", 0, 0, 0, 0, 0, 0)),
}


@pytest.mark.parametrize("what", TREES)
def test_both_checkers_read_the_same_numbers_in_trees(plans, what):
    read, content = TREES[what]
    data = json.loads(plans["training-chain:12", "proof"].read_text())
    graph, budget, certificate = instance("training-chain:12"), data["budget_bytes"], of_kind(data, "tree/2")
    certificate["sums"] = certificate["sums"] or [["v3"]]
    numbers(certificate, *content)
    assert proven(certificate, graph, budget) == claimed(certificate, graph, budget)
    assert bool(proven(certificate, graph, budget)) is read


def test_limits_are_said_and_never_pass(plans, tmp_path, capsys):
    file = plans["transformer:3", "proof"]
    assert any("limit" in check.reason for check in tool.check_file(file, most_work=3000))
    assert all(
        check.verdict == "UNPROVED" for check in tool.check_file(file, most_work=3000) if "limit" in check.reason
    )
    data = json.loads(file.read_text())
    tree = next(bound["certificate"] for bound in data["bounds"] if bound["certificate"]["kind"] == "tree/2")
    tree["tree"] = base64.b64encode(zlib.compress(bytes(2**26))).decode()
    (tmp_path / "bomb.json").write_text(json.dumps(data))
    assert [check.verdict for check in tool.check_file(tmp_path / "bomb.json") if "tree" in check.claim] == ["UNPROVED"]
    (tmp_path / "large.json").write_bytes(b" " * (2**20 + 1))
    assert tool.main([str(tmp_path / "large.json"), "--megabytes", "1"]) == 2
    assert "more than 1 MiB" in capsys.readouterr().err
    (tmp_path / "deep.json").write_text("[" * 10**5)
    assert tool.main([str(tmp_path / "deep.json")]) == 1


def test_true_conflicts_that_are_repeated_are_searched_once():
    entry = next(entry for entry in WRITTEN if entry["certificate"]["kind"] == "conflicts/2")
    data = deepcopy(entry["certificate"])
    data["conflicts"] += 10**4 * data["conflicts"][:1]
    assert proven(data, instance(entry["graph"]), entry["budget"], work=10**6) == entry["value"]


def test_the_command(plans, capsys, tmp_path):
    file = plans["training-chain:12", "proof"]
    assert tool.main([str(file)]) == 0
    assert capsys.readouterr().out.startswith("PASS: a schedule of cost 42 within 7 bytes")
    assert tool.main([str(file), "--json", "--certified-only"]) == 0
    assert json.loads(capsys.readouterr().out)["certified"]
    data = json.loads(file.read_text())
    data["optimality"] = "claimed"
    for bound in data["bounds"]:
        bound["certificate"] = None
    (tmp_path / "plan.json").write_text(json.dumps(data))
    assert tool.main([str(tmp_path / "plan.json")]) == 0
    assert tool.main([str(tmp_path / "plan.json"), "--certified-only"]) == 1
    data["cost"] -= 1
    (tmp_path / "plan.json").write_text(json.dumps(data))
    assert tool.main([str(tmp_path / "plan.json"), "--json"]) == 1
    assert tool.main([str(tmp_path / "nothing.json")]) == 2


def wide(count, inputs=False):
    """A plan that says that one byte less is impossible, of a graph with very many sets that can run before the middle.

    As many lead from there to the end.
    """
    names = [f"n{i}" for i in range(count)]
    values = [{"name": f"{side}{i}", "bytes": 1 + i % 7} for side in "xy" for i in range(count)]
    made, read = [f"x{i}" for i in range(count)], [f"y{i}" for i in range(count)]
    common = {"cost": 1, "recomputable": False}
    nodes = [{"name": name, "inputs": [], "outputs": [x], **common} for name, x in zip(names, made, strict=True)]
    middle = {"name": "middle", "inputs": made, "outputs": read, **common}
    last = [{"name": f"last {y}", "inputs": [y], "outputs": [], **common} for y in read]
    graph = {
        "schema": "hcp-graph/1",
        "values": values,
        "nodes": [*nodes, middle, *last],
        "order": [*names, "middle", *(node["name"] for node in last)],
    }
    peak = sum(value["bytes"] for value in values)
    certificate = {
        "kind": "conflicts/2",
        "budget_bytes": peak - 1,
        "of_peak": True,
        "conflicts": [{"nodes": [], "inputs": inputs}],
    }
    certificate |= {"denominator": 1, "tree": []}
    return {
        "schema": "hcp-plan/1",
        "graph": graph,
        "graph_hash": hcp.graph.format.graph_from_dict(graph).fingerprint,
        "budget_bytes": peak,
        "cost": 2 * count + 1,
        "peak": peak,
        "status": "FEASIBLE",
        "actions": [["compute", name] for name in graph["order"]],
        "bounds": [{"of": "peak", "value": peak, "scope": "order-free", "certificate": certificate}],
    }


@pytest.mark.parametrize("inputs", [False, True])
def test_a_search_without_end_is_given_up(inputs):
    assert [check.verdict for check in tool.checks(wide(6, inputs), tool.Work.of(10**6))] == ["PASS", "PASS"]
    _, bound = tool.checks(wide(40, inputs), tool.Work.of(10**6))
    assert bound.verdict == "UNPROVED"
    assert "limit of 1,000,000 steps" in bound.reason


def test_deep_trees_are_given_up(plans):
    data = json.loads(plans["transformer:3", "proof"].read_text())
    bound = next(bound for bound in data["bounds"] if bound["certificate"]["kind"] == "tree/2")
    node = next(node["name"] for node in data["graph"]["nodes"] if node["recomputable"])
    certificate = bound["certificate"]
    certificate["sums"] = certificate["sums"] or [[node]]
    certificate["tree"] = base64.b64encode(zlib.compress(bytes([8, 0, 2]) * 10**6)).decode()
    data["bounds"] = [bound]
    verdicts = [check.verdict for check in tool.checks(data, tool.Work.of(10**6))]
    assert verdicts == ["PASS", "UNPROVED", "UNPROVED"]
