"""Analysis, heuristics and height compression on captured training steps."""

import pytest

pytest.importorskip("torch")

import torch

import hcp
from hcp.analysis.frontier_width import compute_frontier_width
from hcp.analysis.width_heuristics import best_heuristic_order
from hcp.graph.topo import induced_subgraph, is_topological
from hcp.graph.visualize import to_svg
from hcp.heuristics.interval_plan import build_replay_plan, make_interval_plan
from hcp.integrations.torch import capture_graph, checkpoint
from hcp.report.show import plan_marks
from hcp.schedule.validate import validate_plan
from tests.integration.training_steps import STEPS

MODELS = ["gpt", "resnet"]
HEURISTICS = [
    "recompute_all",
    "revolve",
    "rotor",
    "lower_sets",
    "treewidth",
    "eviction",
    "knapsack",
    "interval_tree",
    "reorder",
]


@pytest.fixture(scope="module", params=MODELS)
def graph(request):
    step = STEPS[request.param]
    return capture_graph(step.model(), step.inputs)


def graph_peak(graph):
    return hcp.replay(graph, hcp.keep_everything(graph)).peak


def test_the_analysis_reports(graph):
    report = hcp.analyze_graph(graph)
    peak = graph_peak(graph)
    assert report.frontier.peak == peak == report.criteria.base_peak
    assert compute_frontier_width(graph) == report.frontier.width
    assert all(bound.value <= peak for bound in report.bounds if bound.of == "peak" and bound.holds)
    assert is_topological(graph, best_heuristic_order(graph))
    assert graph.validate() == graph.order


@pytest.mark.parametrize("solver", HEURISTICS)
def test_every_heuristic_plans_within_the_budget_or_says_how_far_it_got(graph, solver):
    # What a convolution's backward needs at least depends on the number of threads.
    plan = hcp.solve(graph, max(round(0.7 * graph_peak(graph)), graph.index.least_bytes), solver, time_limit=20)
    if plan.schedule is None:
        assert "smallest peak reached" in plan.note
    else:
        assert plan.peak <= plan.problem.budget


def test_interval_plans_are_ordinary_schedules(graph):
    for block_size in ("sqrt", "tuned", 8):
        plan = make_interval_plan(graph, block_size=block_size)
        verdict = validate_plan(graph, build_replay_plan(plan), order=graph.order)
        assert verdict.valid
        assert all(set(checkpoint.values) <= graph.values.keys() for checkpoint in plan.checkpoints)


def test_parts_and_pictures(graph):
    first = induced_subgraph(graph, graph.order[: len(graph.order) // 3])
    assert hcp.solve(first, "100%", "keep_all").cost == first.base_cost
    schedule = hcp.solve(graph, "80%", "eviction").schedule
    assert 'fill="orange"' in to_svg(graph, plan_marks(graph, schedule))


@pytest.mark.parametrize("solver", ["rotor", "eviction"])
def test_a_planned_step_gives_the_same_gradients(solver):
    step = STEPS["gpt"]
    model, reference = step.model(), step.model()
    reference.load_state_dict(model.state_dict())
    checkpoint(model, "70%", solver=solver)
    for a, b in zip(step.trace(model), step.trace(reference), strict=True):
        assert torch.equal(a, b)
