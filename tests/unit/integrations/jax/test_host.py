"""Whether programs can hold arrays in the host's memory is asked of the compiler, and once."""

import jax
import pytest

from hcp.integrations.jax import host as module
from hcp.integrations.jax.errors import ExecutionError
from hcp.integrations.jax.host import check_host_memory, holds_on_host
from hcp.integrations.jax.internals import CompiledBytes


@pytest.fixture(autouse=True)
def forget():
    holds_on_host.cache_clear()
    yield
    holds_on_host.cache_clear()


def test_cpus_hold_nothing_there():
    assert not holds_on_host("cpu")
    with pytest.raises(ExecutionError, match=r"loss is planned with a host link, but programs .* 'cpu'.*tier"):
        check_host_memory("loss")


@pytest.mark.parametrize("on_host", [0, 4096])
def test_the_compilers_account_decides(monkeypatch, on_host):
    asked = []
    taken = CompiledBytes(**dict.fromkeys(CompiledBytes._fields, 0) | {"on_host": on_host})
    monkeypatch.setattr(module, "lists_host_memory", lambda device: True)
    monkeypatch.setattr(module, "compiled_bytes", lambda compiled: asked.append(1) or taken)
    assert holds_on_host("cpu") == holds_on_host("cpu") == (on_host > 0)
    assert len(asked) == 1


def test_devices_that_list_none_are_not_asked(monkeypatch):
    monkeypatch.setattr(module, "lists_host_memory", lambda device: False)
    monkeypatch.setattr(jax, "jit", None)
    assert not holds_on_host("cpu")
