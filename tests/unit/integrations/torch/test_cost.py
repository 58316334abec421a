"""Costs of operations: formulas for products, traffic for the rest, and functions of the user's."""

import pytest

pytest.importorskip("torch")

import torch
from torch import nn

from hcp.integrations.roofline import nanoseconds
from hcp.integrations.torch.capture import trace
from hcp.integrations.torch.cost import check_cost, costs, device_of, roofline
from hcp.integrations.torch.errors import TorchError
from hcp.integrations.torch.probe import Footprint

aten = torch.ops.aten
FLOAT = 4


@pytest.fixture(scope="module")
def nodes():
    module = nn.Sequential(nn.Linear(8, 16, bias=False), nn.Tanh())
    joint = trace(module, (torch.ones(4, 8),), {})
    return {node.target: node for node in joint.module.graph.nodes if node.op == "call_function"}


def test_a_product_counts_its_multiplications(nodes):
    moved = FLOAT * (4 * 8 + 8 * 16 + 4 * 16)
    assert roofline(nodes[aten.mm.default]) in {
        nanoseconds(2 * 4 * 8 * 16, moved, "cpu"),
        # The gradient of the weight, which stands behind the forward product.
        nanoseconds(2 * 8 * 4 * 16, FLOAT * (16 * 4 + 4 * 8 + 16 * 8), "cpu"),
    }


def test_other_operations_count_what_they_move(nodes):
    assert roofline(nodes[aten.tanh.default]) == nanoseconds(0, FLOAT * 2 * 4 * 16, "cpu")


def test_the_ways_to_cost(nodes):
    footprints = {node: Footprint((0,), (1,), nanoseconds=7) for node in nodes.values()}
    assert set(costs("measured", footprints).values()) == {7}
    assert costs("roofline", footprints) == {node: roofline(node) for node in footprints}
    assert costs(lambda node: len(node.name), footprints) == {node: len(node.name) for node in footprints}


@pytest.mark.parametrize("amount", [-1, 1.0, True, None, "3"])
def test_a_function_must_give_whole_numbers(nodes, amount):
    with pytest.raises(TorchError, match="expected a whole number, zero or more"):
        costs(lambda node: amount, {node: Footprint((), ()) for node in nodes.values()})


def test_options():
    for cost in ("roofline", "calibrated", "measured", len):
        check_cost(cost)
    with pytest.raises(TorchError, match="'slow' is not understood"):
        check_cost("slow")


def test_devices(nodes):
    assert device_of(nodes.values()) == "cpu"
    assert device_of([]) == "cpu"
