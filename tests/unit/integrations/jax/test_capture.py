"""Calls taken apart into arrays and everything else, and put together again."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hcp.integrations.jax.capture import Arguments, capture
from hcp.integrations.jax.errors import CaptureError

X = jnp.ones(3)


def test_arrays_apart_from_everything_else():
    arguments = Arguments.split((X, 2.0, {"a": np.ones(2), "b": "word"}), {"c": None, "d": X}, [1])
    # Numbers are arrays where they are differentiated alone.
    assert [np.shape(array) for array in arguments.arrays] == [(3,), (), (2,), (3,)]
    args, kwargs = arguments.rebuilt([1, 2, 3, 4])
    assert args == (1, 2, {"a": 3, "b": "word"})
    assert kwargs == {"c": None, "d": 4}


def test_what_calls_are_told_apart_by():
    def key(*args, **kwargs):
        return Arguments.split(args, kwargs, [0]).key

    assert key(X) == key(X + 1)
    assert key(X) != key(X.astype(jnp.int32))
    assert key(X) != key(X[:2])
    assert key(X, 1) != key(X, 2)
    # 1 is True to Python.
    assert key(X, 1) != key(X, True)
    assert key(X, a=X) != key(X, b=X)
    with pytest.raises(CaptureError, match="an argument holds a set, which is neither an array nor hashable"):
        key(X, {1})


def test_the_structure_of_results_is_kept():
    arguments = Arguments.split((X,), {}, [0])
    captured = capture(lambda x: {"a": x, "b": (x * 2, None)}, arguments, "loss")
    assert captured.name == "loss"
    assert captured.rebuilt([1, 2]) == {"a": 1, "b": (2, None)}
    assert (captured.slim(), list(captured.cut())) == (None, [])


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: x if x.sum() > 0 else -x, "loss uses the content of a traced array in Python"),
        (lambda x: [1, 2, 3][x.sum().astype(int)], "loss uses the content of a traced array"),
        (
            jax.grad(lambda x: jax.lax.while_loop(lambda x: x.sum() < 9, lambda x: x * 2, x).sum()),
            "loss has a while_loop",
        ),
    ],
)
def test_what_cannot_be_traced(function, message):
    with pytest.raises(CaptureError, match=message):
        capture(function, Arguments.split((X,), {}, [0]), "loss")


def test_other_errors_are_the_users_own():
    with pytest.raises(ValueError, match="mine"):
        capture(lambda x: (_ for _ in ()).throw(ValueError("mine")), Arguments.split((X,), {}, [0]), "loss")
