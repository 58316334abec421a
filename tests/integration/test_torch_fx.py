"""Graphs that PyTorch has captured already: what is planned is what the captured module holds when it runs."""

import pytest

torch = pytest.importorskip("torch")

from torch import fx, nn  # noqa: E402
from torch.fx.experimental.proxy_tensor import make_fx  # noqa: E402

import hcp  # noqa: E402
from hcp.integrations.torch import CaptureError, measure_peak  # noqa: E402
from hcp.integrations.torch.demo.models import MLP  # noqa: E402
from hcp.integrations.torch.fx_builder import from_pytorch_fx  # noqa: E402
from tests.integration.training_steps import STEPS  # noqa: E402

BATCH = torch.randn(64, 16, generator=torch.Generator().manual_seed(3))


def model():
    torch.manual_seed(0)
    return MLP(width=16, depth=4, classes=4)


def joint():
    """A training step by make_fx, and its arguments."""
    module = model()
    parameters = dict(module.named_parameters())

    def step(parameters, batch):
        loss = torch.func.functional_call(module, parameters, (batch,)).square().mean()
        return loss, torch.autograd.grad(loss, list(parameters.values()))

    captured = make_fx(step)(parameters, BATCH)
    captured.graph.eliminate_dead_code()
    return captured, (parameters, BATCH)


def captures():
    exported = torch.export.export(model(), (BATCH,))
    return {
        "make_fx": (*joint(), ()),
        "symbolic_trace": (fx.symbolic_trace(model()), (BATCH,), (BATCH,)),
        "export": (exported.module(), (BATCH,), ()),
        "decomposed": (exported.run_decompositions().module(), (BATCH,), ()),
    }


@pytest.mark.parametrize("how", ["make_fx", "symbolic_trace", "export", "decomposed"])
def test_the_keep_everything_peak_is_what_running_the_module_takes(how):
    module, arguments, inputs = captures()[how]
    graph = from_pytorch_fx(module, inputs)
    interpreter = fx.Interpreter(module, garbage_collect_values=True)
    before = sum(value.bytes for value in graph.inputs)

    def run():
        with torch.no_grad():
            interpreter.run(*arguments)

    assert hcp.replay(graph, hcp.keep_everything(graph)).peak - before == measure_peak(run)
    assert graph.base_cost > 0


def test_a_captured_training_step_is_planned():
    graph = from_pytorch_fx(joint()[0])
    plan = hcp.solve(graph, "85%", "eviction")
    assert plan.usage.recomputed
    assert plan.peak <= plan.problem.budget


def test_parameters_are_held_and_views_are_folded():
    graph = from_pytorch_fx(fx.symbolic_trace(model()), (BATCH,))
    parameters = {value.name: value.bytes for value in graph.inputs if value.kind == "parameter"}
    assert parameters == {name: value.nbytes for name, value in model().named_parameters()}
    exported = from_pytorch_fx(
        torch.export.export(STEPS["fused attention"].model(), STEPS["fused attention"].inputs).module()
    )
    assert not {"view", "transpose", "chunk", "getitem"} & {node.name for node in exported.nodes}


@pytest.mark.parametrize("name", ["resnet", "shared norm", "buffer"])
def test_changes_of_buffers_run_once_and_in_order(name):
    step = STEPS[name]
    exported = torch.export.export(step.model(), step.inputs).run_decompositions()
    graph = from_pytorch_fx(exported.module())
    writers = [node for node in graph.nodes if node.op == "copy_.default"]
    assert writers
    assert not any(node.recomputable for node in writers)
    readers = {reader for node in writers for reader in graph.readers[node.inputs[0]]}
    assert not any(graph.node[reader].recomputable for reader in readers)


def test_random_draws_run_once_and_in_order():
    class Noisy(nn.Module):
        def forward(self, x):
            return torch.dropout(x * 2, 0.5, True) + torch.rand_like(x)

    graph = from_pytorch_fx(fx.symbolic_trace(Noisy()), (BATCH,))
    drop, draw = (node for node in graph.nodes if not node.recomputable)
    assert {value.name for value in drop.outputs} & set(draw.inputs)


def test_a_cost_function_and_a_name():
    captured, _ = joint()
    graph = from_pytorch_fx(captured, cost=lambda node: len(node.all_input_nodes), name="step")
    assert graph.name == "step"
    assert graph.node["addmm"].cost == 3
    with pytest.raises(CaptureError, match=r"gave -1 for addmm; expected a whole number"):
        from_pytorch_fx(captured, cost=lambda node: -1)


def test_the_module_is_left_as_it_is():
    captured, _ = joint()
    before = [(node.name, dict(node.meta)) for node in captured.graph.nodes]
    from_pytorch_fx(captured)
    assert before == [(node.name, dict(node.meta)) for node in captured.graph.nodes]
    torch.manual_seed(7)
    module = nn.Sequential(nn.BatchNorm1d(16), nn.Dropout())
    state = torch.get_rng_state()
    from_pytorch_fx(fx.symbolic_trace(module), (BATCH,))
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(module[0].running_mean, torch.zeros(16))


class InPlace(nn.Module):
    def forward(self, x):
        return (x * 2).relu_()


class DataDependent(nn.Module):
    def forward(self, x):
        return x[x > 0] * 2


@pytest.mark.parametrize(
    ("module", "inputs", "message"),
    [
        (InPlace(), (BATCH,), r"node relu_ \(relu_\) changes value mul in place; write it without"),
        (InPlace(), (), "input x of the captured graph has no example; give from_pytorch_fx its inputs"),
        (DataDependent(), (BATCH,), r"node getitem .* cannot be run on fake tensors"),
    ],
)
def test_what_cannot_be_planned_is_named(module, inputs, message):
    with pytest.raises(CaptureError, match=message):
        from_pytorch_fx(fx.symbolic_trace(module), inputs)


def test_symbolic_shapes_are_refused_unless_inputs_are_given():
    captured = make_fx(lambda x: (x * 2).sum(), tracing_mode="symbolic")(BATCH)
    with pytest.raises(CaptureError, match="symbolic shape"):
        from_pytorch_fx(captured)
    assert len(from_pytorch_fx(captured, (BATCH,)).nodes) == 2
