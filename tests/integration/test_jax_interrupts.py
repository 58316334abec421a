"""Ctrl-C while a step is planned: no further attempt begins, and the program gets the KeyboardInterrupt."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from hcp import Solution, Status
from hcp.heuristics.eviction import Eviction
from hcp.integrations.jax import grad, height_compressed_grad, scan
from tests.integration.jax_steps import mlp, scan_over_layers

PROGRAM = """
import signal
from hcp.heuristics.anneal import Anneal
from hcp.integrations.jax import value_and_grad
from tests.integration.jax_steps import scan_over_layers

# Shells start background jobs with the signal ignored, and children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
asked = []

def planner(problem, limits, control):
    asked.append(problem)
    return Anneal()(problem, limits, control)

sent = []

def monitor(progress):
    if len(asked) == 1 and not sent:
        sent.append(progress)
        signal.raise_signal(signal.SIGINT)

loss, args = scan_over_layers()
planned = value_and_grad(loss, budget="60%", solver=planner, time_limit=10, monitor=monitor)
try:
    planned.prepare(*args)
except KeyboardInterrupt as error:
    print("interrupted", error)
print(len(asked), "asked", len(planned.plans), "planned")
"""
ROOT = Path(__file__).parents[2]


class Interrupted:
    """Plans as others do, and is ended by Ctrl-C; the next searches are not."""

    def __init__(self, found):
        self.found = found
        self.asked = 0

    def __call__(self, problem):
        self.asked += 1
        return replace(self.found(problem), interrupted=self.asked == 1)


def nothing(_):
    return Solution(None, Status.NO_SOLUTION, planner="nothing")


@pytest.mark.parametrize("found", [nothing, Eviction()])
@pytest.mark.parametrize("step", [mlp, scan_over_layers])
def test_no_further_attempt_begins(step, found):
    """Of a step with loops, others would follow: with the loops cut up, and uncut."""
    loss, args = step()
    planner = Interrupted(found)
    planned = grad(loss, budget="80%", solver=planner)
    with pytest.raises(KeyboardInterrupt, match="planning of loss was stopped by the user"):
        planned(*args)
    assert planner.asked == 1
    assert not planned.plans


def test_the_next_call_plans_afresh():
    loss, args = mlp()
    planner = Interrupted(Eviction())
    planned = grad(loss, budget="80%", solver=planner)
    with pytest.raises(KeyboardInterrupt):
        planned(*args)
    planned(*args)
    assert planner.asked > 1
    assert planned.plan.measured_bytes <= planned.plan.budget_bytes


def test_a_plan_cut_short_is_not_run_node_by_node():
    loss, args = mlp()
    function = height_compressed_grad(loss, planner=Interrupted(Eviction()), budget="80%")
    with pytest.raises(KeyboardInterrupt):
        function(*args)
    assert function.last_execution is None


def test_a_planned_scan():
    def energy(x):
        return scan(lambda x, _: (jnp.tanh(x), None), x, length=20, budget="50%", solver=Interrupted(Eviction()))[
            0
        ].sum()

    with pytest.raises(KeyboardInterrupt):
        jax.grad(energy)(jnp.ones(8))


def test_a_real_signal():
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "interrupted planning of loss was stopped by the user" in done.stdout
    assert done.stdout.endswith("1 asked 0 planned\n")
