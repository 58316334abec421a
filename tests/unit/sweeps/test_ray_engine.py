"""Sweeps on a local Ray cluster of two workers: the local engine's rows, workers that die, and errors."""

import os
import signal
import threading

import pytest

ray = pytest.importorskip("ray")

import hcp  # noqa: E402
from hcp.graph.errors import HcpError  # noqa: E402
from hcp.graph.instances import training_chain, unet  # noqa: E402
from hcp.sweeps import ray_engine  # noqa: E402
from hcp.sweeps.engines import engine_named  # noqa: E402
from hcp.sweeps.ray_engine import RayEngine  # noqa: E402
from hcp.sweeps.store import Store  # noqa: E402
from tests.effort import slow  # noqa: E402

GRAPHS = [training_chain(8), unet(2)]
BUDGETS = ["100%", "70%"]
SOLVERS = ["exhaustive", "sqrt_n", "lp", "rotor"]


@pytest.fixture(scope="module", autouse=True)
def cluster():
    """One cluster for all tests; an engine uses the one that is there."""
    RayEngine(processes=2)._start(ray)
    yield
    ray.shutdown()


def without_times(comparison):
    return [
        {key: value for key, value in row.to_dict().items() if key not in ("seconds", "trace")}
        for row in comparison.rows
    ]


def sweep(**options):
    return hcp.compare(GRAPHS, BUDGETS, SOLVERS, time_limit=30, **options)


def test_rows_are_the_local_engines(tmp_path):
    local = without_times(sweep())
    assert without_times(sweep(engine=RayEngine(processes=2), store=tmp_path / "s.db")) == local
    with Store(tmp_path / "s.db") as store:
        assert len(store) == len(local)
    # A store that a cluster filled serves the local engine.
    assert without_times(sweep(store=tmp_path / "s.db")) == local


def kill_workers(monkeypatch, count):
    """Kills the first workers of a sweep with SIGKILL, a moment after each has started."""
    make = ray_engine._Pool._worker
    killed = []

    def made(pool):
        worker = make(pool)
        if len(killed) < count:
            process = int(pool._names[worker].split()[1])
            killed.append(process)
            threading.Timer(0.7, os.kill, (process, signal.SIGKILL)).start()
        return worker

    monkeypatch.setattr(ray_engine._Pool, "_worker", made)
    return killed


@slow
def test_a_killed_worker_is_named_and_its_task_runs_again(monkeypatch, tmp_path):
    killed = kill_workers(monkeypatch, 1)
    notices = []
    graph = unet(6)
    comparison = hcp.compare(
        graph,
        ["80%", "70%"],
        "anneal",
        time_limit=3,
        store=tmp_path / "s.db",
        engine=RayEngine(),
        notice=notices.append,
    )
    assert [row.solver for row in comparison.rows] == ["anneal", "anneal"]
    assert {row.status for row in comparison.rows} <= {"FEASIBLE", "OPTIMAL", "NO_SOLUTION"}
    (notice,) = notices
    assert f"process {killed[0]} on " in notice
    assert "anneal on unet-6 at" in notice
    assert "run again, attempt 2 of 3" in notice


@slow
def test_a_task_whose_workers_all_die_gives_a_row_that_says_so(monkeypatch, tmp_path):
    killed = kill_workers(monkeypatch, 3)
    graph = unet(6)
    (row,) = hcp.compare(graph, "70%", "anneal", time_limit=20, store=tmp_path / "s.db", engine=RayEngine()).rows
    assert len(killed) == 3
    assert row.status == "FAILED"
    assert f"process {killed[-1]} on " in row.message
    assert "more memory" in row.message
    with Store(tmp_path / "s.db") as store:
        # A resumed sweep tries it again.
        assert len(store) == 0


@slow
def test_ctrl_c_keeps_what_is_done(monkeypatch, tmp_path):
    wait = ray.wait
    calls = []

    def counted(*arguments, **options):
        done = wait(*arguments, **options)
        calls.extend(done[0])
        return done

    monkeypatch.setattr(ray, "wait", counted)
    notices = []
    options = {"notice": notices.append, "stop": lambda: len(calls) >= 3}
    rows = sweep(engine=RayEngine(), store=tmp_path / "s.db", **options).rows
    assert len(rows) == 3
    assert notices == ["stopped by the user; what is done is kept"]
    with Store(tmp_path / "s.db") as store:
        assert len(store) == 3
    monkeypatch.undo()
    assert without_times(sweep(engine=RayEngine(), store=tmp_path / "s.db")) == without_times(sweep())


def test_engines_by_name():
    assert engine_named("ray", processes=2) == RayEngine(processes=2)
    for arguments, message in (
        (("spark",), "unknown engine 'spark'; choose one of local, ray"),
        (("local", "here:1"), "takes no address; use engine 'ray'"),
        (("ray", None, 0), "0 processes cannot run anything"),
    ):
        with pytest.raises(HcpError, match=message):
            engine_named(*arguments)


def test_a_missing_ray_is_said(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(HcpError, match=r"ray is not installed; pip install 'hcp-checkpointing\[ray\]'"):
        RayEngine()
