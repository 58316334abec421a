"""The runtime on a real PyTorch training step: checkpoints on disk, on the host and at hand, bit-identical to eager."""

import operator

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.fx.experimental.proxy_tensor import make_fx  # noqa: E402

from hcp.graph.ir import Graph, Node, Value  # noqa: E402
from hcp.integrations.torch.codec import TensorCodec  # noqa: E402
from hcp.integrations.torch.demo.models import MLP  # noqa: E402
from hcp.integrations.torch.errors import ExecutionError  # noqa: E402
from hcp.planners import solve  # noqa: E402
from hcp.runtime import CheckpointStorage, ExecutionCallbacks, FallbackWarning, HeightCompressedExecutor  # noqa: E402
from hcp.schedule.replay import replay  # noqa: E402

BATCH = torch.randn(32, 16, generator=torch.Generator().manual_seed(3))

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
DEVICES = ["cpu", pytest.param("cuda", marks=needs_gpu)]


def make_model(device="cpu"):
    torch.manual_seed(0)
    return MLP(width=16, depth=8, classes=4).to(device)


class TrainingStep(ExecutionCallbacks):
    """One step of a model as a graph of ATen operations, from ``make_fx``, and how to run its nodes."""

    def __init__(self, model):
        self.parameters = dict(model.named_parameters())
        data = BATCH.to(next(model.parameters()).device)

        def step(parameters, batch):
            loss = torch.func.functional_call(model, parameters, (batch,)).square().mean()
            return loss, torch.autograd.grad(loss, list(parameters.values()))

        program = make_fx(step)(self.parameters, data).graph
        program.eliminate_dead_code()
        self.node = {node.name: node for node in program.nodes if node.op == "call_function"}
        (output,) = program.find_nodes(op="output")
        self.loss, self.gradients = output.args[0][0].name, [node.name for node in output.args[0][1:]]
        placeholders = program.find_nodes(op="placeholder")
        self.sources = dict(zip([node.name for node in placeholders], [*self.parameters.values(), data], strict=True))
        held = {self.loss, *self.gradients}
        self.graph = Graph(
            tuple(
                Node(
                    node.name,
                    str(node.target),
                    tuple(source.name for source in node.all_input_nodes),
                    (Value(node.name, size(node), "output" if node.name in held else "activation", node.name in held),),
                    cost=1,
                )
                for node in self.node.values()
            ),
            tuple(Value(name, tensor.nbytes, "input") for name, tensor in self.sources.items()),
        )

    def inputs(self, loss):
        return {name: tensor.detach() for name, tensor in self.sources.items()}

    def compute(self, node, inputs, *, again):
        call = self.node[node.name]
        args, kwargs = torch.fx.node.map_arg((call.args, call.kwargs), lambda source: inputs[source.name])
        with torch.no_grad():
            return {node.name: call.target(*args, **kwargs)}

    def train(self, executor, steps=3):
        """Losses and gradients of some steps of gradient descent."""
        found = []
        for _ in range(steps):
            results = executor.backward(None, lambda _: None, self).results
            gradients = [results[name] for name in self.gradients]
            found += [results[self.loss], *gradients]
            with torch.no_grad():
                for parameter, gradient in zip(self.parameters.values(), gradients, strict=True):
                    parameter.sub_(gradient, alpha=0.1)
        return found


def size(node):
    value = node.meta["val"]
    return 0 if node.target is operator.getitem or not isinstance(value, torch.Tensor) else value.nbytes


def eager(device, steps=3):
    model = make_model(device)
    data = BATCH.to(device)
    found = []
    for _ in range(steps):
        model.zero_grad()
        loss = model(data).square().mean()
        loss.backward()
        found += [loss.detach(), *(parameter.grad.clone() for parameter in model.parameters())]
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.sub_(parameter.grad, alpha=0.1)
    return found


@pytest.mark.parametrize("tier", ["disk", "host", "device"])
@pytest.mark.parametrize("how", ["solved", "block size"])
@pytest.mark.parametrize("device", DEVICES)
def test_training_with_checkpoints_elsewhere_is_bit_identical_to_eager(tmp_path, tier, how, device):
    step = TrainingStep(make_model(device))
    reference = eager(device)
    with CheckpointStorage(tmp_path, TensorCodec()) as storage:
        executor = HeightCompressedExecutor(storage, tier)
        if how == "solved":
            configured = executor.configure(plan=solve(step.graph, "80%", "interval_tree"))
        else:
            configured = executor.configure(step.graph, block_size=6)
        found = step.train(executor)
        assert all(torch.equal(a, b) for a, b in zip(found, reference, strict=True))
        assert configured.usage.recomputed
        assert configured.checkpoints
        profile = executor.run(step).profile
        assert not list(tmp_path.iterdir())
    stored = {event.name for event in profile.events if event.category == "store"}
    if tier == "device":
        assert not stored
        assert profile.peak_bytes == replay(step.graph, configured.schedule).peak
    else:
        assert stored == configured.checkpoints
        assert profile.peak_stored_bytes > 0
        assert profile.peak_bytes < configured.usage.peak


def test_without_callbacks_autograd_itself_runs():
    model = make_model()
    executor = HeightCompressedExecutor()
    executor.configure(TrainingStep(model).graph, block_size=6)
    loss = model(BATCH).square().mean()
    with pytest.warns(FallbackWarning):
        assert executor.backward(loss, torch.Tensor.backward).fallback
    reference = eager("cpu", 1)
    assert torch.equal(loss, reference[0])
    assert all(torch.equal(p.grad, g) for p, g in zip(model.parameters(), reference[1:], strict=True))


@pytest.mark.parametrize("tier", ["disk", "host"])
@pytest.mark.parametrize(
    "tensor",
    [
        torch.randn(3, 4),
        torch.randn(3, 4, dtype=torch.bfloat16),
        torch.tensor(2.0),
        torch.zeros(0, 3),
        torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
        torch.randn(6, 4).t(),
        torch.randn(6, 4)[::2],
        torch.tensor([True, False]),
        torch.tensor([1 + 2j]).conj(),
        nn.Parameter(torch.ones(2)),
        torch.ones(1).expand(5),
    ],
    ids=lambda tensor: f"{tensor.dtype}-{tuple(tensor.shape)}-{tensor.stride()}",
)
def test_tensors_come_back_bit_for_bit(tmp_path, tier, tensor):
    with CheckpointStorage(tmp_path, TensorCodec()) as storage:
        storage.put("x", tensor, tier)
        storage.flush()
        found = storage.get("x")
    assert found.dtype == tensor.dtype
    assert found.device == tensor.device
    assert torch.equal(found, tensor)
    assert not found.requires_grad
    if torch.ops.aten.is_non_overlapping_and_dense(tensor):
        assert found.stride() == tensor.stride()


@needs_gpu
@pytest.mark.parametrize("tier", ["disk", "host"])
def test_tensors_on_their_way_on_another_stream_are_waited_for(tmp_path, tier):
    factor = torch.full((2048, 2048), 1 / 2048, device="cuda")
    with CheckpointStorage(tmp_path, TensorCodec()) as storage:
        with torch.cuda.stream(torch.cuda.Stream()):
            product = torch.ones(2048, 2048, device="cuda")
            for _ in range(50):
                product = product @ factor
            storage.put("x", product * 2, tier)
        storage.flush()
        found = storage.get("x")
    assert found.is_cuda
    assert torch.equal(found.cpu(), torch.full((2048, 2048), 2.0))


def test_what_is_no_dense_tensor_is_refused(tmp_path):
    with CheckpointStorage(tmp_path, TensorCodec()) as storage:
        for value in (torch.eye(2).to_sparse(), "text"):
            with pytest.raises(ExecutionError, match="store plain dense tensors"):
                storage.put("x", value, "disk")
