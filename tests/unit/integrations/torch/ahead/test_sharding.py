import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from hcp.integrations.devices import DEVICES  # noqa: E402
from hcp.integrations.torch.ahead.sharding import GATHER, SCATTER, ranks_of, shard_shape, sharded, unit_of  # noqa: E402
from hcp.integrations.torch.capture import trace  # noqa: E402
from hcp.integrations.torch.errors import TorchError  # noqa: E402
from hcp.integrations.torch.joint_graph import lower_joint  # noqa: E402
from hcp.schedule.actions import keep_everything  # noqa: E402
from hcp.schedule.replay import replay  # noqa: E402

DEVICE = DEVICES["h100-80gb"]


class Blocks(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(16, 16), nn.Tanh()) for _ in range(3))
        self.head = nn.Linear(16, 4)

    def forward(self, x):
        for block in self.blocks:
            x = x + block(x)
        return self.head(x).square().mean()


def lowered(module):
    return lower_joint(trace(module, (torch.ones(8, 16),), {}), "roofline", "Blocks", cache=False)


def test_units_are_the_outermost_numbered_modules():
    assert unit_of("model.layers.3.mlp.experts.1.weight") == "model.layers.3"
    assert unit_of("head.weight") == ""


def test_gathers_come_before_readers_and_gradients_are_scattered_by_unit():
    module = Blocks()
    names = frozenset(name for name, _ in module.named_parameters())
    whole = lowered(module)
    graph = sharded(whole, names, 4, DEVICE)
    units = ["", *(f"blocks.{i}" for i in range(3))]
    assert {node.name for node in graph.nodes if node.op == "all_gather"} == {f"{GATHER}:{unit}" for unit in units}
    assert {node.name for node in graph.nodes if node.op == "reduce_scatter"} == {f"{SCATTER}:{unit}" for unit in units}
    for unit in units[1:]:
        assert graph.values[f"{GATHER}:{unit}"].bytes == 4 * (16 * 16 + 16)
        assert graph.values[f"{SCATTER}:{unit}"].bytes == 16 * 16 + 16
        # In the forward for the product, and in the backward for the gradient of its input, save that of the first
        # block, whose input needs none.
        readers = [node for node in graph.nodes if f"{GATHER}:{unit}" in node.inputs]
        assert len(readers) == (1 if unit == "blocks.0" else 2)
    gradients = [value for node in graph.nodes for value in node.outputs if value.kind == "gradient" and value.resident]
    parameters = sum(parameter.numel() * 4 for parameter in module.parameters())
    assert sum(value.bytes for value in gradients if value.name.startswith(SCATTER)) == parameters // 4
    # Legal as it stands, and less is held at the end.
    before, after = (replay(each, keep_everything(each)) for each in (whole.graph, graph))
    assert after.cost > before.cost
    assert graph.index.last_floor[graph.index.last] < whole.graph.index.last_floor[whole.graph.index.last]


def test_one_device_shares_with_nobody():
    whole = lowered(Blocks())
    assert sharded(whole, frozenset(), 1, DEVICE) is whole.graph
    assert shard_shape((10, 3), 4) == (3, 3)
    # Nothing is divided but rows.
    assert (shard_shape((1, 8), 4), shard_shape((), 4)) == ((1, 8), ())


@pytest.mark.parametrize(("mesh", "ranks"), [(None, 1), (8, 8), ({"fsdp": 4, "dp": 2}, 4), ({"dp": 2}, 1)])
def test_meshes(mesh, ranks):
    assert ranks_of(mesh) == ranks


@pytest.mark.parametrize("mesh", [{"tp": 2}, {"fsdp": 0}, "8", True])
def test_other_meshes_are_refused(mesh):
    with pytest.raises(TorchError, match="mesh axis"):
        ranks_of(mesh)


def test_a_scatter_reads_gradients_in_the_order_of_their_parameters():
    module = Blocks()
    graph = sharded(lowered(module), frozenset(name for name, _ in module.named_parameters()), 4, DEVICE)
    scatters = [node for node in graph.nodes if node.op == "reduce_scatter"]
    # Weights come before biases. A set of names has another order in each process.
    assert [[graph.values[name].bytes for name in node.inputs][:2] for node in scatters] == [
        *[[4 * 4 * 16, 4 * 4]],
        *[[4 * 16 * 16, 4 * 16]] * 3,
    ]
