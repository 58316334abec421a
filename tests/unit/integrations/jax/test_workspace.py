"""Room that compiled nodes take beside their results, each distinct one compiled once."""

from collections import OrderedDict

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from hcp.integrations import measurements
from hcp.integrations.jax import workspace as module
from hcp.integrations.jax.fusion import group
from hcp.integrations.jax.jaxpr import flatten
from hcp.integrations.jax.placement import Placement
from hcp.integrations.jax.workspace import arguments, node_function, workspaces

X = jnp.linspace(0, 1, 64).reshape(8, 8)


def grouped(function):
    program = flatten(jax.make_jaxpr(function)(X))
    return program, group(program)


@pytest.fixture
def compiled(monkeypatch):
    """How often the compiler was asked."""
    calls = []

    def counting(compiled):
        calls.append(compiled)
        return

    monkeypatch.setattr(measurements, "_KNOWN", OrderedDict())
    monkeypatch.setattr(module, "compiled_bytes", counting)
    return calls


def test_nodes_that_look_alike_are_compiled_once(compiled):
    def function(x):
        for _ in range(5):
            x = lax.dot(x, x)
        return x

    program, groups = grouped(function)
    assert len(groups) == 5
    assert workspaces(program, groups, Placement()) == [0] * 5
    assert len(compiled) == 1


def test_loops_over_elements_and_effects_are_not_compiled(compiled):
    def function(x):
        jax.debug.print("{}", x[0, 0])
        return lax.sin(x)

    program, groups = grouped(function)
    assert workspaces(program, groups, Placement()) == [0] * len(groups)
    assert not compiled


def test_what_a_compiler_says_is_taken():
    program, groups = grouped(lambda x: lax.sort(lax.dot(x, x)) @ x)
    found = workspaces(program, groups, Placement())
    assert len(found) == len(groups)
    assert all(amount >= 0 for amount in found)


def test_a_node_is_a_function_of_its_inputs():
    program, groups = grouped(lambda x: lax.tanh(lax.dot(x, x)))
    (each,) = groups
    assert len(arguments(each)) == 1
    (made,) = node_function(program, each)(X)
    np.testing.assert_allclose(made, jnp.tanh(X @ X), rtol=1e-6)
