"""The promise: planned peak == measured peak to the byte, and a step that computes exactly what the unplanned does."""

import pytest

torch = pytest.importorskip("torch")

from hcp.integrations.torch import checkpoint, measure_peak, plan_of  # noqa: E402
from hcp.schedule.actions import keep_everything  # noqa: E402
from hcp.schedule.replay import replay  # noqa: E402
from tests.integration.training_steps import STEPS, clear, random_schedule  # noqa: E402

PLANS = {
    "keep everything": keep_everything,
    "drop some": lambda graph: random_schedule(graph, 0.1, seed=1),
    "drop more": lambda graph: random_schedule(graph, 0.2, seed=2),
    "drop most": lambda graph: random_schedule(graph, 0.5, seed=3),
}


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("name", STEPS)
def test_peak_and_bits(name, plan):
    step = STEPS[name]
    planned = checkpoint(step.model(), plan=PLANS[plan])
    reference = step.trace(step.model())

    found = step.trace(planned)

    assert [torch.equal(a, b) for a, b in zip(found, reference, strict=True)] == [True] * len(reference)
    clear(planned)
    (made,) = plan_of(planned)
    assert measure_peak(lambda: step.run(planned)) == made.peak_bytes
    assert made.peak_bytes == replay(made.graph, made.schedule).peak


@pytest.mark.parametrize(("name", "budget"), [("mlp", "70%"), ("gpt", "80%"), ("gpt", "60%"), ("resnet", "80%")])
def test_a_solved_plan_keeps_its_budget(name, budget):
    step = STEPS[name]
    model = checkpoint(step.model(), budget, solver="anneal", time_limit=5)
    reference = step.trace(step.model())

    found = step.trace(model)

    assert all(torch.equal(a, b) for a, b in zip(found, reference, strict=True))
    clear(model)
    (made,) = plan_of(model)
    assert measure_peak(lambda: step.run(model)) == made.peak_bytes <= made.plan.problem.budget
    assert made.peak_bytes < made.keep_everything_bytes


def test_recomputation_happens_in_the_plan_of_the_test():
    step = STEPS["gpt"]
    model = checkpoint(step.model(), plan=PLANS["drop more"])
    step.run(model)
    (made,) = plan_of(model)
    recomputed = replay(made.graph, made.schedule).recomputed
    assert any("dropout" in made.graph.node[name].op for name in recomputed)
    boundary = made.schedule.computes.index("BOUNDARY")
    again = {name for i, name in enumerate(made.schedule.computes) if name in made.schedule.computes[:i]}
    assert again & set(made.schedule.computes[:boundary])
    assert again & set(made.schedule.computes[boundary:])
