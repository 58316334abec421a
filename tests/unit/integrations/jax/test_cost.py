"""Arithmetic of primitives, and times of groups."""

import jax
import jax.numpy as jnp
import pytest
from jax import lax
from jax.sharding import AbstractMesh, AxisType, PartitionSpec

from hcp.integrations.jax.cost import LINK, group_cost
from hcp.integrations.jax.flops import flops
from hcp.integrations.roofline import nanoseconds
from tests.unit.integrations.jax.programs import flat

X = jnp.ones((8, 16))
W = jnp.ones((16, 16))


@pytest.mark.parametrize(
    ("function", "args", "expected"),
    [
        (lambda x, w: x @ w, (X, W), 2 * 8 * 16 * 16),
        (lambda x: x + 1, (X,), 128),
        (jnp.exp, (X,), 1280),
        (lambda x: x.sum(), (X,), 128),
        (lambda x: x.T, (X,), 0),
        (lambda x: x[jnp.array([1, 2])], (X,), 32),
        (lambda x: jax.lax.scan(lambda c, _: (c + 1, None), x, length=7)[0], (X,), 7 * 128),
        (lambda x: jax.lax.cond(x[0, 0] > 0, lambda x: x + 1, jnp.exp, x), (X,), 1280),
        (
            lambda x, k: jax.lax.conv(x, k, (1, 1), "SAME"),
            (jnp.ones((2, 3, 5, 5)), jnp.ones((4, 3, 3, 3))),
            2 * (2 * 4 * 5 * 5) * (3 * 9),
        ),
    ],
)
def test_flops(function, args, expected):
    closed = jax.make_jaxpr(function)(*args)
    heaviest = max(flops(equation) for equation in closed.jaxpr.eqns)
    assert heaviest == expected


def costed(function, *args):
    jaxpr = jax.make_jaxpr(function)(*args).jaxpr
    return group_cost(jaxpr.eqns, jaxpr.invars, jaxpr.outvars, "cpu")


def test_what_is_fused_moves_once():
    assert costed(lambda x: lax.sin(lax.sin(x)), X) == nanoseconds(2 * 1280, 2 * X.nbytes, "cpu")


def test_parts_of_arrays_are_read_and_written_in_places():
    large = jnp.ones((4096, 4096))
    row = large[:1]
    assert costed(lambda x: lax.dynamic_slice(x, (3, 0), (1, 4096)), large) == nanoseconds(0, 2 * row.nbytes, "cpu")
    written = costed(lambda x, r: lax.dynamic_update_slice(x, r, (3, 0)), large, row)
    assert written == nanoseconds(row.size, 2 * row.nbytes, "cpu")


def test_a_loop_costs_its_steps_and_each_of_them_its_groups():
    def step(x, _):
        return lax.sin(x @ W) @ W, None

    product = nanoseconds(2 * 8 * 16 * 16 + 1280, 2 * X.nbytes + W.nbytes, "cpu")
    second = nanoseconds(2 * 8 * 16 * 16, 2 * X.nbytes + W.nbytes, "cpu")
    launch = nanoseconds(0, 0, "cpu")
    assert costed(lambda x: lax.scan(step, x, length=7)[0], X) == launch + 7 * (product + second)
    twice = costed(lambda x: lax.scan(lambda x, _: (lax.scan(step, x, length=7)[0], None), x, length=2)[0], X)
    assert twice == launch + 2 * (launch + 7 * (product + second))


def test_a_device_reads_its_part_and_what_goes_to_others_takes_longer():
    mesh = AbstractMesh((4,), ("rows",), axis_types=(AxisType.Auto,))
    specs = {"in_specs": PartitionSpec("rows"), "out_specs": PartitionSpec()}
    program = flat(jax.shard_map(lambda x: lax.psum(lax.sin(x), "rows"), mesh=mesh, **specs), X)
    sine, total = program.equations[:2], program.equations[2:]
    part = X.nbytes // 4
    assert group_cost(sine, program.invars, sine[-1].outvars, "cpu") == nanoseconds(10 * X.size // 4, 2 * part, "cpu")
    cost = group_cost(total, sine[-1].outvars, program.outvars, "cpu")
    assert cost == nanoseconds(X.size // 4, (2 + LINK) * part, "cpu")
