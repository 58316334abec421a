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
