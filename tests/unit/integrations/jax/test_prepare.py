"""From a captured call to what runs: the whole program or the one with cut loops, planned or given."""

import jax
import jax.numpy as jnp
import pytest
from jax import lax

from hcp import InfeasibleBudget, ScheduleError, keep_everything, load_plan, save_plan
from hcp.integrations.jax import ExecutionError, checkpoint_plan, value_and_grad

X = jnp.ones((64, 64)) / 64
WS = jnp.ones((6, 64, 64)) / 64
OPTIONS = {"solver": "eviction", "cache": False, "quiet": True}


def loss(x):
    for _ in range(10):
        x = jnp.tanh(x @ x)
    return x.sum()


def scanned(ws, x):
    return lax.scan(lambda x, w: (jnp.tanh(x @ w), None), x, ws)[0].sum()


def test_a_plan_can_be_given(tmp_path):
    made = checkpoint_plan(loss, X, budget="60%", **OPTIONS)
    save_plan(made.plan, tmp_path / "plan.json")
    expected = jax.value_and_grad(loss)(X)
    for given in (made, made.plan, made.schedule, load_plan(tmp_path / "plan.json"), lambda graph: made.schedule):
        planned = value_and_grad(loss, plan=given, cache=False, quiet=True)
        for one, other in zip(planned(X), expected, strict=True):
            assert jnp.allclose(one, other, rtol=1e-5)
        assert planned.plan.schedule == made.schedule
        assert planned.plan.measured_bytes == made.measured_bytes
    assert value_and_grad(loss, plan=made, budget="90%", quiet=True).prepare(X).plan.budget_bytes > made.budget_bytes


def test_a_plan_for_cut_loops_is_taken_up_there():
    made = checkpoint_plan(scanned, WS, X, budget="60%", **OPTIONS)
    whole = checkpoint_plan(scanned, WS, X, budget="100%", **OPTIONS)
    assert len(made.graph.nodes) > len(whole.graph.nodes)
    for plan in (made, whole):
        assert value_and_grad(scanned, plan=plan, quiet=True).prepare(WS, X).plan.schedule == plan.schedule


def test_plans_that_do_not_fit():
    made = checkpoint_plan(loss, X, budget="60%", **OPTIONS)
    with pytest.raises(ExecutionError, match="made for another graph"):
        value_and_grad(loss, plan=made, quiet=True)(X[:4, :4])
    with pytest.raises(ExecutionError, match="over the budget"):
        value_and_grad(loss, plan=keep_everything, budget="50%", quiet=True)(X)
    with pytest.raises(InfeasibleBudget, match="no schedule fits"):
        value_and_grad(loss, plan=keep_everything, budget=10, quiet=True)(X)
    with pytest.raises(ScheduleError):
        value_and_grad(loss, plan=checkpoint_plan(jnp.sum, X, budget="100%", **OPTIONS).schedule, quiet=True)(X)


def test_percentages_are_of_the_whole_program():
    """Also where loops are cut up, whose graph keeps more or less."""
    made = checkpoint_plan(scanned, WS, X, budget="60%", **OPTIONS)
    assert made.budget_bytes == made.plain_bytes * 6 // 10


def test_of_loops_in_parts_the_gap_says_so():
    """Long loops stack up less, or are cut into parts where that is not enough; plans for either are taken up again."""

    def loss(w, x):
        def step(state, _):
            state = jnp.tanh(state @ w) * jax.nn.sigmoid(state)
            return jnp.cos(state) + jnp.exp(-state), None

        return lax.scan(step, x, None, length=900)[0].sum()

    w, x = jnp.eye(4), jnp.ones((3, 4))
    how = OPTIONS | {"measure": False}
    whole = checkpoint_plan(loss, w, x, budget="100%", **how)
    slim = checkpoint_plan(loss, w, x, budget=whole.keep_everything_bytes * 8 // 10, **how)
    parts = checkpoint_plan(loss, w, x, budget=slim.keep_everything_bytes * 4 // 10, **how)
    assert (slim.parts, slim.overhead, slim.gap) == (None, 0, 0)
    assert slim.gap_scope == "order-free, of loops whose steps make no product again"
    assert (parts.parts, parts.gap_scope) == (4, "order-free, of long loops in 4 parts")
    assert parts.overhead > 0
    expected = jax.value_and_grad(loss)(w, x)
    for plan in (whole, slim, parts):
        planned = value_and_grad(loss, plan=plan, measure=False, quiet=True)
        for one, other in zip(planned(w, x), expected, strict=True):
            assert jnp.allclose(one, other, rtol=1e-4, atol=1e-5)
        assert planned.plan.parts == plan.parts


def test_long_loops_make_products_again_in_their_steps():
    """Where that is cheaper than parts that run again; of other ways to do so nothing is known."""

    def loss(w, x):
        def step(state, x):
            return jnp.tanh(jax.nn.sigmoid(state @ w) @ w.T * x), None

        return lax.scan(step, x[0], x)[0].sum()

    w, x = jnp.eye(16, 512) + 0.1, jnp.ones((600, 8, 16)) / 8
    slim = checkpoint_plan(loss, w, x, budget="60%", **OPTIONS)
    again = checkpoint_plan(loss, w, x, budget=slim.measured_bytes * 6 // 10, **OPTIONS)
    assert (slim.overhead, slim.gap) == (0, 0)
    assert again.measured_bytes <= again.budget_bytes
    assert (again.parts, again.plain) == (None, True)
    assert again.overhead > 0
    assert again.gap is None
    assert "with loops that stack up less" in str(again)
    expected = jax.value_and_grad(loss)(w, x)
    for plan in (slim, again):
        planned = value_and_grad(loss, plan=plan, cache=False, quiet=True)
        for one, other in zip(planned(w, x), expected, strict=True):
            assert jnp.allclose(one, other, rtol=1e-4, atol=1e-5)
        assert (planned.plan.overhead, planned.plan.measured_bytes) == (plan.overhead, plan.measured_bytes)
