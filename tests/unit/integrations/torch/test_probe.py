"""What operations really allocate: fresh storages, views, room while they run, and times where asked for."""

import pytest

pytest.importorskip("torch")

import torch
from torch import nn

from hcp.integrations.measurements import Measurements
from hcp.integrations.torch.capture import trace
from hcp.integrations.torch.errors import CaptureError
from hcp.integrations.torch.prepare import prepare
from hcp.integrations.torch.probe import Layout, probe

aten = torch.ops.aten


class Net(nn.Module):
    """A product, a view, several outputs at once, and the same operation twice."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(8, 8))

    def forward(self, x):
        x = (x @ self.weight).view(4, 2, 4)
        top, _ = x.max(1)
        return top.tanh().tanh().sum()


@pytest.fixture(scope="module")
def program():
    return prepare(trace(Net(), (torch.randn(4, 8),), {}))


@pytest.fixture(scope="module")
def found(program):
    return probe(program)


def of(found, target):
    return [footprint for node, footprint in found.items() if node.target is target]


def test_sizes_are_those_of_storages(found):
    assert of(found, aten.tanh.default)[0].sizes == (4 * 4 * 4,)
    assert of(found, aten.tanh.default)[0].outputs == (0,)


def test_views_take_nothing(found):
    for footprint in of(found, aten.view.default):
        assert footprint.sizes == ()
        assert footprint.outputs == (None,)


def test_each_output_has_its_storage(found):
    (largest,) = of(found, aten.max.dim)
    # Numbers, and places as 64-bit integers.
    assert largest.sizes == (4 * 4 * 4, 4 * 4 * 8)
    assert largest.outputs == (0, 1)
    assert [layout.dtype for layout in largest.layouts] == [torch.float32, torch.int64]


def test_operations_that_agree_are_run_once(program):
    calls = []
    times = Measurements(None)
    times.get = lambda name, measure: calls.append(name) or 5.0
    found = probe(program, times)
    assert len(calls) == len(set(calls)) < len(found)
    assert {footprint.nanoseconds for footprint in found.values()} == {5}
    assert of(found, aten.tanh.default)[0] is of(found, aten.tanh.default)[1]


def test_the_random_state_stays(program):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    probe(program)
    assert torch.equal(torch.get_rng_state(), before)


def test_stand_ins_have_the_layout_that_is_asked_for():
    from hcp.integrations.torch.probe import _stand_in, layout_of

    wanted = layout_of(torch.zeros(4, 6, dtype=torch.float64)[1:, ::2].t())
    assert isinstance(wanted, Layout)
    assert layout_of(_stand_in(wanted)) == wanted
    assert _stand_in(3) == 3


def test_what_does_not_run_by_itself_is_named(program, monkeypatch):
    def fails(*_):
        raise RuntimeError("broken")

    node = next(node for node in program.operations if node.target is aten.tanh.default)
    monkeypatch.setattr(node, "target", fails)
    with pytest.raises(CaptureError, match=f"{node.name}.* does not run by itself on stand-in values .broken"):
        probe(program)


def test_single_operations_are_run_by_the_layouts_that_capture_foresees(program):
    from hcp.integrations.torch.probe import probe_calls

    nodes = [node for node in program.operations if node.target in (aten.mm.default, aten.tanh.default)]
    calls = []
    times = Measurements(None)
    times.get = lambda name, measure: calls.append(name) or 7.0
    found = probe_calls(nodes, times=times)
    assert set(found) == set(nodes)
    assert len(calls) == len(set(calls))
    assert {footprint.nanoseconds for footprint in found.values()} == {7}
    whole = probe(program)
    assert all(found[node].sizes == whole[node].sizes for node in nodes)
    assert {footprint.nanoseconds for footprint in probe_calls(nodes).values()} == {0}
    assert probe_calls([]) == {}


def test_a_single_operation_that_does_not_run_is_named(program, monkeypatch):
    from hcp.integrations.torch.probe import probe_calls

    def fails(*_):
        raise RuntimeError("broken")

    node = next(node for node in program.operations if node.target is aten.tanh.default)
    monkeypatch.setattr(node, "target", fails)
    with pytest.raises(CaptureError, match=f"{node.name}.* does not run by itself"):
        probe_calls([node])
