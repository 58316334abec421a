"""What a plan tells: figures that follow from the graph and the schedule."""

import pytest

pytest.importorskip("torch")

from hcp import Graph, Node, Value, solve
from hcp.integrations.torch.lower import BOUNDARY
from hcp.integrations.torch.plans import TorchPlan

GRAPH = Graph(
    (
        Node("a", "mm", (), (Value("x", 100),), 10),
        Node("b", "tanh", ("x",), (Value("y", 60, "output", resident=True),), 5),
        Node(BOUNDARY, "boundary", ("y",), (Value("t", 60, "gradient", resident=True),), recomputable=False),
        Node("c", "mm", ("x", "t"), (Value("g", 30, "gradient", resident=True),), 20),
    ),
    name="Net",
    cost_unit="ns",
)


@pytest.fixture
def plan():
    # Room for another value while x is away.
    nodes = [*GRAPH.nodes[:3], Node("d", "sum", ("t",), (Value("z", 100),), 3), Node("e", "sum", ("z",), (), 3)]
    graph = Graph((*nodes, GRAPH.nodes[3]), name="Net", cost_unit="ns")
    return TorchPlan(solve(graph, 260, "exhaustive"), "float32[4]", "given")


def test_figures(plan):
    assert plan.keep_everything_bytes == 320
    assert plan.peak_bytes <= plan.budget_bytes == 260
    # The gradient of the loss comes from outside, and goes with the step.
    assert plan.gradient_bytes == 30
    assert plan.accumulating_peak_bytes == plan.peak_bytes + 30
    assert plan.gap == 0


def test_the_report_says_them(plan):
    lines = plan.report().splitlines()
    assert lines[0] == "Net on float32[4]: 6 operations"
    for label, text in (
        ("peak", "budget 260"),
        ("gradients", "30 bytes"),
        ("gap", "0"),
        ("by", "(given)"),
    ):
        (line,) = (line for line in lines if line.split()[0] == label)
        assert text in line
    assert not any(line.split()[0] == "moves" for line in lines)
    assert str(plan).startswith(f"Net: peak {plan.peak_bytes} bytes")


def test_moves_are_in_the_report_where_there_is_a_host():
    plan = TorchPlan(solve(GRAPH, "100%", "eviction", host="1"))
    assert any("to the host and back" in line for line in plan.report().splitlines())


def test_a_compiled_plan_tells_what_was_measured(plan):
    compiled = TorchPlan(plan.plan, plan.inputs, "planned", measured_bytes=240, allowed_bytes=250)
    assert compiled.budget_bytes == 250
    (line,) = (line for line in compiled.report().splitlines() if line.split()[0] == "compiled")
    assert "peak measured 240 bytes" in line
    assert "planned within 260" in line
    assert "budget 250" in compiled.report()
    unmeasured = TorchPlan(plan.plan, allowed_bytes=250)
    assert "its peak was not measured" in unmeasured.report()
    assert (plan.measured_bytes, plan.allowed_bytes) == (None, None)
    assert "compiled" not in plan.report()
