"""Copies beside the computation: complete when they were waited for, and the memory taken and given back in order."""

import threading

import pytest

pytest.importorskip("torch")

import torch

from hcp.integrations.torch import engines, measure_peak
from hcp.integrations.torch.calibration import host_link
from hcp.integrations.torch.engines import arrived, fetch, send, sent, under_way
from hcp.integrations.torch.errors import ExecutionError
from hcp.integrations.torch.host import placed
from tests.unit.integrations.torch.test_host import CPU, check_copies, tensors


@pytest.fixture
def held(monkeypatch):
    """Copies wait until this is set."""
    gate, copy = threading.Event(), engines.copy_bytes
    monkeypatch.setattr(engines, "copy_bytes", lambda *given: (gate.wait(20), copy(*given))[1])
    yield gate
    gate.set()


@tensors
def test_there_and_back(tensor):
    there = send(tensor)
    sent(there, tensor)
    back = fetch(there, CPU)
    arrived(back)
    check_copies(tensor, there, back)


def test_the_computation_goes_on_until_it_waits(held):
    tensor = torch.arange(1000.0)
    there = send(tensor)
    assert under_way(there)
    assert under_way(placed(there, tensor[3:]))
    held.set()
    sent(there, tensor)
    assert not under_way(there)
    held.clear()
    back = fetch(there, CPU)
    assert under_way(back)
    held.set()
    arrived(back)
    assert torch.equal(back, tensor)
    # Nothing is there to wait for any more.
    arrived(back)


def test_a_limited_host_has_room_when_what_left_it_is_back(held):
    first, second = torch.ones(10), torch.ones(10)
    held.set()
    there = send(first)
    sent(there, first)
    held.clear()
    back, other = fetch(there, CPU), send(second, limited=True)
    assert under_way(back)
    assert under_way(other)
    held.set()
    sent(other, second)
    # The fetch was before it.
    assert not under_way(back)
    arrived(back)


def test_memory_is_taken_when_a_fetch_begins(held):
    tensor = torch.ones(10_000)
    held.set()
    assert measure_peak(lambda: sent(send(tensor), tensor)) < 2**10
    there = send(tensor)
    sent(there, tensor)
    held.clear()

    def begin():
        found.append(fetch(there, CPU))

    found = []
    assert measure_peak(begin) >= tensor.nbytes
    held.set()
    arrived(found[0])


def test_lazy_tensors_are_refused():
    with pytest.raises(ExecutionError, match="lazily conjugated or negated"):
        send(torch.ones(3, dtype=torch.complex64).conj())


def test_a_link_is_measured_with_copies_both_ways_beside_a_computation(tmp_path):
    link = host_link("cpu", tmp_path, overlap=True)
    assert link.overlap
    assert link.offload_rate > 10**6 < link.fetch_rate
    assert host_link("cpu", tmp_path, overlap=True) == link
    assert not host_link("cpu", tmp_path).overlap
