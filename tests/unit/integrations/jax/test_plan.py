"""Plans for what the compiled program may take: planned for less until it keeps the budget."""

import jax
import jax.numpy as jnp
import pytest

from hcp import InfeasibleBudget, NotApplicable, keep_everything, replay
from hcp.heuristics.eviction import Eviction
from hcp.integrations.jax import plan as module
from hcp.integrations.jax.errors import UnreachableBudget
from hcp.integrations.jax.jaxpr import flatten
from hcp.integrations.jax.lower import lower
from hcp.integrations.jax.plan import ATTEMPTS, fit, whole_bytes
from hcp.integrations.jax.request import JaxRequest

X = jnp.ones((8, 8))


def loss(x):
    for _ in range(8):
        x = jnp.sin(x @ x)
    return x.sum()


LOWERED = lower(flatten(jax.make_jaxpr(jax.grad(loss))(X)), name="loss", calibrate=False)
WHOLE = replay(LOWERED.graph, keep_everything(LOWERED.graph)).peak


def request(**options):
    return JaxRequest(**{"budget": "80%", "solver": "eviction", "cache": False, "quiet": True} | options)


@pytest.fixture
def taken(monkeypatch):
    """Programs that take some bytes more than their plans."""
    beyond = []

    def measured(lowered, schedule, shapes):
        extra = beyond.pop(0) if beyond else 0
        return replay(lowered.graph, schedule).peak + extra

    monkeypatch.setattr(module, "_taken", measured)
    return beyond


def test_a_program_that_keeps_the_budget_is_taken(taken):
    plan = fit(LOWERED, request(), (), WHOLE)
    assert plan.measured_bytes == plan.memory_bytes <= plan.budget_bytes == WHOLE * 8 // 10
    assert plan.keep_everything_bytes == WHOLE
    assert "planned, measured" in str(plan)


def test_a_program_that_takes_more_is_planned_for_less(taken, capsys):
    taken += [500]
    asked = request(budget=WHOLE * 9 // 10, quiet=False, time_limit=11)
    plan = fit(LOWERED, asked, (), WHOLE)
    # One for the budget asked for, with the bounds of that.
    assert plan.budget_bytes == WHOLE * 9 // 10
    assert plan.measured_bytes <= plan.budget_bytes
    assert plan.gap is not None
    again = [line for line in capsys.readouterr().err.splitlines() if "again, as the compiled program takes" in line]
    assert len(again) == 1


def test_attempts_end(taken):
    taken += [10_000] * 2 * ATTEMPTS
    with pytest.raises(UnreachableBudget, match=r"whose compiled program keeps .*the smallest one takes [\d,]+ bytes"):
        fit(LOWERED, request(), (), WHOLE)
    assert len(taken) > ATTEMPTS


def test_without_measuring_the_plan_is_believed(taken):
    taken += [10_000]
    plan = fit(LOWERED, request(measure=False), (), WHOLE)
    assert plan.measured_bytes is None
    assert "not measured" in str(plan)
    assert whole_bytes(LOWERED, request(measure=False), ()) == WHOLE
    assert whole_bytes(LOWERED, request(), ()) == WHOLE + 10_000


def test_percentages_are_of_what_keeping_everything_takes(taken):
    assert fit(LOWERED, request(budget="50%"), (), 2 * WHOLE).budget_bytes == WHOLE


def test_planners_that_fail(taken):
    with pytest.raises(InfeasibleBudget, match="no schedule fits 10 bytes"):
        fit(LOWERED, request(budget=10), (), WHOLE)
    with pytest.raises(UnreachableBudget, match="found no plan for loss within"):
        fit(LOWERED, request(solver="keep_all", budget="60%"), (), WHOLE)
    with pytest.raises(NotApplicable):
        fit(LOWERED, request(solver="revolve", budget="60%"), (), WHOLE)
    assert fit(LOWERED, request(solver=Eviction()), (), WHOLE).overhead >= 0
