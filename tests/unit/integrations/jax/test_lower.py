"""Graphs of programs: results reserved, effects in order, arguments not counted."""

import jax
import jax.numpy as jnp
import pytest

from hcp import GraphError, keep_everything, replay
from hcp.integrations.jax import from_jaxpr
from hcp.integrations.jax.lower import OUTPUTS

X = jnp.ones((8, 16))
W = jnp.ones((16, 16))


def test_results_are_reserved_and_arguments_are_not_counted():
    graph = from_jaxpr(jax.make_jaxpr(lambda w, x: (x @ w, 2 * x))(W, X))
    (reserved,) = graph.inputs
    assert reserved.name == OUTPUTS
    assert 2 * X.nbytes <= reserved.bytes <= 2 * X.nbytes + 200
    assert replay(graph, keep_everything(graph)).peak <= reserved.bytes + 100
    assert graph.cost_unit == "ns"


def test_effects_run_once_and_in_order():
    def function(x):
        jax.debug.print("{}", x.sum())
        y = jnp.sin(x @ W.T[:16, :16])
        jax.debug.print("{}", y.sum())
        return y

    graph = from_jaxpr(jax.make_jaxpr(function)(X))
    fixed = [node for node in graph.nodes if not node.recomputable]
    assert len(fixed) == 2
    order = [name for name in graph.order if name in {node.name for node in fixed}]
    assert graph.node[order[1]].inputs[-1] == f"{order[0]}:done"


def test_an_empty_program_is_refused():
    with pytest.raises(GraphError, match="has no nodes"):
        from_jaxpr(jax.make_jaxpr(lambda x: x)(X))


def test_nodes_say_where_they_come_from():
    def loss(w, x):
        with jax.named_scope("first"), jax.named_scope("inner"):
            x = x @ w
        return (x @ w).sum()

    graph = from_jaxpr(jax.make_jaxpr(jax.grad(loss))(W, X), calibrate=False)
    place = f"test_lower.py:{loss.__code__.co_firstlineno}"
    file, _, first = place.partition(":")
    inner, last = f"first/inner: {file}:{int(first) + 2}", f"{file}:{int(first) + 3}"
    products = [node.source for node in graph.nodes if "dot_general" in node.op]
    # Its own, and those of its backward: the gradient of the second product's weight and input, and that of the weight.
    assert products.count(inner) == 2
    assert set(products) == {inner, last}


def test_what_hcp_adds_does_not_come_from_its_own_files():
    def loss(x):
        return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (2, 2), (2, 2), "VALID").sum()

    graph = from_jaxpr(jax.make_jaxpr(jax.grad(loss))(X), calibrate=False)
    assert {node.source.partition(":")[0] for node in graph.nodes} <= {"test_lower.py", ""}
