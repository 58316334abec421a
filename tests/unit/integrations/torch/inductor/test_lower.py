"""Graphs of kernels: what planners see of a step, and that schedules of them compute what the step does."""

import pytest

pytest.importorskip("torch")

import torch

from hcp import keep_everything, replay
from hcp.integrations.torch.capture import real_tensors
from hcp.integrations.torch.emit import emit
from hcp.integrations.torch.inductor import lower as module
from hcp.integrations.torch.inductor.lower import same_structure, structure_of
from hcp.integrations.torch.internals import input_place, tree_leaves
from hcp.integrations.torch.lower import BOUNDARY
from tests.integration.training_steps import random_schedule
from tests.unit.integrations.torch.inductor.steps import STEPS, step_named


@pytest.fixture(scope="module", params=STEPS)
def step(request):
    step = step_named(request.param)
    assert step.lowered.graph.nodes
    return step


def test_nodes_are_kernels(step):
    graph = step.lowered.graph
    assert graph.name == step.name
    assert graph.cost_unit == "ns"
    assert [node.name for node in graph.nodes if node.op == "boundary"] == [BOUNDARY]
    assert all(node.cost > 0 for node in graph.nodes if node.name != BOUNDARY)
    assert step.lowered.libraries < set(step.lowered.computes) == set(graph.node) - {BOUNDARY}


def test_what_is_returned_stays(step):
    graph, joint = step.lowered.graph, step.joint
    resident = {name for name, value in graph.values.items() if value.resident}
    gradients = [node for node in joint.gradients if isinstance(node, torch.fx.Node)]
    sources = {node: node for node in gradients}
    named = [sources[node].name for node in gradients if node.name in graph.values]
    assert named
    assert resident >= set(named)
    assert all(graph.values[name].kind == "gradient" for name in named)
    assert {tangent.name for tangent in joint.tangents} <= resident


def test_what_must_not_run_again_is_not_recomputable(step):
    lowered = step.lowered
    for name, operations in lowered.computes.items():
        assert lowered.graph.node[name].recomputable == lowered.program.once.isdisjoint(operations)
    assert not lowered.graph.node[BOUNDARY].recomputable


@pytest.mark.parametrize("name", STEPS)
def test_the_structure_is_the_same_without_costs(name):
    graph = step_named(name).lowered.graph
    other = structure_of(step_named(name).joint, name).graph
    assert same_structure(graph, other)
    assert sum(node.cost for node in other.nodes) == 0
    smaller = structure_of(step_named("net" if name == "images" else "images").joint, name).graph
    assert not same_structure(graph, smaller)


def numbers(size, seed, mode):
    """Random numbers as a function of their seed; what PyTorch runs outside of kernels does not look at it."""
    return getattr(torch, mode)(size, generator=torch.Generator().manual_seed(int(seed)))


def seeded(half):
    for node in half.graph.find_nodes(op="call_function", target=torch.ops.prims.inductor_random.default):
        node.target = numbers
    half.recompile()
    return half


def run(step, schedule):
    """Outputs, gradients, buffers and random state of the emitted halves, run operation by operation."""
    halves = emit(step.lowered, schedule)
    joint = step.joint
    torch.manual_seed(4)
    with real_tensors():
        inputs = [step.traced.inputs[input_place(primal)].detach().clone() for primal in joint.primals]
        made = seeded(halves.forward)(*inputs)
        outputs, saved = made[: len(joint.outputs)], made[len(joint.outputs) :]
        tangents = [torch.ones(tangent.meta["val"].shape) for tangent in joint.tangents]
        return outputs, seeded(halves.backward)(*saved, *tangents), inputs, torch.get_rng_state()


@pytest.mark.parametrize("seed", range(4))
def test_schedules_compute_what_the_step_does(step, seed):
    graph = step.lowered.graph
    schedule = random_schedule(graph, 0.3, seed)
    assert len(schedule.computes) > len(graph.nodes)
    assert replay(graph, schedule).cost > graph.base_cost
    expected, found = run(step, keep_everything(graph)), run(step, schedule)
    for one, other in zip(tree_leaves(expected), tree_leaves(found), strict=True):
        assert (one is None and other is None) or torch.equal(one, other)


def test_the_step_itself_is_computed():
    step = step_named("images")
    given = [item.detach().clone().requires_grad_(item.requires_grad) for item in step.traced.inputs]
    (loss,) = step.traced.module(*given)
    expected = torch.autograd.grad(loss, [item for item in given if item.requires_grad])
    _, gradients, inputs, _ = run(step, keep_everything(step.lowered.graph))
    primals = step.joint.primals
    found = {input_place(primal): gradient for primal, gradient in zip(primals, gradients, strict=True)}
    wanted = [place for place, item in enumerate(given) if item.requires_grad]
    for gradient, place in zip(expected, wanted, strict=True):
        torch.testing.assert_close(found[place], gradient)
    # Batch norm's statistics among them.
    for primal, after in zip(primals, inputs, strict=True):
        torch.testing.assert_close(after, given[input_place(primal)].detach())


def test_costs_are_what_is_asked_for(monkeypatch):
    timed = []
    monkeypatch.setattr(module, "kernel_times", lambda kernels, _: timed.extend(kernels) or dict.fromkeys(kernels, 5))
    times = step_named("net", cost="measured").lowered
    own = step_named("net", cost=lambda _: 7).lowered
    assert same_structure(times.graph, own.graph)
    assert all(node.cost > 0 for node in times.graph.nodes if node.name != BOUNDARY)
    # Library calls are timed where their workspace is seen.
    fused = {kernel.main.name for kernel in timed}
    assert fused
    assert fused.isdisjoint(times.libraries)
    assert {times.graph.node[name].cost for name in fused} == {5}
    assert all(own.graph.node[name].cost == 7 * len(operations) for name, operations in own.computes.items())
