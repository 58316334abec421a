"""Generated code that lets go in time, and errors in one line."""

import gc
import weakref

import pytest

pytest.importorskip("torch")

import torch
from torch import fx, nn

from hcp.integrations.torch.capture import _first_line, boxed, compile_whole, forward_of, is_sharded, trace
from hcp.integrations.torch.errors import CaptureError

aten = torch.ops.aten


def test_boxed_code_empties_its_list_and_frees_after_the_last_use():
    seen = []

    def look(x):
        gc.collect()
        seen.append(first() is None)
        return x

    graph = fx.Graph()
    x = graph.placeholder("x")
    y = graph.call_function(aten.mul.Tensor, (x, 2))
    z = graph.call_function(look, (y,))
    graph.output((graph.call_function(aten.add.Tensor, (z, 1)),))
    run = boxed(fx.GraphModule(nn.Module(), graph))
    given = [torch.ones(3)]
    first = weakref.ref(given[0])
    (found,) = run(given)
    assert given == []
    assert seen == [True]
    assert torch.equal(found, torch.full((3,), 3.0))


def test_names_are_those_of_the_users_module():
    joint = trace(nn.Sequential(nn.Linear(4, 4)), (torch.ones(2, 4),), {})
    assert "0.weight" in joint.traced.names
    assert len(joint.outputs) == 1
    assert [gradient is not None for gradient in joint.gradients].count(True) == 2
    assert joint.fake_mode is joint.primals[0].meta["val"].fake_mode


def test_the_class_decides_what_is_planned():
    module = nn.Linear(2, 2)
    module.forward = lambda x: x
    assert forward_of(module)(torch.ones(1, 2)).requires_grad


def test_errors_in_one_line():
    assert _first_line(ValueError("one\ntwo")) == "one"
    assert _first_line(ValueError("")) == "ValueError"
    assert _first_line(ValueError("one\n  Developer debug context: call f\n")) == "one (call f)"


def test_a_plain_module_is_not_sharded():
    assert not is_sharded(nn.Linear(2, 2))


def test_what_a_backend_raises_is_translated():
    def backend(module, inputs):
        raise ValueError("no\nmore")

    module = nn.Linear(2, 2)
    with pytest.raises(CaptureError, match=r"PyTorch cannot compile Linear \(ValueError: no\)"):
        compile_whole(module, forward_of(module), backend)(torch.ones(1, 2))
