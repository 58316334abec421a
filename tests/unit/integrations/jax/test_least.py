"""The least memory for a cost, and plans for devices that are not here."""

import jax
import jax.numpy as jnp
import pytest

from hcp import HcpError, keep_everything, replay
from hcp.integrations.devices import DEVICES
from hcp.integrations.jax import JaxError, checkpoint, checkpoint_plan, jit, minimize, value_and_grad
from hcp.integrations.jax.measure import memory_of

X = jnp.linspace(-1, 1, 64 * 64).reshape(64, 64) / 8
SHAPE = jax.ShapeDtypeStruct(X.shape, X.dtype)


def loss(x):
    for _ in range(8):
        x = jnp.tanh(x @ x)
    return x.sum()


def scanned(x):
    return jax.lax.scan(lambda c, _: (jnp.tanh(c @ x), None), x, length=8)[0].sum()


@pytest.mark.parametrize("function", [loss, scanned])
@pytest.mark.parametrize("overhead", ["10%", 0.1])
def test_the_least_memory_for_a_cost_runs(function, overhead):
    plan = minimize(function, X, overhead=overhead, solver="eviction", time_limit=2, cache=False, quiet=True)
    assert plan.overhead <= 0.1
    assert plan.memory_bytes < plan.keep_everything_bytes
    assert plan.budget_bytes == plan.measured_bytes
    planned = value_and_grad(function, plan=plan, cache=False, quiet=True)
    compiled = jit(planned).lower(X).compile()
    assert memory_of(compiled).total == plan.measured_bytes
    for ours, theirs in zip(compiled(X), jax.value_and_grad(function)(X), strict=True):
        assert jnp.allclose(ours, theirs, rtol=1e-5)


@pytest.mark.parametrize("overhead", ["much", -0.1, "-5%", float("nan"), "inf"])
def test_what_is_no_share_is_refused(overhead):
    with pytest.raises(JaxError, match=r"overhead .* is not understood; give a share such as 0.1 or '10%'"):
        minimize(loss, X, overhead=overhead)


def test_for_a_device_that_is_not_here_nothing_is_compiled(monkeypatch):
    def never(*_args, **_options):
        raise AssertionError("compiled")

    monkeypatch.setattr("hcp.integrations.jax.programs.measure", never)
    monkeypatch.setattr("hcp.integrations.jax.workspace.compiled_bytes", never)
    how = {"budget": "70%", "solver": "eviction", "cache": False, "quiet": True}
    fast, slow = (checkpoint_plan(loss, SHAPE, platform=name, **how) for name in ("b200", DEVICES["l40s"]))
    for plan in (fast, slow):
        assert (plan.measured_bytes, plan.plain_bytes) == (None, None)
        assert plan.budget_bytes == replay(plan.graph, keep_everything(plan.graph)).peak * 7 // 10
    assert fast.graph.base_cost < slow.graph.base_cost
    least = minimize(loss, SHAPE, platform="b200", solver="eviction", time_limit=1, quiet=True)
    assert least.budget_bytes == least.memory_bytes
    with pytest.raises(HcpError, match="device 'tpu-v9' is not known; give one of"):
        checkpoint_plan(loss, SHAPE, platform="tpu-v9", **how)


def test_products_of_short_numbers_are_faster():
    def product(x):
        return (x @ x).sum().astype(jnp.float32)

    costs = [
        checkpoint_plan(
            product,
            jax.ShapeDtypeStruct((4096, 4096), dtype),
            budget="100%",
            platform="h100-80gb",
            solver="keep_all",
            quiet=True,
        ).graph.base_cost
        for dtype in (jnp.bfloat16, jnp.float32)
    ]
    assert costs[0] < costs[1] / 5


def test_a_whole_step_is_planned_as_it_is():
    def step(x, rate):
        value, gradient = jax.value_and_grad(loss)(x)
        return value, x - rate * gradient

    planned = checkpoint(step, budget="55%", solver="eviction", cache=False, quiet=True)
    compiled = jit(planned).lower(X, 0.1).compile()
    assert memory_of(compiled).total <= planned.plan.budget_bytes
    assert planned.plan.overhead > 0
    for ours, theirs in zip(compiled(X, 0.1), step(X, 0.1), strict=True):
        assert jnp.allclose(ours, theirs, rtol=1e-5)
    # Numbers reach it as they are outside of a jit.
    assert jnp.allclose(planned(X, 0.1)[1], step(X, 0.1)[1], rtol=1e-5)
