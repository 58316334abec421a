"""What jax.checkpoint computes again, found as a schedule of the graph that has everything once."""

from collections import Counter

import jax
import jax.numpy as jnp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hcp import replay
from hcp.integrations.jax.capture import Arguments, capture
from hcp.integrations.jax.internals import operation_name
from hcp.integrations.jax.lower import lower
from hcp.integrations.jax.repeated import as_written
from hcp.schedule.replay import keep_everything_usage
from tests.effort import examples

POLICIES = jax.checkpoint_policies
W = jnp.eye(8) + 0.1
X = jnp.ones((4, 8))


def block(x):
    return jnp.tanh(jnp.sin(x @ W) @ W) + x


def plain(x):
    for _ in range(3):
        x = block(x)
    return x.sum()


def blocks(x):
    for _ in range(3):
        x = jax.checkpoint(block)(x)
    return x.sum()


def nested(x):
    return jax.checkpoint(lambda x: jax.checkpoint(block)(jax.checkpoint(block)(x)))(x).sum()


def products_saved(x):
    for _ in range(3):
        x = jax.checkpoint(block, policy=POLICIES.dots_saveable)(x)
    return x.sum()


def scanned(x):
    return jax.lax.scan(lambda x, w: (jax.checkpoint(lambda x: jnp.tanh(jnp.sin(x @ w) @ w))(x), None), x, WS)[0].sum()


def twice(x):
    """The same is asked for twice in one place, and computed once."""
    return (jnp.sin(x @ W) * jnp.sin(x @ W)).sum()


WS = jnp.stack([W, W + 0.2, W - 0.1])


def written(function, *, cut=False):
    arguments = Arguments.split((X,), {}, [0])
    captured = capture(jax.value_and_grad(function), arguments, "f")
    captured = next(captured.cut()) if cut else captured
    lowered = lower(captured.program, name="f", calibrate=False)
    return captured, lowered, as_written(captured, lowered)


def products(equations):
    return Counter(map(operation_name, equations))["dot_general"]


def ran(lowered, schedule):
    return [equation for node in schedule.computes for equation in lowered.groups[node].equations]


@pytest.mark.parametrize(
    ("function", "cut", "again"),
    [(plain, False, 0), (twice, False, 0), (blocks, False, 6), (nested, False, 6), (scanned, True, 6)],
)
def test_products_are_computed_again_as_the_program_has_them(function, cut, again):
    captured, lowered, schedule = written(function, cut=cut)
    usage = replay(lowered.graph, schedule)
    assert usage.cost >= keep_everything_usage(lowered.graph).cost
    assert products(ran(lowered, schedule)) == products(captured.again().program.equations)
    assert products(ran(lowered, schedule)) - products(captured.program.equations) == again


def test_what_is_fused_to_a_product_is_computed_again_with_it():
    captured, lowered, schedule = written(products_saved)
    assert products(captured.again().program.equations) == products(captured.program.equations)
    assert len(schedule.computes) > len(lowered.graph.nodes)


def test_less_is_held_where_blocks_are_computed_again():
    for function, expected in ((blocks, True), (plain, False)):
        _, lowered, schedule = written(function)
        assert (replay(lowered.graph, schedule).peak < keep_everything_usage(lowered.graph).peak) is expected


OPERATIONS = [jnp.sin, lambda x: x @ W, jnp.exp, lambda x: x * x.mean(), lambda x: jnp.cumsum(x, 0)]


@settings(max_examples=examples(60, least=6), deadline=None)
@given(st.lists(st.tuples(st.lists(st.integers(0, 4), min_size=1, max_size=4), st.booleans()), min_size=1, max_size=4))
def test_schedules_of_random_functions_are_legal(parts):
    def function(x):
        for chosen, apart in parts:

            def part(x, chosen=chosen):
                for k in chosen:
                    x = OPERATIONS[k](x) / 2
                return x

            x = (jax.checkpoint(part) if apart else part)(x) + x
        return x.sum()

    captured, lowered, schedule = written(function)
    replay(lowered.graph, schedule)
    assert products(ran(lowered, schedule)) >= products(captured.program.equations)
    if not any(apart for _, apart in parts):
        assert len(schedule.computes) == len(lowered.graph.nodes)
