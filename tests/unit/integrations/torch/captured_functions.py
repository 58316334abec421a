"""Functions of a tensor, captured and prepared."""

import torch
from torch import nn

from hcp.integrations.torch.capture import trace
from hcp.integrations.torch.prepare import prepare


class Function(nn.Module):
    """Some function of a tensor that needs a gradient."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def targets(function, *shape):
    """What the prepared step of a function calls, in order."""
    program = prepare(trace(Function(function), (torch.randn(shape, requires_grad=True),), {}))
    return [node.target for node in program.operations]
