"""What differs between platforms."""

import jax
import jax.numpy as jnp
import pytest

from hcp.integrations.jax.internals import PASSES_LEFT_OUT, STRIPPING_PASS
from hcp.integrations.jax.jit import _joined
from hcp.integrations.jax.platform import CPU_OPTIONS, compiler_options, is_key, shape, zeros


def test_cpus_alone_need_an_option(monkeypatch):
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    assert compiler_options("cpu") == CPU_OPTIONS
    assert compiler_options("cpu") is not CPU_OPTIONS
    assert compiler_options("gpu") is None
    monkeypatch.setenv("XLA_FLAGS", f"--a=b --{PASSES_LEFT_OUT}=other,{STRIPPING_PASS}")
    assert compiler_options("cpu") is None
    monkeypatch.setenv("XLA_FLAGS", f"--{PASSES_LEFT_OUT}=other")
    assert compiler_options("cpu") == CPU_OPTIONS


def test_options_of_the_users_stay():
    assert _joined({}, {"a": "x"}) == {"a": "x"}
    assert _joined({"a": "own", "b": 1}, {"a": "x"}) == {"a": "own,x"}


def test_keys():
    assert is_key(jax.random.key(0).dtype)
    assert not is_key(jax.random.PRNGKey(0).dtype)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.int8, jnp.bool_])
def test_zeros_of_a_type(dtype):
    made = zeros(shape((2, 3), dtype))
    assert (made.shape, made.dtype) == ((2, 3), dtype)
    assert not made.any()
