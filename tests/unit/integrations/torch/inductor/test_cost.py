"""What kernels cost: traffic with the outside, times as measured, and functions of the user's."""

import pytest

pytest.importorskip("torch")

import torch
from torch import fx

from hcp.integrations.roofline import nanoseconds
from hcp.integrations.torch import TorchError
from hcp.integrations.torch.inductor.cost import kernel_costs, moved_bytes
from hcp.integrations.torch.inductor.kernels import Kernel

aten = torch.ops.aten


def node(graph, target, *args, shape=(64, 64)):
    made = graph.placeholder("x") if target is None else graph.call_function(target, args)
    made.meta["val"] = torch.empty(shape, device="meta")
    return made


@pytest.fixture
def kernels():
    """A product, a chain of two, a sum that is written into an input, and the boundary."""
    graph = fx.Graph()
    x = node(graph, None)
    product = node(graph, aten.mm.default, x, x)
    first = node(graph, aten.tanh.default, product)
    last = node(graph, aten.add.Tensor, first, x)
    write = node(graph, aten.copy_.default, x, last)
    return (
        Kernel((product,), (x,), (product,)),
        Kernel((first, last), (product, x), (last,)),
        Kernel((write,), (last,), ()),
        Kernel((), (last,), ()),
    )


BYTES = 64 * 64 * 4


def test_what_passes_inside_a_kernel_is_not_moved(kernels):
    assert [moved_bytes(kernel) for kernel in kernels[:3]] == [2 * BYTES, 3 * BYTES, 2 * BYTES]


def test_the_roofline_of_fused_kernels(kernels):
    product, chain, write, boundary = kernels
    costs = kernel_costs("roofline", kernels, {}, False)
    assert costs[boundary] == 0
    assert costs[product] == nanoseconds(2 * 64**3, 2 * BYTES, "cpu")
    assert costs[chain] == nanoseconds(0, 3 * BYTES, "cpu")
    assert costs[write] > 0


def test_kernels_cost_what_was_measured_and_the_rest_by_the_roofline(kernels):
    product, chain, _, boundary = kernels
    costs = kernel_costs("measured", kernels, {product: 123}, False)
    assert costs[product] == 123
    assert costs[boundary] == 0
    assert costs[chain] == kernel_costs("roofline", kernels, {}, False)[chain]
    assert kernel_costs("calibrated", kernels, {product: 123}, False)[product] not in (0, 123)


def test_functions_of_the_users(kernels):
    costs = kernel_costs(lambda node: len(node.name), kernels, {}, False)
    assert costs[kernels[1]] == sum(len(node.name) for node in kernels[1].operations)
    with pytest.raises(TorchError, match="expected a whole number"):
        kernel_costs(lambda _: 0.5, kernels, {}, False)
