"""What ``grad`` and ``value_and_grad`` return, before and after calls; and executed node by node."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import pytest

from hcp.heuristics.keep_all import KeepAll
from hcp.integrations.jax import (
    CaptureError,
    ExecutionError,
    JaxError,
    grad,
    height_compressed_grad,
    jit,
    value_and_grad,
)
from hcp.integrations.jax.compressed import HeightCompressedGrad
from hcp.integrations.jax.transform import outermost_planned, within_planned

X = jnp.ones((4, 4))
QUIET = {"solver": "keep_all", "cache": False, "quiet": True}


def loss(x, scale=1.0):
    """Of a matrix."""
    return (x @ x).sum() * scale


def test_names_and_words_stay():
    planned = grad(loss, budget="100%", **QUIET)
    assert (planned.__name__, planned.__doc__) == ("loss", "Of a matrix.")
    assert planned.name == "loss"
    assert grad(len, argnums=(0, 1), budget=1).argnums == (0, 1)


def test_plans_are_there_after_the_first_call():
    planned = value_and_grad(loss, budget="100%", **QUIET)
    with pytest.raises(ExecutionError, match="loss has no plan yet"):
        _ = planned.plan
    planned(X)
    planned(X)
    assert len(planned.plans) == 1
    planned(X, 2.0)
    # Numbers that are no arrays are a variant of their own.
    assert len(planned.plans) == 2
    assert planned.plan is planned.plans[-1]


def test_bad_options_are_refused_at_once():
    with pytest.raises(JaxError, match="fallback 'hope' is not understood"):
        grad(loss, budget="100%", fallback="hope")
    with pytest.raises(JaxError, match="host 3 is not understood; give a bandwidth such as '12GiB/s', or a HostLink"):
        grad(loss, budget="100%", host=3)
    with pytest.raises(JaxError, match="positional argument 1, but got 1"):
        grad(loss, argnums=1, budget="100%", **QUIET)(X)
    with pytest.raises(CaptureError, match="neither an array nor hashable"):
        grad(lambda x, names: x.sum(), budget="100%", **QUIET)(X, {1})


def test_whose_trace_it_is():
    assert not within_planned()
    with outermost_planned():
        assert within_planned()
        with outermost_planned():
            pass
        assert within_planned()
    assert not within_planned()
    seen = []
    jit(lambda x: seen.append(within_planned()) or x)(X)
    assert seen == [True]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"block_size": 3, "planner": "auto", "budget": "50%"}, "a block size and a planner; give one"),
        ({"planner": "auto"}, "a planner and a budget together"),
        ({"budget": "50%"}, "a planner and a budget together"),
    ],
)
def test_one_way_to_plan_node_by_node(options, message):
    with pytest.raises(ExecutionError, match=message):
        height_compressed_grad(loss, **options)


@pytest.mark.parametrize("options", [{}, {"block_size": 2}, {"planner": "keep_all", "budget": "100%"}])
def test_node_by_node(options):
    made = height_compressed_grad(loss, **options)
    assert isinstance(made, HeightCompressedGrad)
    with pytest.raises(ExecutionError, match="nothing to report yet"):
        made.report()
    assert jnp.allclose(made(X), jax.grad(loss)(X))
    assert "of keep-everything" in made.report()
    with pytest.raises(ExecutionError, match="cannot be part of a jit or vmap"):
        jax.jit(made)(X)


def test_a_planner_is_asked_once_for_each_shape():
    calls = []

    @dataclass(frozen=True)
    class Counting:
        def __call__(self, *args):
            calls.append(1)
            return KeepAll()(*args)

    made = height_compressed_grad(loss, planner=Counting(), budget="100%")
    made(X)
    made(X)
    assert len(calls) == 1
    made(X[:2, :2])
    assert len(calls) == 2
