"""Tables of steps, run: any plan of a chain gives the scan and its gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from hcp import solve
from hcp.integrations.jax.chain import StepSizes, chain_graph, table
from hcp.integrations.jax.chain_plan import ScanChain
from hcp.integrations.jax.machine import Machine
from hcp.integrations.jax.step import capture_step

W = jnp.arange(9.0).reshape(3, 3) / 9
XS = jnp.linspace(-1, 1, 21).reshape(7, 3)
LENGTH = len(XS)


def body(h, x):
    h = jnp.tanh(h @ W + x)
    return h, h * x


def machine(budget, reverse):
    step = capture_step(body, XS[0], XS, None)
    graph = chain_graph(LENGTH, StepSizes(1, 1, 1, 1), "body")
    plan = solve(graph, budget, ScanChain())
    return step, Machine(step.body, step.back, LENGTH, reverse, table(LENGTH, plan.schedule))


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("budget", ["100%", "60%", 5])
def test_a_scan_and_its_way_back(budget, reverse):
    step, made = machine(budget, reverse)
    (h,), (ys,), slots = made.forward(step.constants, step.init, [XS])
    (expected_h, expected_ys), pull = jax.vjp(lambda h, xs: lax.scan(body, h, xs, reverse=reverse), XS[0], XS)
    np.testing.assert_allclose(h, expected_h, rtol=1e-6)
    np.testing.assert_allclose(ys, expected_ys, rtol=1e-6)
    assert slots[0].shape == (made.table.slots, 3)
    cotangents = jnp.ones(3), jnp.full((LENGTH, 3), 2.0)
    _, (of_h,), (of_xs,) = made.backward(step.constants, [XS], slots, ([cotangents[0]], [cotangents[1]]))
    for one, other in zip((of_h, of_xs), pull(cotangents), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_less_room_takes_more_steps():
    steps = [machine(budget, False)[1].table.forward_steps for budget in ("100%", "60%", 5)]
    assert steps[0] == LENGTH < steps[1] < steps[2]
    # With one carry held, every step of the way back begins at the first one.
    assert steps[2] <= LENGTH * (LENGTH + 1) // 2


def test_places():
    assert machine("100%", False)[1].place(2) == 2
    assert machine("100%", True)[1].place(2) == LENGTH - 3
