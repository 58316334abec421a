"""Planned gradients within the rest of JAX: jit, vmap, scan, donation, types, callbacks, and several devices."""

import subprocess
import sys
import textwrap
import warnings
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.ad_checkpoint import checkpoint_name

from hcp.integrations.jax import (
    BarrierWarning,
    ExecutionError,
    JaxError,
    checkpoint,
    checkpoint_plan,
    grad,
    jit,
    value_and_grad,
)
from tests.effort import slow
from tests.integration.jax_steps import mlp, user_checkpointed

HOW = {"solver": "eviction", "budget": "55%"}


@pytest.fixture(scope="module")
def step():
    loss, args = mlp()
    return loss, args, jax.jit(jax.value_and_grad(loss))(*args)


def close(ours, theirs, rtol=1e-4):
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-6)
    return True


def test_called_with_arrays_it_compiles_and_runs(step):
    loss, args, reference = step
    function = value_and_grad(loss, **HOW)
    with pytest.raises(ExecutionError, match="has no plan yet"):
        function.plan  # noqa: B018
    assert close(function(*args), reference)
    assert function.plan.overhead > 0
    assert function(*args)[0] == function(*args)[0]
    assert len(function.plans) == 1
    assert function.__name__ == "loss"
    assert close(grad(loss, **HOW)(*args), reference[1])


def test_other_shapes_get_a_plan_of_their_own(step):
    loss, (params, x), _ = step
    function = value_and_grad(loss, **HOW)
    function(params, x)
    half = x[:64]
    assert close(function(params, half), jax.value_and_grad(loss)(params, half))
    assert len(function.plans) == 2


def test_within_jit_it_is_part_of_the_program(step):
    loss, args, reference = step
    function = value_and_grad(loss, **HOW)

    @jit
    def training_step(params, x):
        value, gradient = function(params, x)
        return value, jax.tree.map(lambda w, g: w - 0.1 * g, params, gradient)

    value, updated = training_step(*args)
    assert close(value, reference[0])
    assert close(updated, jax.tree.map(lambda w, g: w - 0.1 * g, args[0], reference[1]))
    analysis = training_step.lower(*args).compile().memory_analysis()
    assert analysis.temp_size_in_bytes + analysis.output_size_in_bytes <= 1.2 * function.plan.budget_bytes
    assert training_step.eval_shape(*args)[0].shape == ()


def test_vmap_both_ways(step):
    loss, (params, x), _ = step
    parts = x.reshape(2, 64, -1)
    expected = jax.vmap(jax.grad(loss), (None, 0))(params, parts)
    assert close(jit(jax.vmap(grad(loss, **HOW), (None, 0)))(params, parts), expected)

    def batched(params, parts):
        return jax.vmap(loss, (None, 0))(params, parts).mean()

    assert close(grad(batched, **HOW)(params, parts), jax.grad(batched)(params, parts))


def test_arguments_outputs_and_names(step):
    loss, (params, x), _ = step

    def named(params, *, x, mode, scale=2):
        if mode == "train":
            x = x * scale
        return loss(params, x), {"mean": x.mean()}

    ours = value_and_grad(named, has_aux=True, **HOW)(params, x=x, mode="train")
    assert close(ours, jax.value_and_grad(named, has_aux=True)(params, x=x, mode="train"))
    both = grad(loss, argnums=(0, 1), budget="95%", solver="eviction")(params, x)
    assert close(both, jax.grad(loss, argnums=(0, 1))(params, x))
    assert close(grad(loss, argnums=-1, budget="95%", solver="eviction")(params, x), both[1])
    assert grad(lambda x: x**2, budget="100%", solver="keep_all")(3.0) == 6.0


def test_values_that_are_no_arrays_reach_the_function_as_they_are():
    def loss(x, flag):
        return (x**2).sum() if flag is True else x.sum()

    function = grad(loss, budget="100%", solver="keep_all")
    x = jnp.arange(3.0)
    assert close(function(x, True), 2 * x)
    assert close(function(x, 1), jnp.ones(3))


def test_holomorphic_functions():
    z = jnp.linspace(0, 1, 64) * (1 + 2j)

    def function(z):
        return (jnp.sin(z) ** 3).sum()

    ours = grad(function, holomorphic=True, budget="100%", solver="keep_all")(z)
    assert close(ours, jax.grad(function, holomorphic=True)(z))


def test_a_scanned_training_loop(step):
    loss, (params, x), _ = step

    def train(gradient, params):
        def one(params, _):
            return jax.tree.map(lambda w, g: w - 0.1 * g, params, gradient(params, x)), None

        return jax.lax.scan(one, params, None, length=3)[0]

    ours = jit(lambda params: train(grad(loss, **HOW), params))(params)
    assert close(ours, jax.jit(lambda params: train(jax.grad(loss), params))(params), rtol=1e-3)


def test_donation(step):
    loss, (params, x), (_, gradient) = step
    function = jit(lambda p, x: jax.tree.map(jnp.subtract, p, grad(loss, **HOW)(p, x)), donate_argnums=0)
    given = jax.tree.map(jnp.copy, params)
    assert close(function(given, x), jax.tree.map(jnp.subtract, params, gradient))
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(given))


def test_bfloat16(step):
    loss, args, _ = step
    args = jax.tree.map(lambda a: a.astype(jnp.bfloat16), args)
    ours, theirs = grad(loss, **HOW)(*args), jax.jit(jax.grad(loss))(*args)
    assert all(a.dtype == jnp.bfloat16 for a in jax.tree.leaves(ours))
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        scale = float(jnp.abs(b).max())
        np.testing.assert_allclose(a.astype(jnp.float32), b.astype(jnp.float32), atol=0.02 * scale)


def test_raw_keys_give_the_reference_gradients(step):
    _, (params, x), _ = step

    def loss(params, x, key):
        for weight in params[:5]:
            key, own = jax.random.split(key)
            x = jnp.where(jax.random.bernoulli(own, 0.8, x.shape), jnp.tanh(x @ weight), 0)
        return jnp.mean(x**2)

    key = jax.random.PRNGKey(3)
    function = grad(loss, **HOW)
    assert close(jit(function)(params, x, key), jax.jit(jax.grad(loss))(params, x, key))
    assert function.plan.overhead > 0


def test_effects_happen_once_and_in_order(step):
    loss, (params, x), reference = step
    seen = []

    def noisy(params, x):
        jax.debug.callback(lambda i: seen.append(int(i)), 1)
        value = loss(params, x)
        jax.debug.callback(lambda v: seen.append(float(v)), value)
        return value

    function = value_and_grad(noisy, budget="50%", solver="eviction")
    assert close(function(params, x), reference)
    jax.effects_barrier()
    assert sorted(seen) == sorted([1, float(reference[0])])


def test_host_callbacks_that_are_pure(step):
    loss, (params, x), _ = step

    def doubled(params, x):
        twice = jax.pure_callback(lambda y: np.asarray(y) * 2, jax.ShapeDtypeStruct(x.shape, x.dtype), x)
        return loss(params, twice)

    assert close(grad(doubled, **HOW)(params, x), jax.grad(loss)(params, 2 * x))


def test_a_planned_gradient_can_be_differentiated():
    def curve(x):
        return (jnp.sin(x) ** 3).sum()

    x = jnp.linspace(0, 1, 32)
    ours = jax.jacfwd(grad(curve, budget="100%", solver="keep_all"))(x)
    assert close(ours, jax.hessian(curve)(x))


def test_a_plan_without_execution(step):
    loss, args, _ = step
    shapes = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), args)
    plan = checkpoint_plan(loss, *shapes, **HOW)
    assert plan.budget_bytes == int(0.55 * plan.plain_bytes)
    assert plan.measured_bytes <= plan.budget_bytes
    assert "overhead" in str(plan)


def test_a_planned_function_in_a_plain_jit_warns(step):
    loss, args, reference = step
    with pytest.warns(BarrierWarning, match="use hcp.integrations.jax.jit"):
        assert close(jax.jit(value_and_grad(loss, **HOW))(*args), reference)
    with warnings.catch_warnings():
        warnings.simplefilter("error", BarrierWarning)
        jit(value_and_grad(loss, **HOW))(*args)


DEVICES = """
    import os
    os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count=8 {os.environ.get('XLA_FLAGS', '')}"
    import functools
    from collections import Counter
    import jax, jax.numpy as jnp, numpy as np
    from jax.sharding import AxisType, NamedSharding, PartitionSpec as P
    from hcp.schedule.actions import Compute
    from hcp.integrations.jax import jit, value_and_grad
    from tests.integration.jax_steps import mlp

    assert jax.device_count() == 8
    loss, (params, x) = mlp()
    x = jnp.tile(x, (8, 1))
    reference = jax.value_and_grad(loss)(params, x)
    mesh = jax.make_mesh((8,), ("data",))
    automatic = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))

    def close(ours, theirs):
        for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)

    # Arrays spread over the devices: the budget is one device's.
    one_device = value_and_grad(loss, budget="100%", solver="eviction")
    one_device(params, x)
    for over in (mesh, automatic):
        spread = jax.device_put(x, NamedSharding(over, P("data")))
        everywhere = jax.device_put(params, NamedSharding(over, P()))
        function = value_and_grad(loss, budget="55%", solver="eviction")
        close(function(everywhere, spread), reference)
        assert function.plan.keep_everything_bytes < one_device.plan.keep_everything_bytes / 4
        assert function.plan.measured_bytes <= function.plan.budget_bytes
        assert function.plan.overhead > 0

    # A shard_map inside of what is planned: its operations are planned one by one, and measured on one device.
    def by_rows(params, x):
        for w in params:
            x = jnp.tanh(x @ w)
        return jax.lax.pmean(jnp.mean(x**2), "data")

    def by_columns(weights, x):
        for up, down in weights:
            x = x + jax.lax.psum(jnp.tanh(x @ up) @ down, "model")
        return x

    square = jax.make_mesh((4, 2), ("data", "model"), axis_types=(AxisType.Auto,) * 2)
    columns, rows = P(None, "model"), P("model")
    wide = [(jnp.concatenate([w, w], 1), jnp.concatenate([w, w]) / 4) for w in params[:6]]
    split = [(NamedSharding(square, columns), NamedSharding(square, rows))] * len(wide)
    whole = {"mesh": mesh, "in_specs": (P(), P("data")), "out_specs": P()}
    parts = {"mesh": square, "in_specs": ([(columns, rows)] * len(wide), P("data")), "out_specs": P("data")}
    over_rows = jax.shard_map(by_rows, **whole)
    over_columns = jax.shard_map(by_columns, **parts, check_vma=False)
    on_mesh = [jax.device_put(params, NamedSharding(mesh, P())), jax.device_put(x, NamedSharding(mesh, P("data")))]
    on_square = [jax.device_put(wide, split), jax.device_put(x, NamedSharding(square, P("data")))]
    for mapped, given, how in (
        (over_rows, on_mesh, lambda function: function),
        (lambda weights, x: jnp.mean(over_columns(weights, x) ** 2), on_square, jit),
    ):
        function = value_and_grad(mapped, budget="60%", solver="eviction")
        close(how(function)(*given), jax.jit(jax.value_and_grad(mapped))(*given))
        plan = function.plan
        assert plan.measured_bytes <= plan.budget_bytes == plan.plain_bytes * 6 // 10
        assert len(plan.graph.nodes) > 40
        products = {node.name for node in plan.graph.nodes if "dot_general" in node.op}
        again = Counter(action.node for action in plan.schedule.actions if isinstance(action, Compute))
        assert any(again[name] > 1 for name in products)
        text = jit(function).lower(*given).compile().as_text()
        assert text.count(" dot(") >= sum(again[name] for name in products)

    # Each device runs a plan of its own part.
    planned = value_and_grad(loss, budget="80%", solver="eviction")

    def part(params, x):
        return jax.tree.map(lambda g: jax.lax.pmean(g, "data"), planned(params, x))

    mapped = jax.shard_map(part, mesh=automatic, in_specs=(P(), P("data")), out_specs=P(), check_vma=False)
    close(jit(mapped)(params, x), reference)
    assert planned.plan.graph.base_cost < one_device.plan.graph.base_cost

    # A collective inside of what is planned.
    def global_loss(params, x):
        return jax.lax.pmean(loss(params, x), "data")

    inside = value_and_grad(global_loss, budget="80%", solver="eviction")
    how = {"mesh": automatic, "in_specs": (P(), P("data")), "out_specs": (P(), P()), "check_vma": False}
    inner = jax.shard_map(inside, **how)
    theirs = jax.shard_map(jax.value_and_grad(global_loss), **how)
    close(jit(inner)(params, x), jax.jit(theirs)(params, x))

    # The same where replication is checked, with a loop inside that is planned.
    stacked = jnp.stack(params)

    def over_layers(weights, x):
        return jnp.mean(jax.lax.scan(lambda x, w: (jnp.tanh(x @ w), None), x, weights)[0] ** 2)

    by_layers = jax.value_and_grad(over_layers)(stacked, x)
    for over in (mesh, automatic):
        spread = jax.device_put(x, NamedSharding(over, P("data")))
        function = value_and_grad(over_layers, budget="25%", solver="eviction")
        close(function(jax.device_put(stacked, NamedSharding(over, P())), spread), by_layers)
        assert function.plan.measured_bytes <= function.plan.budget_bytes
    checked = value_and_grad(
        lambda w, x: jax.lax.pmean(over_layers(w, x), "data"), budget="25%", solver="eviction"
    )
    close(jit(jax.shard_map(checked, mesh=automatic, in_specs=(P(), P("data")), out_specs=P()))(stacked, x), by_layers)
    assert checked.plan.memory_bytes < 0.7 * checked.plan.keep_everything_bytes

    copies = jax.tree.map(lambda a: jnp.stack([a] * 8), params)
    mapped = jax.pmap(lambda p, x: planned(p, x), axis_name="data")(copies, x.reshape(8, -1, x.shape[1]))
    close(jax.tree.map(lambda a: a.mean(0), mapped), reference)
    print("all equal")
"""


@slow
def test_eight_devices():
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(DEVICES)], capture_output=True, text=True, timeout=500, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "all equal" in done.stdout


def test_under_vmap_the_budget_is_for_all_copies():
    def loss(x):
        for _ in range(8):
            x = jnp.tanh(x @ x)
        return x.sum()

    xs = jnp.ones((6, 32, 32)) / 40
    function = value_and_grad(loss, budget="60%", solver="eviction")
    compiled = jit(jax.vmap(function)).lower(xs).compile()
    analysis = compiled.memory_analysis()
    plan = function.plan
    assert plan.plain_bytes > 6 * xs[0].nbytes * 4
    assert (
        analysis.temp_size_in_bytes + analysis.output_size_in_bytes <= plan.budget_bytes == plan.plain_bytes * 6 // 10
    )
    assert plan.overhead > 0
    assert close(compiled(xs), jax.vmap(jax.value_and_grad(loss))(xs))


def test_marks_cost_nothing():
    """Names for policies, barriers and hints to the compiler are no operations of their own."""

    def block(x, mark):
        return mark(jnp.tanh(mark(x) @ x))

    def loss(x, mark):
        for _ in range(4):
            x = block(x, mark)
        return (x**2).sum()

    sharding = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    marks = [
        lambda x: x,
        lambda x: checkpoint_name(x, "kept"),
        jax.lax.optimization_barrier,
        lambda x: jax.lax.with_sharding_constraint(x, sharding),
    ]
    x = jnp.eye(16)
    how = {"budget": "85%", "solver": "eviction", "measure": False}
    plain, *others = (checkpoint_plan(partial(loss, mark=mark), x, **how) for mark in marks)
    for other in others:
        assert other.keep_everything_bytes == plain.keep_everything_bytes
        assert len(other.graph.nodes) == len(plain.graph.nodes)
        assert other.graph.base_cost == plain.graph.base_cost


def test_plain_jit_runs_where_it_keeps_the_budget(step):
    loss, args, reference = step
    function = value_and_grad(loss, budget="100%", solver="eviction")
    compiled = jit(function).lower(*args).compile()
    analysis = jax.jit(jax.value_and_grad(loss)).lower(*args).compile().memory_analysis()
    plan = function.plan
    assert plan.plain
    assert plan.plain_bytes == analysis.temp_size_in_bytes + analysis.output_size_in_bytes == plan.measured_bytes
    assert "as JAX compiles it" in str(plan)
    assert close(compiled(*args), reference, rtol=0)
    given = value_and_grad(loss, plan=plan)
    assert close(jit(given)(*args), reference, rtol=0)
    assert given.plan.plain


def test_percentages_are_of_what_users_compile():
    """On CPUs that undoes jax.checkpoint, which programs with planned parts do not."""
    loss, args = user_checkpointed()
    plan = checkpoint_plan(loss, *args, budget="100%", solver="eviction")
    by_default = jax.jit(jax.value_and_grad(loss)).lower(*args).compile().memory_analysis()
    assert plan.plain_bytes == by_default.temp_size_in_bytes + by_default.output_size_in_bytes
    assert plan.measured_bytes <= plan.budget_bytes


def test_plans_stay_as_many_as_there_are_variants(step):
    loss, args, _ = step
    function = value_and_grad(loss, **HOW)
    for _ in range(3):
        jit(lambda *args: function(*args)[0])(*args)
    assert len(function.plans) == 1


@pytest.mark.parametrize("budget", ["100%", "60%"])
def test_integers_have_gradients_of_no_type_where_they_are_allowed(budget):
    def loss(x, n):
        for _ in range(8):
            x = jnp.tanh(x @ x) * n
        return x.sum()

    x, n = jnp.eye(32) / 2, jnp.int32(2)
    ours = grad(loss, argnums=(0, 1), allow_int=True, budget=budget, solver="eviction")(x, n)
    theirs = jax.grad(loss, argnums=(0, 1), allow_int=True)(x, n)
    assert [a.dtype for a in ours] == [a.dtype for a in theirs]
    assert jnp.allclose(ours[0], theirs[0], rtol=1e-5)
    with pytest.raises(TypeError, match="allow_int"):
        grad(loss, argnums=(0, 1), budget="100%")(x, n)


@pytest.mark.parametrize("budget", [np.int64(10**9), 1e9])
def test_budgets_are_any_whole_numbers(step, budget):
    loss, args, _ = step
    assert checkpoint_plan(loss, *args, budget=budget, solver="eviction").budget_bytes == 10**9


def test_a_number_alone_is_not_taken_for_a_percentage():
    with pytest.raises(JaxError, match=r"budget '50' is so many bytes.*'50%' or '50MiB'"):
        grad(jnp.sum, budget="50")


def test_a_function_planned_as_it_is_cannot_be_differentiated(step):
    """Rules for derivatives inside of it, which the plan does not hold, would be lost."""
    loss, args, _ = step
    planned = checkpoint(loss, **HOW | {"budget": "100%"})
    assert close(planned(*args), loss(*args))
    for outside in (jax.grad(planned), jax.grad(jit(planned)), jit(jax.grad(planned))):
        with pytest.raises(JaxError, match=r"loss is planned as it is, and cannot be differentiated from outside"):
            outside(*args)


def test_what_is_closed_over_may_be_mapped_over():
    def loss(w, x):
        for _ in range(6):
            x = jnp.tanh(x @ w)
        return (x**2).sum()

    w, xs = jnp.eye(16) / 2, jnp.ones((8, 32, 16)) / 9
    found = []

    def of_each(w, xs):
        def one(x):
            found.append(grad(lambda w: loss(w, x), budget="60%", solver="eviction"))
            return found[-1](w)

        return jax.vmap(one)(xs)

    compiled = jit(of_each).lower(w, xs).compile()
    analysis, plan = compiled.memory_analysis(), found[-1].plan
    by_jax = jax.jit(jax.vmap(jax.grad(loss), (None, 0))).lower(w, xs).compile().memory_analysis()
    assert plan.plain_bytes == by_jax.temp_size_in_bytes + by_jax.output_size_in_bytes
    assert analysis.temp_size_in_bytes + analysis.output_size_in_bytes <= plan.budget_bytes
    assert close(compiled(w, xs), jax.vmap(jax.grad(loss), (None, 0))(w, xs))


def test_what_users_compute_again_is_planned_or_runs_where_that_is_cheaper():
    loss, args = user_checkpointed()
    planned = value_and_grad(loss, budget="100%", solver="eviction")
    compiled = jit(planned).lower(*args).compile()
    analysis = compiled.memory_analysis()
    assert not planned.plan.plain or (planned.plan.again and planned.plan.gap is None)
    assert analysis.temp_size_in_bytes + analysis.output_size_in_bytes <= planned.plan.budget_bytes
