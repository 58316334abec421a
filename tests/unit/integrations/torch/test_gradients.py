"""Steps that lack a gradient which belongs to them are refused; those that rightly lack one are not."""

import pytest

pytest.importorskip("torch")

import torch
from torch import nn

from hcp.integrations.torch.capture import trace
from hcp.integrations.torch.errors import CaptureError
from hcp.integrations.torch.gradients import _ends, check_gradients
from hcp.integrations.torch.internals import input_place


class Two(nn.Module):
    def __init__(self, use):
        super().__init__()
        self.used, self.other = nn.Parameter(torch.ones(4)), nn.Parameter(torch.ones(4))
        self.use = use

    def forward(self, x):
        return (self.use(self.other) + self.used * x).sum()


@pytest.mark.parametrize("use", [torch.detach, torch.zeros_like, lambda x: x.argmax()], ids=["cut", "shape", "integer"])
def test_gradients_that_do_not_exist_are_not_missed(use):
    check_gradients(trace(Two(use), (torch.ones(4),), {}))


def test_a_lost_gradient_names_its_parameter():
    joint = trace(Two(torch.exp), (torch.ones(4),), {})
    check_gradients(joint)
    (output,) = joint.module.graph.find_nodes(op="output")
    lost = joint.traced.names.index("other")
    (returned,) = output.args
    place = len(joint.outputs) + next(k for k, p in enumerate(joint.primals) if input_place(p) == lost)
    output.args = ((*returned[:place], None, *returned[place + 1 :]),)
    with pytest.raises(CaptureError, match="other requires a gradient, and the outputs depend on it"):
        check_gradients(joint)


def test_the_leaves_of_a_graph():
    x, y, z = (torch.ones(2, requires_grad=True) for _ in range(3))
    assert _ends([x * y.detach() + z, torch.ones(1)]) == {id(x), id(z)}
