"""Errors that say what to change."""

from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
from jax import export
from jax.experimental import checkify

from hcp import HcpError, InfeasibleBudget
from hcp.integrations.jax import (
    CaptureError,
    ExecutionError,
    JaxError,
    UnreachableBudget,
    grad,
    height_compressed_grad,
    jit,
    value_and_grad,
)
from hcp.runtime import FallbackWarning
from tests.integration.jax_steps import mlp

X = jnp.ones((4, 4))
WHOLE = {"budget": "100%", "solver": "keep_all"}


def test_a_dynamic_while_loop_cannot_be_gone_through_backwards():
    def loss(x):
        return jax.lax.while_loop(lambda x: x.sum() < 100, lambda x: 2 * x, x).sum()

    with pytest.raises(CaptureError, match=r"loss has a while_loop.*use jax.lax.scan"):
        grad(loss, **WHOLE)(X)


@pytest.mark.parametrize("use", [bool, float, lambda x: x.item(), lambda x: [1, 2][x.astype(int)]])
def test_python_must_not_look_into_traced_arrays(use):
    def loss(x):
        use(x.sum())
        return x.sum()

    with pytest.raises(CaptureError, match=r"content of a traced array.*jax.lax.cond"):
        grad(loss, **WHOLE)(X)


def test_the_compiler_option_has_to_be_at_the_outermost_jit():
    planned = jit(grad(lambda x: (x**2).sum(), **WHOLE))
    with pytest.raises(ExecutionError, match=r"called within a jax.jit.*make that one hcp.integrations.jax.jit"):
        jax.jit(lambda x: planned(x) + 1)(X)
    assert jit(lambda x: planned(x) + 1)(X).shape == X.shape


def test_a_budget_that_no_schedule_keeps():
    loss, args = mlp()
    with pytest.raises(InfeasibleBudget, match=r"alone holds \d+ bytes.*smallest budget known to work"):
        grad(loss, budget="1%", solver="eviction")(*args)
    with pytest.raises(InfeasibleBudget, match=r"alone holds \d+ bytes.*smallest budget known to work"):
        height_compressed_grad(loss, planner="eviction", budget="1%")(*args)


def test_a_budget_that_the_solver_does_not_reach():
    loss, args = mlp()
    with pytest.raises(UnreachableBudget, match=r"'keep_all' found no plan for loss within [\d,]+ bytes; raise"):
        grad(loss, budget="60%", solver="keep_all")(*args)


def test_a_function_runs_unplanned_where_that_is_allowed(capsys):
    loss, args = mlp()
    planned = value_and_grad(loss, budget="60%", solver="keep_all", fallback="warn", quiet=True)
    with pytest.warns(FallbackWarning, match="loss runs unplanned, .*found no plan") as caught:
        found = planned(*args)
    assert [Path(warning.filename).name for warning in caught] == [Path(__file__).name]
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(jax.value_and_grad(loss)(*args)), strict=True):
        assert jnp.allclose(one, other)
    # Once for each compiled variant.
    planned(*args)
    with pytest.warns(FallbackWarning, match="runs unplanned"):
        jit(lambda *args: planned(*args)[0])(*args)
    assert not planned.plans
    assert not capsys.readouterr().err


def test_a_mutable_reference_cannot_be_replayed():
    def loss(x):
        counter = jax.new_ref(jnp.zeros(()))
        counter[...] += x.sum()
        return counter[...]

    with pytest.raises(CaptureError, match=r"mutable reference, which cannot be replayed; return the new contents"):
        grad(loss, **WHOLE)(X)


def test_complex_numbers_are_taken_as_jax_takes_them():
    z = X + 1j
    with pytest.raises(TypeError, match="pass holomorphic=True"):
        grad(lambda z: (z * z).sum(), **WHOLE)(z)
    with pytest.raises(TypeError, match="holomorphic=True requires inputs with complex dtype"):
        grad(lambda z: (z * z).sum(), holomorphic=True, **WHOLE)(X)


def test_arguments_that_cannot_be_understood():
    with pytest.raises(JaxError, match="positional argument 1, but got 1"):
        grad(lambda x, y: (x * y).sum(), argnums=1, **WHOLE)(X, y=X)
    with pytest.raises(CaptureError, match="neither an array nor hashable"):
        grad(lambda x, rows: x.sum(), **WHOLE)(X, {1, 2})
    with pytest.raises(HcpError, match="budget '0%' comes to 0 bytes"):
        grad(lambda x: x.sum(), budget="0%")(X)
    with pytest.raises(HcpError, match="unknown solver 'best'"):
        value_and_grad(lambda x: x.sum(), budget="100%", solver="best")(X)


def test_what_is_no_array_is_returned_beside_the_loss():
    def loss(x):
        return x.sum(), {"kind": "sum", "of": 3, "twice": 2 * x}

    (value, aux), gradient = value_and_grad(loss, has_aux=True, budget="100%")(X)
    assert (float(value), aux["kind"], int(aux["of"])) == (float(X.sum()), "sum", 3)
    assert jnp.array_equal(aux["twice"], 2 * X)
    assert jnp.array_equal(gradient, jnp.ones_like(X))


def test_checks_have_to_become_values():
    def loss(x):
        checkify.check(x.sum() > 0, "below zero")
        return (x**2).sum()

    with pytest.raises(CaptureError, match=r"loss calls checkify\.check"):
        grad(loss, **WHOLE)(X)

    def checked(x):
        error, value = checkify.checkify(loss)(x)
        return value, error

    gradient, error = grad(checked, has_aux=True, **WHOLE)(-X)
    assert jnp.array_equal(gradient, -2 * X)
    assert "below zero" in error.get()


def test_sizes_that_are_symbols():
    shape = jax.ShapeDtypeStruct(export.symbolic_shape("rows, 4"), jnp.float32)
    planned = grad(lambda x: (x @ x.T).sum(), **WHOLE)
    with pytest.raises(CaptureError, match=r"called with sizes \('rows', '4'\) that are symbols"):
        export.export(jax.jit(planned))(shape)
    exported = export.export(jax.jit(planned))(jax.ShapeDtypeStruct((2, 4), jnp.float32))
    x = jnp.ones((2, 4))
    assert jnp.array_equal(exported.call(x), planned(x))
