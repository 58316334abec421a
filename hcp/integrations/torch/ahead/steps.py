"""The training step of a module that is nowhere in memory, as a graph for each batch size."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final

import torch
from torch import fx, nn

from hcp.graph.ir import Graph, Node
from hcp.integrations.devices import ALLOCATION_BYTES, Device
from hcp.integrations.torch.ahead.sharding import shard_shape, sharded
from hcp.integrations.torch.ahead.weightless import faked, made
from hcp.integrations.torch.batch import Inputs, arguments_of
from hcp.integrations.torch.capture import Joint, trace
from hcp.integrations.torch.concrete import concrete
from hcp.integrations.torch.cost import flop_formula, work_of
from hcp.integrations.torch.errors import CaptureError, TorchError
from hcp.integrations.torch.internals import captured_size, may_differ, symbol_of, tree_leaves
from hcp.integrations.torch.joint_graph import lower_joint
from hcp.integrations.torch.lower import Lowered, op_name
from hcp.integrations.torch.program import tensors_of

# Of batches that are captured to tell which sizes grow with them. Sizes of one are captured as such.
_SMALLEST: Final = 2

MakeInputs = Callable[..., Inputs]


class _LossAlone(nn.Module):
    """A module that returns its loss alone where it names one among its outputs, as those of transformers do."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - whatever the module takes and returns
        outputs = self.module(*args, **kwargs)
        loss = outputs.get("loss") if isinstance(outputs, dict) else None
        return outputs if loss is None else loss


@dataclass(eq=False)
class Steps:
    """Graphs of a module's training step.

    Attributes:
        module: It, on fake tensors.
        make_inputs: Its arguments, for a batch size where it takes one.
        device: Where it is to run.
        dtype: Of floating-point inputs; None for as they are made.
        ranks: Devices that share the parameters.
        in_backward: Whether each parameter takes its gradient as soon as it is there.
    """

    module: nn.Module
    make_inputs: MakeInputs
    device: Device
    dtype: torch.dtype | None
    ranks: int
    in_backward: bool
    # Operations with kernels whose workspace no rule tells, by what they are called, with how often they are.
    kernels: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        make_model: Callable[[], nn.Module],
        make_inputs: MakeInputs,
        device: Device,
        dtype: torch.dtype | None = None,
        ranks: int = 1,
        *,
        in_backward: bool = False,
    ) -> "Steps":
        """The steps of what a function makes.

        Raises:
            TorchError: If it is no module, or does not run on tensors that are shapes alone.
        """
        module = made(make_model, "the function that makes the model")
        if not isinstance(module, nn.Module):
            raise TorchError(f"the function that makes the model gave {type(module).__name__!r} object; give a module")
        return cls(faked(module, (), dtype)[0], make_inputs, device, dtype, ranks, in_backward)

    @property
    def name(self) -> str:
        """The module's class."""
        return type(self.module).__name__

    @cached_property
    def takes_batch(self) -> bool:
        """Whether inputs can be made for any batch size."""
        parameters = inspect.signature(self.make_inputs).parameters.values()
        return any(each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD) for each in parameters)

    def inputs(self, batch: int) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Arguments for a batch, on fake tensors."""
        sizes = (batch,) if self.takes_batch else ()
        inputs = made(lambda: self.make_inputs(*sizes), "the function that makes the inputs")
        return faked(nn.Module(), arguments_of(inputs), self.dtype)[1]

    def input_bytes(self, batch: int) -> int:
        """Bytes of the arguments for a batch."""
        # What is given twice, such as tokens that are the labels as well, is there once.
        return sum(map(_bytes, {id(leaf): leaf for leaf in _tensors(self.inputs(batch))}.values()))

    def graph(self, batch: int) -> Graph:
        """The step for a batch, captured for it.

        Raises:
            CaptureError: If it cannot be captured, or nothing in it needs a gradient.
        """
        args, kwargs = self.inputs(batch)
        lowered = self._lowered(trace(_LossAlone(self.module), args, kwargs))
        self.kernels = _kernels(lowered)
        return self._placed(lowered)

    def for_any_batch(self, batch: int) -> Graph:
        """The step for a batch, captured once for all of them where that can be.

        Raises:
            CaptureError: If it cannot be captured.
        """
        if self.symbolic is None:
            return self.graph(batch)
        joint, place_of = self.symbolic
        leaves = _tensors(self.inputs(batch))
        sizes = {symbol: leaves[leaf].shape[dim] for symbol, (leaf, dim) in place_of.items()}
        return self._placed(self._lowered(concrete(joint, sizes)))

    @cached_property
    def symbolic(self) -> tuple[Joint, dict[Any, tuple[int, int]]] | None:
        """The step with symbols for sizes that grow with the batch, and where in the inputs each is found.

        None where it cannot be captured so.
        """
        try:
            return self._with_symbols()
        except CaptureError:
            return None

    def _with_symbols(self) -> tuple[Joint, dict[Any, tuple[int, int]]]:
        args, kwargs = self.inputs(_SMALLEST)
        leaves, more = _tensors((args, kwargs)), _tensors(self.inputs(_SMALLEST + 1))
        if [leaf.dim() for leaf in leaves] != [leaf.dim() for leaf in more]:
            raise CaptureError("there are more inputs, or of other ranks, for one batch size than for another")
        where: dict[int, tuple[int, int]] = {}
        for i, (leaf, larger) in enumerate(zip(leaves, more, strict=True)):
            for dim, (size, grown) in enumerate(zip(leaf.shape, larger.shape, strict=True)):
                if size == grown:
                    continue
                if size in where and more[where[size][0]].shape[where[size][1]] != grown:
                    raise CaptureError("two sizes of the inputs are equal for one batch size, and not for others")
                may_differ(leaf, dim)
                where.setdefault(size, (i, dim))
        joint = trace(_LossAlone(self.module), args, kwargs, symbolic=True)
        found = {symbol: captured_size(size) for symbol, size in _symbols(joint).items()}
        if not found or set(found.values()) != set(where):
            raise CaptureError("the sizes that grow with the batch cannot be told apart from others")
        return joint, {symbol: where[size] for symbol, size in found.items() if size is not None}

    def _lowered(self, joint: Joint) -> Lowered:
        taken = self._parameters if self.in_backward else frozenset[str]()
        return lower_joint(joint, self._cost, self.name, cache=False, run=False, taken=taken)

    @property
    def parameters(self) -> list[nn.Parameter]:
        """The parameters as one device holds them: of each a share of its rows, as FSDP2 has it."""
        return [nn.Parameter(_shard(each, self.ranks), each.requires_grad) for each in self.module.parameters()]

    @property
    def _parameters(self) -> frozenset[str]:
        return frozenset(f"module.{name}" for name, _ in self.module.named_parameters())

    def _cost(self, node: fx.Node) -> int:
        return cost_on(self.device, node)

    def _placed(self, lowered: Lowered) -> Graph:
        """The graph on the device: shared with others, in the portions that its allocator gives out."""
        return _rounded(sharded(lowered, self._parameters, self.ranks, self.device))


def cost_on(device: Device, node: fx.Node) -> int:
    """Nanoseconds of a captured operation by a device's roofline."""
    tensors = [tensor for source in (node, *node.all_input_nodes) for tensor in tensors_of(source)]
    item = max((tensor.element_size() for tensor in tensors if tensor.is_floating_point()), default=1)
    return device.nanoseconds(*work_of(node), item)


def _shard(parameter: torch.Tensor, ranks: int) -> torch.Tensor:
    shape = shard_shape(tuple(parameter.shape), ranks)
    if shape == parameter.shape:
        return torch.empty_strided(shape, parameter.stride(), dtype=parameter.dtype, device="meta")
    return torch.empty(shape, dtype=parameter.dtype, device="meta")


def _kernels(lowered: Lowered) -> dict[str, int]:
    """Products, convolutions and attention of a step, which libraries do."""
    found: dict[str, int] = {}
    for node in (each for computes in lowered.computes.values() for each in computes):
        if flop_formula(node) is not None:
            found[op_name(node)] = found.get(op_name(node), 0) + 1
    return found


def _symbols(joint: Joint) -> dict[Any, Any]:
    """The symbols of a step with a number of the graph that is each."""
    found: dict[Any, Any] = {}
    for primal in joint.primals:
        value = primal.meta["val"]
        sizes = (*value.shape, *value.stride()) if isinstance(value, torch.Tensor) else (value,)
        found |= {symbol: size for size in sizes if (symbol := symbol_of(size)) is not None}
    return found


def _rounded(graph: Graph) -> Graph:
    def up(amount: int) -> int:
        return -(-amount // ALLOCATION_BYTES) * ALLOCATION_BYTES

    def on_device(node: Node) -> Node:
        outputs = tuple(replace(value, bytes=up(value.bytes)) for value in node.outputs)
        return replace(node, outputs=outputs, workspace=up(node.workspace))

    return Graph(tuple(map(on_device, graph.nodes)), graph.inputs, name=graph.name, cost_unit=graph.cost_unit)


def _tensors(tree: object) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)]


def _bytes(tensor: torch.Tensor) -> int:
    return int(tensor.untyped_storage().nbytes())
