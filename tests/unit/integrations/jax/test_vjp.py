"""What ``vjp`` takes and returns."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hcp.integrations.jax import BarrierWarning, ExecutionError, JaxError, Pullback, jit, vjp
from hcp.integrations.planning import FallbackWarning

X = jnp.linspace(-1, 1, 16).reshape(4, 4)
QUIET = {"solver": "keep_all", "cache": False, "quiet": True, "budget": "100%"}
NOTHING = np.zeros((), jax.dtypes.float0)


def function(x, scale, count):
    return {"y": jnp.tanh(x @ x) * scale, "n": count + 1}


def with_aux(x, scale, count):
    return function(x, scale, count), {"mean": x.mean()}


def test_it_is_jaxs():
    outputs, pullback = vjp(function, X, 2.0, 3, **QUIET)
    expected, theirs = jax.vjp(function, X, 2.0, 3)
    assert outputs["n"] == 4
    assert jnp.allclose(outputs["y"], expected["y"])
    cotangent = {"y": X, "n": NOTHING}
    # It can be called again.
    for scale in (1, 2):
        given = cotangent | {"y": scale * X}
        for ours, other in zip(pullback(given)[:2], theirs(given)[:2], strict=True):
            assert jnp.allclose(ours, other, rtol=1e-5)
    assert pullback(cotangent)[2].dtype == jax.dtypes.float0
    assert pullback.plan.graph.name == "function"


def test_auxiliary_results_come_last():
    _, pullback, aux = vjp(with_aux, X, 2.0, 3, has_aux=True, **QUIET)
    assert jnp.allclose(aux["mean"], X.mean(), atol=1e-6)
    expected = jax.vjp(with_aux, X, 2.0, 3, has_aux=True)[1]({"y": X, "n": NOTHING})
    assert jnp.allclose(pullback({"y": X, "n": NOTHING})[0], expected[0], rtol=1e-5)


def test_a_program_is_made_once_for_a_function_and_its_shapes():
    traced = []

    def counted(x):
        traced.append(x.shape)
        return jnp.sin(x) * 2

    first, second = (vjp(counted, X * scale, **QUIET)[1] for scale in (1, 2))
    assert traced == [X.shape]
    assert first.plan is second.plan
    assert jnp.allclose(second(X)[0], 2 * jnp.cos(2 * X) * X, rtol=1e-6)
    vjp(counted, X[:2], **QUIET)
    assert len(traced) == 2


def test_pullbacks_pass_through_jits():
    outputs, pullback = jit(lambda x: vjp(jnp.sin, x, **QUIET))(X)
    assert isinstance(pullback, Pullback)
    assert jnp.allclose(outputs, jnp.sin(X))
    for found in (pullback(X), jit(lambda back, given: back(given))(pullback, X)):
        assert jnp.allclose(found[0], jnp.cos(X) * X, rtol=1e-6)


@pytest.mark.parametrize("trace", [jit, jax.vmap])
def test_what_is_closed_over_may_be_traced(trace):
    found = trace(lambda w: vjp(lambda x: jnp.sin(x) * w.sum(), X, **QUIET)[1](X))(X)
    factor = X.sum() if trace is jit else X.sum(1)[:, None, None]
    assert jnp.allclose(found[0], jnp.cos(X) * X * factor, rtol=1e-5)


def test_known_arrays_within_a_jit_are_part_of_it():
    _, pullback = vjp(jnp.sin, X, **QUIET)
    found = jit(lambda w: (w * vjp(jnp.sin, X, **QUIET)[1](X)[0], w * pullback(X)[0]))(2.0)
    for each in found:
        assert jnp.allclose(each, 2 * jnp.cos(X) * X, rtol=1e-6)


def test_the_pullback_of_a_basis_is_the_jacobian():
    def function(x):
        return jnp.tanh(x @ x)

    _, pullback = vjp(function, X, **QUIET)
    (found,) = jax.vmap(pullback)(jnp.eye(16).reshape(16, 4, 4))
    assert jnp.allclose(found.reshape(4, 4, 4, 4), jax.jacrev(function)(X), atol=1e-5)


@pytest.mark.parametrize(
    ("cotangent", "message"),
    [
        (X, r"of function got a cotangent of structure .*\*.*, where the outputs have .*'n'.*; give one array"),
        ({"y": X[:2], "n": NOTHING}, r"type float32\[2,4\] for output 1, which needs float32\[4,4\]"),
        ({"y": X.astype(jnp.bfloat16), "n": NOTHING}, r"type bfloat16\[4,4\] for output 1, which needs float32\[4,4\]"),
        ({"y": X, "n": 1.0}, r"type float\[\] for output 0, which needs float0\[\]"),
        ({"y": "no", "n": NOTHING}, r"type str\[\] for output 1, which needs float32\[4,4\]; give an array"),
    ],
)
def test_cotangents_are_like_the_outputs(cotangent, message):
    _, pullback = vjp(function, X, 2.0, 3, **QUIET)
    with pytest.raises(JaxError, match=message):
        pullback(cotangent)


def test_without_a_budget_there_is_no_plan():
    with pytest.raises(JaxError, match="got neither a budget nor a plan"):
        vjp(jnp.sin, X)


def test_where_it_cannot_be_planned_it_may_run_unplanned():
    how = QUIET | {"budget": 1}
    with pytest.warns(FallbackWarning, match="sin runs unplanned") as seen:
        outputs, pullback = vjp(jnp.sin, X, fallback="warn", **how)
    assert seen[0].filename == __file__
    assert jnp.allclose(outputs, jnp.sin(X))
    assert jnp.allclose(pullback(X)[0], jnp.cos(X) * X)
    with pytest.raises(ExecutionError, match="the pullback of sin has no plan: it runs unplanned"):
        _ = pullback.plan


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="barriers survive elsewhere")
def test_a_plain_jit_warns_once_at_the_users_line():
    with pytest.warns(BarrierWarning, match="sin is planned within a jax.jit for CPUs") as seen:
        jax.jit(lambda x: vjp(jnp.sin, x, **QUIET)[1](x))(X)
    assert [warning.filename for warning in seen] == [__file__]
    _, pullback = vjp(jnp.sin, X, **QUIET)

    def back(given):
        return pullback(given)

    with pytest.warns(BarrierWarning, match="sin is planned") as seen:
        jax.jit(back)(X)
    assert [warning.filename for warning in seen] == [__file__]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        jit(back)(X)
