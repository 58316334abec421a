"""Groups of equations: one heavy operation each, views read through, and little stored."""

import jax
import jax.numpy as jnp

from hcp.integrations.jax import from_jaxpr
from hcp.integrations.jax.fusion import group
from hcp.integrations.jax.internals import FUSIBLE
from tests.unit.integrations.jax.programs import check_groups, flat

X = jnp.ones((8, 16))
W = jnp.ones((16, 16))


def test_groups_have_one_heavy_operation_and_read_through_views():
    def loss(w, x):
        for _ in range(3):
            x = jax.nn.gelu((x @ w).T.reshape(16, 8).T + 1.0)
        return (x**2).mean()

    program = flat(jax.value_and_grad(loss), W, X)
    groups = group(program)
    for each in groups:
        assert sum(equation.primitive.name not in FUSIBLE for equation in each.equations) <= 1
    check_groups(program, groups)
    assert len(groups) < len(program.equations) / 2


def test_a_mask_is_stored_rather_than_what_it_is_made_from():
    def loss(w, x):
        for _ in range(4):
            x = jax.nn.relu(x @ w)
        return x.sum()

    graph = from_jaxpr(jax.make_jaxpr(jax.grad(loss))(W, X))
    sizes = {value.bytes for node in graph.nodes for value in node.outputs}
    assert X.size in sizes
