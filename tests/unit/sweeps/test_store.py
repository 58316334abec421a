"""The store of results: whole rows, once each, whatever happens to the process; resuming runs what is missing."""

import json
import multiprocessing
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import hcp
from hcp.graph.errors import HcpError
from hcp.graph.instances import training_chain, unet
from hcp.graph.ir import Graph, Node, Value
from hcp.planning.problem import Limits
from hcp.plans.file import outcome_to_dict
from hcp.sweeps.results import Row
from hcp.sweeps.store import Store, StoreError
from hcp.sweeps.task import Task
from tests.effort import slow

SOLVERS = ["exhaustive", "sqrt_n", "lp", "rotor"]
GRAPHS = [training_chain(5), unet(2)]
BUDGETS = ["100%", "70%", 3]


def sweep(store=None, **options):
    return hcp.compare(GRAPHS, BUDGETS, SOLVERS, time_limit=20, store=store, **options)


def without_times(comparison):
    return [
        {key: value for key, value in row.to_dict().items() if key not in ("seconds", "trace")}
        for row in comparison.rows
    ]


def content(path):
    """What is in a store, save the times."""
    with sqlite3.connect(path) as database:
        rows = database.execute(
            "SELECT graph, budget_bytes, solver, time_limit, workers, seed, status, cost, peak, bound, message, "
            "outcome FROM results ORDER BY graph, budget_bytes, solver, time_limit, workers, seed"
        ).fetchall()
    found = []
    for *columns, outcome in rows:
        data = None if outcome is None else json.loads(outcome)
        if data is not None:
            del data["seconds"]
            data["trace"] = [point[1:] for point in data["trace"]]
        found.append((*columns, data))
    return found


def count_runs(monkeypatch):
    ran = []
    run = Task.run
    monkeypatch.setattr(Task, "run", lambda task, *control: ran.append(str(task)) or run(task, *control))
    return ran


def test_a_stored_comparison_is_read_and_not_run_again(tmp_path, monkeypatch):
    first = sweep(tmp_path / "s.db")
    ran = count_runs(monkeypatch)
    again = sweep(tmp_path / "s.db")
    assert not ran
    assert again.to_dict() == first.to_dict()
    assert without_times(again) == without_times(sweep())
    assert {row.status for row in again.rows} >= {"OPTIMAL", "FEASIBLE", "INFEASIBLE", "NOT_APPLICABLE", "BOUND"}
    assert [row.plan and row.plan.trace for row in again.rows] == [row.plan and row.plan.trace for row in first.rows]


def test_only_what_is_missing_runs(tmp_path, monkeypatch):
    hcp.compare(GRAPHS[0], BUDGETS, SOLVERS, time_limit=20, store=tmp_path / "s.db")
    ran = count_runs(monkeypatch)
    sweep(tmp_path / "s.db")
    assert len(ran) == len(BUDGETS) * len(SOLVERS)
    assert all("unet-2" in task for task in ran)
    ran.clear()
    # Other limits are another task.
    hcp.compare(GRAPHS[0], BUDGETS, SOLVERS, time_limit=21, store=tmp_path / "s.db")
    assert len(ran) == len(BUDGETS) * len(SOLVERS)


def test_a_graph_is_known_by_its_content(tmp_path, monkeypatch):
    hcp.compare(GRAPHS[0], "70%", "sqrt_n", store=tmp_path / "s.db")
    ran = count_runs(monkeypatch)
    graph = GRAPHS[0]
    renamed = Graph(graph.nodes, graph.inputs, graph.order, "other name", graph.cost_unit)
    (row,) = hcp.compare(renamed, "70%", "sqrt_n", store=tmp_path / "s.db").rows
    assert row.graph == "other name"
    assert not ran
    nodes = tuple(Node(n.name, n.op, n.inputs, n.outputs, n.cost + 1) for n in graph.nodes)
    hcp.compare(Graph(nodes, name=graph.name), "70%", "sqrt_n", store=tmp_path / "s.db")
    assert len(ran) == 1


@slow
@pytest.mark.parametrize("seed", [1, 2])
def test_killing_the_sweep_at_random_moments_loses_and_doubles_nothing(tmp_path, seed):
    """Twenty kills in all, ten a seed."""
    program = Path(__file__).with_name("killed.py")
    for name, kills in (("killed.db", 10), ("whole.db", 0)):
        command = [sys.executable, str(program), str(tmp_path / name), str(kills), str(seed)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    whole = content(tmp_path / "whole.db")
    assert len(whole) == 3 * 5 * 7
    assert content(tmp_path / "killed.db") == whole


def test_a_result_that_is_there_stays(tmp_path):
    comparison = hcp.compare(GRAPHS[0], "70%", "sqrt_n", store=tmp_path / "s.db")
    before = content(tmp_path / "s.db")
    with Store(tmp_path / "s.db") as store:
        (row,) = comparison.rows
        from hcp.planning.problem import Limits

        store.add(Task(GRAPHS[0], row, Limits(60.0, hcp.planning.problem.DEFAULT_WORKERS, 0)), row)
        assert len(store) == 1
    assert content(tmp_path / "s.db") == before


def run_in(path):
    return without_times(sweep(path))


@slow
def test_several_processes_share_a_store(tmp_path):
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        found = pool.map(run_in, [tmp_path / "s.db"] * 2)
    assert found[0] == found[1] == without_times(sweep())
    assert len(content(tmp_path / "s.db")) == len(GRAPHS) * len(BUDGETS) * len(SOLVERS)


def test_a_grid_is_remembered(tmp_path, monkeypatch):
    graph = training_chain(12)
    first = hcp.compare(graph, "grid:4", "sqrt_n", store=tmp_path / "s.db")
    sizes = [row.budget_bytes for row in first.rows]
    assert len(sizes) == 4
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == hcp.replay(graph, hcp.keep_everything(graph)).peak
    # The search for the smallest budget may find another one next time.
    monkeypatch.setattr("hcp.sweeps.budgets.smallest_known", lambda graph: sizes[-1] + 1)
    assert hcp.compare(graph, "grid:4", "sqrt_n", store=tmp_path / "s.db").to_dict() == first.to_dict()
    assert hcp.compare(graph, "grid:4", "sqrt_n").rows[-1].budget_bytes == sizes[-1] + 1


@pytest.mark.parametrize("count", [0, 1, 1001])
def test_a_grid_needs_a_sensible_number(count):
    with pytest.raises(HcpError, match=f"a grid of {count} budgets is not possible; give 2 to 1000"):
        hcp.compare(training_chain(3), f"grid:{count}", "sqrt_n")


def test_costs_beyond_sqlites_integers_are_stored(tmp_path):
    nodes = (
        Node("a", outputs=(Value("x", 1),), cost=2**60),
        Node("b", inputs=("x",), outputs=(Value("y", 1),), cost=2**60 - 1),
    )
    rows = hcp.compare(Graph(nodes), "100%", "keep_all", store=tmp_path / "s.db").rows
    assert hcp.compare(Graph(nodes), "100%", "keep_all", store=tmp_path / "s.db").rows == rows


def test_files_that_are_no_store(tmp_path):
    (tmp_path / "text").write_text("not a database, but long enough to be looked at as one by whoever opens it\n" * 9)
    with sqlite3.connect(tmp_path / "other.db") as database:
        database.execute("CREATE TABLE t (x)")
    for path, message in (
        (tmp_path / "text", "not a database"),
        (tmp_path / "other.db", "no store of this hcp; give another file"),
        (tmp_path, "give a file in an existing folder"),
        (tmp_path / "none" / "s.db", "give a file in an existing folder"),
    ):
        with pytest.raises(StoreError, match=message):
            Store(path)


def changed(folder, change):
    """Keeps a result in a store and changes it there."""
    hcp.compare(GRAPHS[0], "100%", "sqrt_n", store=folder / "s.db")
    with sqlite3.connect(folder / "s.db") as database:
        (outcome,) = database.execute("SELECT outcome FROM results").fetchone()
        data = json.loads(outcome)
        change(data)
        database.execute("UPDATE results SET outcome = ?", (json.dumps(data),))


def test_a_changed_result_is_found_by_replay(tmp_path):
    changed(tmp_path, lambda data: data.update(cost=data["cost"] - 1))
    with pytest.raises(StoreError, match=r"result of sqrt_n on training-chain-5 at 100% is damaged .*replay gives"):
        hcp.compare(GRAPHS[0], "100%", "sqrt_n", store=tmp_path / "s.db")


def test_a_stored_contradiction_is_said_in_a_sentence(tmp_path):
    wrong = {"of": "cost", "scope": "order-free", "certificate": None}
    changed(tmp_path, lambda data: data["bounds"].append({**wrong, "value": data["cost"] + 1}))
    with pytest.raises(StoreError, match=r"is damaged .*contradicts itself: no cost below"):
        hcp.compare(GRAPHS[0], "100%", "sqrt_n", store=tmp_path / "s.db")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data.update(budget_bytes=data["budget_bytes"] + 1), "one of another problem of"),
        (lambda data: data.update(host={"offload_rate": 1, "fetch_rate": 1, "latency": 0}), "one of another problem"),
        (lambda data: data.update(status="INFEASIBLE"), "claims to be INFEASIBLE, but has a schedule"),
        (lambda data: data.update(actions=None, status="FEASIBLE"), "has no schedule"),
    ],
)
def test_a_stored_result_that_is_none_of_its_task_is_refused(tmp_path, change, message):
    changed(tmp_path, change)
    with pytest.raises(StoreError, match=rf"is damaged .*{message}"):
        hcp.compare(GRAPHS[0], "100%", "sqrt_n", store=tmp_path / "s.db")


def test_a_stored_optimum_without_a_plan_is_refused(tmp_path):
    hcp.compare(GRAPHS[0], "100%", "sqrt_n", store=tmp_path / "s.db")
    with sqlite3.connect(tmp_path / "s.db") as database:
        database.execute("UPDATE results SET outcome = NULL, status = 'OPTIMAL'")
    with pytest.raises(StoreError, match=r"is damaged .*is OPTIMAL, but has no plan"):
        hcp.compare(GRAPHS[0], "100%", "sqrt_n", store=tmp_path / "s.db")


def test_what_a_worker_sends_has_to_be_about_its_task():
    """A Ray worker's result takes the same way as a stored one."""
    task = Task(GRAPHS[0], Row(GRAPHS[0].name, "100%", 5, "sqrt_n", ""), Limits())
    row = task.run()
    sent = outcome_to_dict(row.plan)
    assert task.restored(replace(row, plan=None, status=""), sent) == row
    claim = {"of": "peak", "value": row.plan.peak + 1, "scope": "order-free"}
    with pytest.raises(HcpError, match="contradicts itself"):
        task.restored(row, sent | {"bounds": [claim]})


def test_results_of_another_version_are_taken_and_said(tmp_path, monkeypatch):
    notices = []
    first = hcp.compare(GRAPHS[0], "100%", "sqrt_n", store=tmp_path / "s.db", notice=notices.append)
    assert not notices
    monkeypatch.setattr("hcp.sweeps.store.__version__", "9.9")
    assert hcp.compare(GRAPHS[0], "100%", "sqrt_n", store=tmp_path / "s.db", notice=notices.append) == first
    (notice,) = notices
    assert "results of hcp 0." in notice


def test_what_ctrl_c_cut_short_runs_again(tmp_path, monkeypatch):
    from dataclasses import replace

    run = Task.run

    def cut(task, *control):
        row = run(task, *control)
        if task.row.solver == "rotor":
            return replace(row, plan=replace(row.plan, interrupted=True))
        return row

    with monkeypatch.context() as patch:
        patch.setattr(Task, "run", cut)
        rows = hcp.compare(GRAPHS[0], "70%", ["sqrt_n", "rotor", "lp"], store=tmp_path / "s.db").rows
        assert [row.solver for row in rows] == ["sqrt_n", "rotor"]
    ran = count_runs(monkeypatch)
    rows = hcp.compare(GRAPHS[0], "70%", ["sqrt_n", "rotor", "lp"], store=tmp_path / "s.db").rows
    assert [row.solver for row in rows] == ["sqrt_n", "rotor", "lp"]
    assert len(ran) == 2
