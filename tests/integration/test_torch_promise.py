"""The promise: planned peak == measured peak to the byte, and a step that computes exactly what the unplanned does."""

from functools import cache

import pytest

torch = pytest.importorskip("torch")

from hcp.feasibility import smallest_known  # noqa: E402
from hcp.integrations.torch import capture_graph, checkpoint, measure_peak, plan_of  # noqa: E402
from hcp.planners import solve  # noqa: E402
from hcp.schedule.actions import keep_everything  # noqa: E402
from hcp.schedule.replay import replay  # noqa: E402
from tests.integration.training_steps import STEPS, clear, random_schedule  # noqa: E402

PLANS = {
    "keep": keep_everything,
    "drop some": lambda graph: random_schedule(graph, 0.15, seed=2),
    "drop most": lambda graph: random_schedule(graph, 0.5, seed=3),
}


# Between the least that any schedule needs and what keeping everything takes.
BUDGETS = (0.75, 0.5, 0.25)


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@cache
def _kept_whole(name):
    """What the captured step gives that recomputes nothing."""
    step = STEPS[name]
    return step.trace(checkpoint(step.model(), plan=keep_everything))


@pytest.mark.parametrize("name", STEPS)
def test_the_captured_step_is_eager_to_the_bit(name):
    step = STEPS[name]
    pairs = list(zip(_kept_whole(name), step.trace(step.model()), strict=True))
    if torch.__version__ >= "2.13":
        assert all(torch.equal(a, b) for a, b in pairs)
    # Older captures round some of these steps otherwise, whatever compiles them.
    assert all(torch.allclose(a, b, rtol=1e-4, atol=1e-6) for a, b in pairs)


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("name", STEPS)
def test_peak_and_bits(name, plan):
    step = STEPS[name]
    planned = checkpoint(step.model(), plan=PLANS[plan])

    found = step.trace(planned)

    assert all(torch.equal(a, b) for a, b in zip(found, _kept_whole(name), strict=True))
    clear(planned)
    (made,) = plan_of(planned)
    assert measure_peak(lambda: step.run(planned)) == made.peak_bytes
    assert made.peak_bytes == replay(made.graph, made.schedule).peak


@pytest.mark.parametrize("name", STEPS)
def test_solved_plans_keep_their_budgets(name):
    step = STEPS[name]
    graph = capture_graph(step.model(), step.inputs)
    keep, floor = replay(graph, keep_everything(graph)).peak, int(graph.index.floor.max())
    reference = _kept_whole(name)
    budgets = [floor + round(share * (keep - floor)) for share in BUDGETS]
    plans = [plan for budget in budgets if (plan := _solved(graph, budget)) is not None]
    for plan in {plan.schedule: plan for plan in plans}.values():
        model = checkpoint(step.model(), plan.problem.budget, plan=plan)
        found = step.trace(model)
        assert all(torch.equal(a, b) for a, b in zip(found, reference, strict=True))
        clear(model)
        assert measure_peak(lambda: step.run(model)) == plan.peak <= plan.problem.budget  # noqa: B023
    assert plans or smallest_known(graph) > max(budgets)


def _solved(graph, budget):
    plans = (solve(graph, budget, solver) for solver in ("eviction", "reorder"))
    return next((plan for plan in plans if plan.schedule is not None), None)


def test_recomputation_happens_in_the_plan_of_the_test():
    step = STEPS["gpt"]
    model = checkpoint(step.model(), plan=PLANS["drop some"])
    step.run(model)
    (made,) = plan_of(model)
    recomputed = replay(made.graph, made.schedule).recomputed
    assert any("dropout" in made.graph.node[name].op for name in recomputed)
    boundary = made.schedule.computes.index("BOUNDARY")
    again = {name for i, name in enumerate(made.schedule.computes) if name in made.schedule.computes[:i]}
    assert again & set(made.schedule.computes[:boundary])
    assert again & set(made.schedule.computes[boundary:])
