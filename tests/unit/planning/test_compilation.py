"""What is compiled once for an installation: beside the planners, out of nobody's time limit."""

import os
import subprocess
import sys

import pytest

import hcp
from hcp.graph.instances import instance, unet
from hcp.planning.compilation import ANNEALING, COMPILING, STILL_COMPILING, Part
from hcp.planning.deadline import Deadline


def python(code, **environment):
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def cold(monkeypatch):
    """An installation on which compiling takes longer than any time limit."""
    monkeypatch.setattr(Part, "ready", lambda part: False)

    def compiled(*_, **__):
        raise AssertionError("compiled code was called out of a time limit")

    for name in ("annealing.engine.walk", "annealing.engine.evict_greedily"):
        monkeypatch.setattr(f"hcp.{name}", compiled)
    for name in ("conflicts.order_search._search", "cut_relaxation.separation._cheapest_ways"):
        monkeypatch.setattr(f"hcp.solvers.{name}", compiled)


@pytest.mark.parametrize("name", ["unet:4", "transformer:2"])
def test_auto_is_no_worse_than_its_quick_heuristics_before_anything_is_compiled(cold, name):
    graph, phases = instance(name), set()
    plan = hcp.solve(graph, "80%", "auto", time_limit=3, monitor=lambda progress: phases.add(progress.phase))
    quick = hcp.compare(
        graph, "80%", ["lower_sets", "rotor", "eviction", "chen_greedy", "sqrt_n", "interval_tree"]
    ).rows
    assert plan.cost <= min(row.plan.cost for row in quick if row.plan is not None and row.plan.cost is not None)
    # The relaxation and its integer program need no compiled code.
    assert plan.best_bound().value > graph.base_cost
    assert plan.status is hcp.Status.OPTIMAL or (STILL_COMPILING in plan.note and COMPILING in phases)


@pytest.mark.parametrize("solver", ["anneal", "memetic", "cpsat", "lp", "staged", "reorder"])
def test_nobody_compiles_out_of_a_time_limit(cold, solver):
    plan = hcp.solve(unet(3), "70%", solver, time_limit=0.5)
    assert plan.best_bound().value >= plan.graph.base_cost
    if solver in ("anneal", "memetic"):
        assert plan.note.startswith(STILL_COMPILING)


def test_a_process_compiles_while_this_one_goes_on(tmp_path):
    code = """
from hcp.planning.compilation import PATH_CUTS
from hcp.planning.deadline import Deadline
print(PATH_CUTS.ready(), PATH_CUTS.wait(Deadline(300)))
import hcp.solvers.cut_relaxation.separation as paths
paths.compile_all()
print(sum(paths._cheapest_ways.stats.cache_misses.values()))
"""
    assert python(code, NUMBA_CACHE_DIR=str(tmp_path)).split() == ["False", "True", "0"]
    # The next process finds what this one made.
    assert python(code, NUMBA_CACHE_DIR=str(tmp_path)).split() == ["True", "True", "0"]


def test_a_part_that_cannot_be_compiled_beside_is_compiled_where_it_is_called(monkeypatch):
    part = Part("nothing", ANNEALING.module, "*.py")
    assert not part.ready()
    # Its process finds no part of that name, and ends.
    assert part.wait(Deadline(60))
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert Part("nothing", ANNEALING.module, "*.py").ready()


def test_what_is_compiled_ahead_is_all_that_planners_call():
    code = """
import hcp
from numba.core.dispatcher import Dispatcher
from hcp.planning.compilation import PARTS
from hcp.graph.instances import instance
import hcp.solvers.conflicts.order_search, hcp.solvers.cut_relaxation.separation, hcp.annealing.rounds, sys
import hcp.planning.compiled_sequences
for part in PARTS:
    sys.modules[part.module].compile_all()
modules = [m for n, m in sys.modules.items() if n.startswith(("hcp.annealing.", "hcp.planning.", "hcp.solvers."))]
found = {f"{f.__module__}.{f.__name__}": f for m in modules for f in vars(m).values() if isinstance(f, Dispatcher)}
entries = {name: f for name, f in found.items() if f.signatures}
before = {name: list(f.signatures) for name, f in entries.items()}
assert len(before) >= 5, before
graph = instance("transformer:2")
for solver in ("auto", "memetic", "anneal", "reorder"):
    for order in (None, graph.order):
        hcp.solve(graph, "70%", solver, time_limit=1, order=order)
for name, f in found.items():
    assert list(f.signatures) == before.get(name, []), name
"""
    python(code)
