"""scan: gradients of jax.lax.scan's, memory within the budget, and no more steps than the binomial optimum."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hcp import InfeasibleBudget, replay
from hcp.heuristics.revolve import advances
from hcp.integrations.jax import CaptureError, UnreachableBudget, jit, scan, scan_plan, value_and_grad
from tests.effort import some

LENGTH, ROWS, WIDTH = 40, 128, 32
WEIGHT = jax.random.normal(jax.random.key(0), (WIDTH, WIDTH)) / WIDTH**0.5
START = jax.random.normal(jax.random.key(1), (ROWS, WIDTH))
PUSHES = jax.random.normal(jax.random.key(2), (LENGTH, WIDTH))


def simulation(scan, **options):
    """Steps with a weight that is closed over, stacked results, a counter and a random key in the carry."""

    def loss(weight, start, pushes):
        def step(carry, push):
            state, count, key = carry
            key, draw = jax.random.split(key)
            noise = 1 + 0.01 * jax.random.uniform(draw, state.shape)
            state = jnp.tanh(state @ weight + push) * noise
            return (state, count + 1, key), {"sum": state.sum(), "count": count}

        (state, count, _), seen = scan(step, (start, 0, jax.random.key(3)), pushes, **options)
        return (state**2).mean() + 1e-3 * (seen["sum"] ** 2).mean() + 0.0 * count

    return loss


def close(ours, theirs):
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * float(jnp.abs(b).max()))


@pytest.mark.parametrize("reverse", some([False, True], 1))
def test_gradients_and_memory(reverse):
    args = (WEIGHT, START, PUSHES)
    reference = jax.jit(jax.value_and_grad(simulation(jax.lax.scan, reverse=reverse), (0, 1, 2)))(*args)
    held = ROWS * WIDTH * 4
    for carries in (4, 10):
        budget = carries * held + 100_000
        loss = simulation(scan, budget=budget, reverse=reverse)
        function = jit(jax.value_and_grad(loss, (0, 1, 2)))
        close(function(*args), reference)
        analysis = function.lower(*args).compile().memory_analysis()
        # Beside carries and a step's workspace: accumulated gradients of the weight, stacks, and what indexes them.
        assert analysis.temp_size_in_bytes <= budget + 4 * WEIGHT.nbytes + 4 * PUSHES.nbytes
    assert jax.jit(loss)(*args) == reference[0]


def test_the_plan_has_the_fewest_steps_and_keeps_the_budget():
    def step(state, push):
        return jnp.tanh(state @ WEIGHT + push), None

    for budget in ("100%", "60%", "30%", "15%"):
        plan = scan_plan(step, START, PUSHES, budget=budget)
        assert replay(plan.plan.graph, plan.plan.schedule).peak <= plan.plan.problem.budget
        # Two of the held carries are the input and the output of a running step; one more step makes the last carry.
        assert plan.forward_steps <= advances(LENGTH, plan.held_carries - 2) + 1
        assert plan.plan.overhead >= 0
    assert scan_plan(step, START, PUSHES, budget="100%").forward_steps == LENGTH


@pytest.mark.parametrize("solver", ["revolve", "eviction", "interval_tree"])
def test_other_planners_run_as_well(solver):
    def loss(scan, **options):
        def run(weight):
            state, sums = scan(lambda c, x: (jnp.tanh(c @ weight + x), c.sum()), START, PUSHES, **options)
            return (state**2).mean() + 1e-3 * sums.sum()

        return run

    ours = jax.jit(jax.grad(loss(scan, budget="50%", solver=solver)))(WEIGHT)
    close(ours, jax.jit(jax.grad(loss(jax.lax.scan)))(WEIGHT))


def test_without_xs_within_vmap_and_within_a_planned_gradient():
    def loss(scan, **options):
        def run(weight, start):
            return (scan(lambda c, _: (jnp.sin(c @ weight), None), start, length=12, **options)[0] ** 2).mean()

        return run

    ours, theirs = loss(scan, budget="60%"), loss(jax.lax.scan)
    starts = jnp.stack([START, 2 * START])
    close(
        jit(jax.vmap(jax.grad(ours), (None, 0)))(WEIGHT, starts),
        jax.vmap(jax.grad(theirs), (None, 0))(WEIGHT, starts),
    )
    close(
        value_and_grad(ours, budget="100%", solver="keep_all")(WEIGHT, START),
        jax.value_and_grad(theirs)(WEIGHT, START),
    )


def test_a_step_can_be_planned_as_well():
    def deep(carry, push):
        for _ in range(6):
            carry = jnp.tanh(carry @ WEIGHT + push)
        return carry, None

    def loss(start, **options):
        return (scan(deep, start, PUSHES[:5], budget="100%", **options)[0] ** 2).mean()

    reference = jax.jit(jax.grad(lambda start: (jax.lax.scan(deep, start, PUSHES[:5])[0] ** 2).mean()))(START)
    plain = jit(jax.grad(loss)).lower(START).compile().memory_analysis().temp_size_in_bytes
    planned = jit(jax.grad(lambda start: loss(start, step_budget="80%", time_limit=3)))
    close(planned(START), reference)
    assert planned.lower(START).compile().memory_analysis().temp_size_in_bytes < plain


def test_short_scans():
    def run(length, start):
        return scan(lambda c, x: (c * x, c), start, jnp.arange(1.0, length + 1), budget="100%")

    carry, stacks = run(0, START)
    assert (carry == START).all()
    assert stacks.shape == (0, ROWS, WIDTH)
    assert jax.grad(lambda s: run(1, s)[0].sum() + run(1, s)[1].sum())(START)[0, 0] == 2


def test_errors_name_the_mend():
    def changing(carry, _):
        return carry.astype(jnp.bfloat16), None

    with pytest.raises(CaptureError, match=r"changing turns leaf 0 of its carry from float32.* into bfloat16"):
        scan(changing, START, length=3, budget="50%")

    def splitting(carry, _):
        return (carry, carry), None

    with pytest.raises(CaptureError, match="splitting returns a carry of structure"):
        scan(splitting, START, length=3, budget="50%")

    def printing(carry, _):
        jax.debug.print("{}", carry.sum())
        return carry, None

    with pytest.raises(CaptureError, match=r"printing has the effect of debug_.*cannot replay"):
        scan(printing, START, length=3, budget="50%")

    def step(carry, x):
        return jnp.tanh(carry + x), None

    with pytest.raises(CaptureError, match=r"lengths \[4, 40\]"):
        scan(step, START, PUSHES, length=4, budget="50%")
    with pytest.raises(CaptureError, match=r"lengths \[\]"):
        scan(step, START, budget="50%")
    with pytest.raises(InfeasibleBudget, match="smallest budget known to work"):
        scan_plan(step, START, PUSHES, budget="2%")
    with pytest.raises(UnreachableBudget, match="'keep_all' found no plan for the scan over step within '50%'"):
        scan_plan(step, START, PUSHES, budget="50%", solver="keep_all")
