"""Costs: the same every time once they are made, and in the order of the operations' real times."""

import json

import pytest

torch = pytest.importorskip("torch")

from hcp.integrations import measurements  # noqa: E402
from hcp.integrations.torch import capture_graph, plan_for  # noqa: E402
from hcp.integrations.torch.calibration import Constants, constants  # noqa: E402
from hcp.integrations.torch.demo.models import MLP  # noqa: E402

X = torch.randn(32, 16, generator=torch.Generator().manual_seed(2))


def costs(**options):
    graph = capture_graph(MLP(16, 4, 4), (X,), **options)
    return [node.cost for node in graph.nodes]


def test_the_roofline_is_a_launch_and_the_larger_of_work_and_traffic():
    machine = Constants(flops=2.0, moved_bytes=4.0, launch=100.0)
    assert machine.nanoseconds(0, 0) == 100
    assert machine.nanoseconds(1000, 400) == 600
    assert machine.nanoseconds(100, 4000) == 1100


@pytest.mark.parametrize("cost", ["measured", "calibrated"])
def test_costs_are_measured_once(cost, tmp_path):
    first = costs(cost=cost, cache=tmp_path)
    assert costs(cost=cost, cache=tmp_path) == first
    (file,) = tmp_path.iterdir()
    known = json.loads(file.read_text())["figures"]
    assert known
    assert all(figure > 0 for figure in known.values())
    # A plan takes them from there too, and so is the same plan after a new start.
    measurements._KNOWN.clear()
    made = plan_for(MLP(16, 4, 4), (X,), budget="100%", solver="keep_all", cost=cost, cache=tmp_path, quiet=True)
    assert [node.cost for node in made.graph.nodes] == first


def test_measured_costs_follow_the_work():
    big = capture_graph(MLP(256, 4, 4), (torch.randn(512, 256),), cost="measured")
    by_op = {}
    for node in big.nodes:
        by_op.setdefault(node.op, []).append(node.cost)
    assert max(by_op["aten.addmm.default"]) > min(by_op["aten.sum.dim_IntList"])


def test_a_machine_is_calibrated():
    found = constants("cpu", False)
    assert found.flops > 0
    assert found.moved_bytes > 0
    assert found.launch > 0
    assert found.nanoseconds(2 * 4096**3, 0) > found.nanoseconds(2 * 64**3, 0)
