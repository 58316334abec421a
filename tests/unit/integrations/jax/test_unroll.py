"""Loops cut up: the same results, parts of stacks as values of their own, buffers written in place."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hcp import keep_everything, replay, solve
from hcp.integrations.jax.emit import emit
from hcp.integrations.jax.fusion import group
from hcp.integrations.jax.jaxpr import flatten
from hcp.integrations.jax.lower import lower
from hcp.integrations.jax.platform import measuring_options
from hcp.integrations.jax.workspace import part
from hcp.schedule.actions import Compute, Schedule
from tests.effort import examples

WIDTH = 4
W = jnp.eye(WIDTH) * 0.9 + 0.05
X = jnp.linspace(-1, 1, 3 * WIDTH).reshape(3, WIDTH)


def layers(count):
    return jnp.stack([W * (1 + 0.01 * i) for i in range(count)])


def over_layers(weights, x):
    return (jax.lax.scan(lambda x, w: (jnp.tanh(x @ w), None), x, weights)[0] ** 2).sum()


def names(program):
    return [equation.primitive.name for equation in program.equations]


def run(program, args, schedule=None):
    lowered = lower(program, name="cut", calibrate=False)
    function = emit(lowered, schedule or keep_everything(lowered.graph))
    return jax.jit(function, compiler_options=measuring_options())(*program.constants, *jax.tree.leaves(args))


def close(ours, theirs):
    for a, b in zip(ours, jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=1e-5)


def test_a_short_scan_over_layers_is_written_out():
    closed = jax.make_jaxpr(jax.grad(over_layers))(layers(5), X)
    assert "scan" in names(flatten(closed))
    program = flatten(closed, cut=True)
    assert program.cut
    assert names(program).count("scan") == 0
    # The cotangent of the first layer's input is not asked for.
    assert names(program).count("dot_general") == 3 * 5 - 1


def test_a_checkpoint_around_a_scan_is_seen_through():
    program = flatten(jax.make_jaxpr(jax.grad(jax.checkpoint(over_layers)))(layers(5), X), cut=True)
    assert names(program).count("dot_general") == 3 * 5 - 1


def test_a_long_scan_becomes_shorter_ones():
    closed = jax.make_jaxpr(jax.grad(over_layers))(layers(70), X)
    program = flatten(closed, cut=True, most=100)
    scans = [equation for equation in program.equations if equation.primitive.name == "scan"]
    # 24 parts, the last of them of a single step, both ways.
    assert sorted({scan.params["length"] for scan in scans}) == [1, 3]
    assert len(scans) == 2 * 24
    close(run(program, (layers(70), X)), jax.grad(over_layers)(layers(70), X))


def test_what_is_not_linked_stays_one_operation():
    def powers(x):
        x = jax.lax.fori_loop(0, 5, lambda _, x: jnp.cos(x), x)
        return x, jax.lax.scan(lambda c, _: (c / 2, c), x, length=4)[1]

    program = flatten(jax.make_jaxpr(powers)(X), cut=True)
    assert not program.cut
    assert names(program).count("scan") == 2


def test_gradients_of_stacked_weights_are_written_in_place():
    program = flatten(jax.make_jaxpr(jax.grad(over_layers))(layers(6), X), cut=True)
    graph = lower(program, name="stack", calibrate=False).graph
    written = [node for node in graph.nodes if node.op.endswith("dynamic_update_slice")]
    assert len(written) == 6
    assert not any(node.recomputable for node in written)
    # They take the room of the result, which is reserved.
    assert all(value.bytes == 0 for node in written for value in node.outputs)


def test_a_stack_that_somebody_else_reads_has_one_storage():
    def loss(x):
        end, seen = jax.lax.scan(lambda x, w: (jnp.tanh(x @ w), x), x, layers(6))
        return end.sum() + (jnp.sort(seen, 0)[2:4] ** 2).sum()

    program = flatten(jax.make_jaxpr(jax.value_and_grad(loss))(X), cut=True)
    graph = lower(program, name="stack", calibrate=False).graph
    stored = [n for n in graph.nodes if n.op.endswith("dynamic_update_slice") and n.outputs[0].bytes]
    assert len(stored) == 1
    storage = stored[0].outputs[0]
    assert 6 * X.nbytes <= storage.bytes < 6 * X.nbytes + 64
    readers = [node.name for node in graph.nodes if storage.name in node.inputs]
    assert sum(name.startswith("dynamic_update_slice") for name in readers) == 5
    assert any(name.startswith("sort") for name in readers)
    close(run(program, (X,)), jax.value_and_grad(loss)(X))


def test_stacks_that_begin_alike_are_stored_apart():
    def paths(x):
        step = lambda carry, w: ((carry[0] @ w, jnp.tanh(carry[1])), carry)  # noqa: E731
        end, seen = jax.lax.scan(step, (x, x), layers(3))
        return (end[0] * end[1]).sum(), seen

    function = jax.value_and_grad(paths, has_aux=True)
    program = flatten(jax.make_jaxpr(function)(X), cut=True)
    assert program.cut
    close(run(program, (X,)), jax.jit(function)(X))


def test_equal_layers_look_alike_to_the_compiler():
    program = flatten(jax.make_jaxpr(jax.grad(over_layers))(layers(20), X), cut=True)
    distinct = {str(part(program, each)) for each in group(program)}
    assert len(distinct) < 16


# Carries that shrink, so that rounding does not grow.
STEPS = {
    "plain": lambda carry, w: (jnp.tanh(carry @ w), None),
    "stacking": lambda carry, w: (jnp.tanh(carry @ w), carry.sum(0)),
    "checkpointed": jax.checkpoint(lambda carry, w: (jnp.sin(jnp.sin(carry @ w)), carry[0])),
    "nested": lambda carry, w: (
        jax.lax.scan(lambda c, s: (jnp.tanh(c @ w) * s, c[0]), carry, jnp.array([0.9, 1.0, 1.1]))[0],
        w.sum(),
    ),
    "branching": lambda carry, w: (jax.lax.cond(carry[0, 0] > 0, jnp.sin, jnp.tanh, carry @ w), None),
    "invariant": lambda carry, w: (carry * 0.9, w[0]),
}


@settings(max_examples=examples(16, least=2), deadline=None, derandomize=True)
@given(data=st.data())
def test_cut_programs_compute_the_same_in_any_schedule(data):
    length = data.draw(st.integers(2, 5))
    step = STEPS[data.draw(st.sampled_from(sorted(STEPS)))]
    reverse, again = data.draw(st.booleans()), data.draw(st.booleans())

    def loss(weights, x):
        end, seen = jax.lax.scan(step, x, weights, reverse=reverse)
        if again:
            end, _ = jax.lax.scan(STEPS["plain"], end, weights[::-1] if seen is None else weights)
        return (end**2).sum() + sum((leaf**2).mean() for leaf in jax.tree.leaves(seen))

    args = layers(length), X
    closed = jax.make_jaxpr(jax.value_and_grad(loss, (0, 1)))(*args)
    program = flatten(closed, cut=True, most=data.draw(st.sampled_from([0, 10_000])))
    lowered = lower(program, name="random", calibrate=False)
    nodes = lowered.graph.nodes
    doubled = [name for n in nodes for name in [n.name] * (2 if n.recomputable and data.draw(st.booleans()) else 1)]
    schedule = Schedule.from_computes(lowered.graph, doubled)
    assert replay(lowered.graph, schedule).cost >= replay(lowered.graph, keep_everything(lowered.graph)).cost
    kept, found = run(program, args), run(program, args, schedule)
    assert all(np.array_equal(a, b) for a, b in zip(kept, found, strict=True))
    close(kept, jax.value_and_grad(loss, (0, 1))(*args))


def test_random_keys_in_carries_and_stacks():
    def loss(x):
        def step(carry, key):
            x, own = carry
            own, draw = jax.random.split(own)
            return (x * jax.random.uniform(draw, x.shape) + jax.random.normal(key, x.shape), own), draw

        keys = jax.random.split(jax.random.key(1), 4)
        (x, _), draws = jax.lax.scan(step, (x, jax.random.key(0)), keys)
        return (x**2).sum(), draws

    function = jax.value_and_grad(loss, has_aux=True)
    program = flatten(jax.make_jaxpr(function)(X), cut=True)
    assert program.cut
    ours, theirs = run(program, (X,)), jax.tree.leaves(function(X))
    assert np.array_equal(jax.random.key_data(ours[1]), jax.random.key_data(theirs[1]))
    close([ours[0], ours[2]], [theirs[0], theirs[2]])


@pytest.mark.parametrize("most", [0, 10_000])
def test_a_plan_frees_and_recomputes_single_parts(most):
    args = layers(12), jnp.tile(X, (100, 1))
    program = flatten(jax.make_jaxpr(jax.grad(over_layers))(*args), cut=True, most=most)
    graph = lower(program, name="stack", calibrate=False).graph
    whole = replay(graph, keep_everything(graph)).peak
    plan = solve(graph, int(0.6 * whole), "eviction")
    again = [action.node for action in plan.schedule.actions if isinstance(action, Compute)]
    assert len(again) > len(graph.nodes)
    close(run(program, args, plan.schedule), jax.grad(over_layers)(*args))
