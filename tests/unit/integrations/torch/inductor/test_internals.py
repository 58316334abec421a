"""What hcp relies on in Inductor: what fuses, what keeps a plan's order, and keys of its caches."""

import pickle
from types import SimpleNamespace

import pytest

pytest.importorskip("torch")

import torch
from torch import fx

from hcp.integrations.torch.inductor import internals
from hcp.integrations.torch.inductor.internals import SEEDS, PlannedChoices, fuses, is_view, settings_in_force
from hcp.integrations.torch.lower import Place

aten, prims = torch.ops.aten, torch.ops.prims


def calls(target):
    return fx.Graph().call_function(target)


@pytest.mark.parametrize(
    ("target", "fused"),
    [
        (aten.tanh.default, True),
        (aten.sum.dim_IntList, True),
        (aten.cat.default, True),
        (aten.embedding.default, True),
        (prims.inductor_random.default, True),
        (aten.mm.default, False),
        (aten.convolution.default, False),
        (SEEDS, False),
        (len, False),
    ],
)
def test_what_fuses(target, fused):
    assert fuses(calls(target)) == fused


def test_views():
    assert is_view(calls(aten.permute.default))
    assert not is_view(calls(aten.clone.default))
    assert not is_view(calls(len))


class Kernel:
    """As much of a kernel of Inductor's as its order takes."""

    def __init__(self, name, *reads):
        self.name = name
        self.unmet_dependencies = [SimpleNamespace(name=read) for read in reads]

    def get_buffer_names(self):
        return [self.name]


def order(places, *kernels):
    at = {kernel: Place(place) for kernel, place in zip(kernels, places, strict=True)}
    return "".join(kernel.name for kernel in internals._by_place(list(kernels), at))


def test_kernels_run_in_the_plans_order_where_they_may():
    a, b, c, d = Kernel("a"), Kernel("b"), Kernel("c", "a"), Kernel("d", "c", "b", "outside")
    assert order([0, 1, 2, 3], a, b, c, d) == "abcd"
    assert order([0, 2, 1, 3], a, b, c, d) == "acbd"
    # What it reads comes first in any case.
    assert order([3, 1, 2, 0], a, b, c, d) == "bacd"
    # Of two at one place, the first stays the first.
    assert order([0, 0, 0, 0], b, a, c, d) == "bacd"


def test_plans_have_their_own_keys_in_inductors_caches():
    one, other = (internals._Partitioner(lambda *_: None, name) for name in ("one", "other"))
    assert (one.uuid(), other.uuid()) == ("one", "other")
    # What cuts the graph stays here; its identity alone is in the key.
    assert pickle.loads(pickle.dumps(one)).uuid() == "one"
    assert pickle.dumps(one) != pickle.dumps(other)
    assert PlannedChoices().uuid() == PlannedChoices().uuid()
    assert internals._PlanOrder().uuid()


def test_settings_in_force_are_in_the_key():
    plain = settings_in_force({})
    assert settings_in_force({}) == plain
    assert settings_in_force({"epilogue_fusion": False}) != plain
    # And are what they were afterwards.
    assert settings_in_force({}) == plain


def test_convolutions_copy_where_weights_have_another_layout(monkeypatch):
    graph = fx.Graph()
    x, weight = graph.placeholder("x"), graph.placeholder("weight")
    weight.meta["val"] = torch.empty(4, 3, 3, 3, device="meta")
    node = graph.call_function(aten.convolution.default, (x, weight))
    graph.output(node)
    module = fx.GraphModule(torch.nn.Module(), graph)
    monkeypatch.setattr(internals.GraphLowering, "decide_layout_opt", lambda *_, **__: True)
    with internals.config.patch(layout_optimization=True):
        assert internals.relaid_bytes(module) == {node: 4 * 3 * 3 * 3 * 4}
    with internals.config.patch(layout_optimization=False):
        assert internals.relaid_bytes(module) == {}
