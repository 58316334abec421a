"""Graphs that PyTorch has captured already (``torch.export``, ``make_fx``, ``symbolic_trace``) as hcp graphs.

Every operation that makes a storage becomes a node of the same name. What only looks at storages (views, items, shapes)
is folded into its readers. Storages are told apart by running the graph once on fake tensors, which hold no memory.
Known shortfalls: workspace is unknown and counted as zero, and memory is counted for the graph as it stands: for a
training step within its budget to the byte, use ``checkpoint``, which captures, measures and runs it.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import torch
from torch import fx

from hcp.graph.ir import Graph, Node, Value
from hcp.integrations.torch.cost import roofline
from hcp.integrations.torch.errors import CaptureError
from hcp.integrations.torch.internals import (
    FakeTensor,
    FakeTensorMode,
    aten_graph,
    content_version,
    is_operation,
    source_of,
    storage_id,
    tree_flatten,
    tree_leaves,
    tree_map,
)
from hcp.integrations.torch.program import is_random

Cost = Literal["roofline"] | Callable[[fx.Node], int]

# Where each capture leaves the example of what a node returns.
_EXAMPLES: Final = ("val", "example_value")


def from_pytorch_fx(
    module: fx.GraphModule, inputs: Sequence[Any] = (), *, cost: Cost = "roofline", name: str | None = None
) -> Graph:
    """The graph of a captured module; the module is neither run nor changed.

    Inputs and parameters are held throughout, and what the module returns stays to the end. Random draws, and
    operations that change an input or a buffer or read what is changed, run once and in their order.

    Args:
        module: A captured graph with static shapes, such as ``torch.export.export(...).module()``,
            ``make_fx(f)(*inputs)`` or ``torch.fx.symbolic_trace(model)``.
        inputs: Example arguments; not needed where the capture left examples of them in the graph.
        cost: ``"roofline"``, in nanoseconds, or a function from a node to whole nanoseconds.
        name: The graph's name; the module's class where not given.

    Raises:
        CaptureError: If a shape cannot be told, or an operation changes a value that another one made.
    """
    return _Builder(module, cost).run(tuple(inputs), name or type(module).__name__)


@dataclass
class _Builder:
    module: fx.GraphModule
    cost: Cost
    mode: FakeTensorMode = field(init=False)
    # Whether the caller gave inputs, which may differ from what the capture saw.
    given: bool = False
    operations: set[str] = field(default_factory=set)
    # What each node returns, on fake tensors, and the value that each storage is.
    found: dict[fx.Node, Any] = field(default_factory=dict)
    value_of: dict[int, str] = field(default_factory=dict)
    sources: dict[str, Value] = field(default_factory=dict)
    outputs: dict[fx.Node, list[Value]] = field(default_factory=dict)
    once: list[fx.Node] = field(default_factory=list)
    changed: set[str] = field(default_factory=set)
    costs: dict[fx.Node, int] = field(default_factory=dict)
    held: set[str] = field(default_factory=set)

    def run(self, inputs: Sequence[Any], name: str) -> Graph:
        self.given = bool(inputs)
        self.operations = {node.name for node in self.module.graph.nodes if node.op.startswith("call_")}
        # Captures may leave examples of several modes, which do not mix.
        self.mode = FakeTensorMode(allow_non_fake_inputs=True)
        with ExitStack() as stack:
            stack.enter_context(torch.no_grad())
            stack.enter_context(self.mode)
            self._state()
            for position, node in enumerate(self.module.graph.find_nodes(op="placeholder")):
                self.found[node] = self._placeholder(node, inputs, position)
                self._source(node.name, self.found[node], "input")
            for node in self.module.graph.nodes:
                self._visit(node)
        return Graph(tuple(self._nodes()), tuple(self.sources.values()), name=name, cost_unit="ns")

    def _state(self) -> None:
        """Parameters and buffers as fake tensors, by name; tied ones share a storage."""
        named = [*self.module.named_parameters(), *self.module.named_buffers()]
        self.state = {name: self._fake(tensor) for name, tensor in named}

    def _placeholder(self, node: fx.Node, inputs: Sequence[Any], position: int) -> object:
        if position < len(inputs):
            return tree_map(self._fake, inputs[position])
        example = _example(node)
        if example is not None:
            return tree_map(self._fake, example)
        if node.args:
            return node.args[0]
        raise CaptureError(f"input {node.name} of the captured graph has no example; give from_pytorch_fx its inputs")

    def _fake(self, value: object) -> object:
        if not isinstance(value, FakeTensor):
            return self.mode.from_tensor(value, static_shapes=True) if isinstance(value, torch.Tensor) else value
        layout = (*value.shape, *value.stride())
        if not all(isinstance(amount, int) for amount in layout):
            raise CaptureError(
                f"an input of the captured graph has the symbolic shape {tuple(value.shape)}; give from_pytorch_fx "
                "its inputs, or capture it with static shapes"
            )
        return torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device=value.device)

    def _source(self, name: str, content: object, kind: str) -> None:
        """Takes up the storages that are there when the graph starts."""
        for i, tensor in enumerate(_tensors(content)):
            storage = storage_id(tensor)
            if storage not in self.value_of:
                label = name if i == 0 else f"{name}:{i}"
                if kind == "parameter" and label in self.operations:
                    label = f"self.{label}"
                self.value_of[storage] = label
                self.sources[label] = Value(label, _storage_bytes(tensor, name), kind, resident=True)

    def _visit(self, node: fx.Node) -> None:
        if node.op == "placeholder":
            return
        if node.op == "get_attr":
            self.found[node] = self._attribute(str(node.target))
            self._source(str(node.target), self.found[node], "parameter")
        elif node.op == "output":
            self.held = {self.value_of[storage_id(tensor)] for tensor in _tensors(self._content(node.args))}
        else:
            self._operation(node)

    def _attribute(self, target: str) -> object:
        if target in self.state:
            return self.state[target]
        holder: Any = self.module
        for part in target.split("."):
            holder = getattr(holder, part)
        return self._fake(holder)

    def _operation(self, node: fx.Node) -> None:
        for name, content in self._module_state(node).items():
            self._source(name, content, "parameter")
        changed = self._run(node)
        self._check_changes(node, changed)
        self.changed |= changed
        self.outputs[node] = self._fresh_values(node)
        inner = self._inner(node)
        effect_alone = not self.outputs[node] and node.op == "call_function" and node.is_impure()
        if changed or effect_alone or any(is_random(part) for part in inner):
            self.once.append(node)
        self.costs[node] = self._cost(node, inner)

    def _run(self, node: fx.Node) -> set[str]:
        """Runs a node on fake tensors, and gives the values that it changed in place."""
        read = self._read(node)
        before = [content_version(tensor) for tensor in read]
        self.found[node] = self._call(node)
        versions = zip(read, before, strict=True)
        return {self.value_of[storage_id(tensor)] for tensor, old in versions if content_version(tensor) != old}

    def _read(self, node: fx.Node) -> list[torch.Tensor]:
        """The tensors that a node reads: its arguments, and the state of its module."""
        return [*_tensors(self._content((node.args, node.kwargs))), *_tensors([*self._module_state(node).values()])]

    def _fresh_values(self, node: fx.Node) -> list[Value]:
        """Values for the storages that are seen first in a node's result."""
        fresh: dict[int, int] = {}
        for tensor in _tensors(self.found[node]):
            if storage_id(tensor) not in self.value_of:
                fresh[storage_id(tensor)] = _storage_bytes(tensor, node.name)
        labels = [node.name if len(fresh) == 1 else f"{node.name}:{i}" for i in range(len(fresh))]
        self.value_of.update(zip(fresh, labels, strict=True))
        return [Value(label, size) for label, size in zip(labels, fresh.values(), strict=True)]

    def _module_state(self, node: fx.Node) -> dict[str, Any]:
        prefix = f"{node.target}."
        if node.op != "call_module":
            return {}
        return {name: value for name, value in self.state.items() if name.startswith(prefix)}

    def _content(self, arguments: Any) -> Any:  # noqa: ANN401 - whatever the graph's arguments are
        return fx.node.map_arg(arguments, self.found.__getitem__)

    def _call(self, node: fx.Node) -> object:
        args, kwargs = self._content((node.args, node.kwargs))
        try:
            return self._function(node)(self._module_state(node), args, kwargs)
        except CaptureError:
            raise
        except Exception as error:
            first = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise CaptureError(
                f"node {node.name} ({node.target}) cannot be run on fake tensors ({first}); capture it with static "
                "shapes and without operations that depend on data"
            ) from error

    def _function(self, node: fx.Node) -> Callable[[dict[str, Any], Any, Any], Any]:
        """A node as a function of the state of its module, its arguments and its keyword arguments."""
        target: Any = node.target
        if node.op == "call_module":
            part = self.module.get_submodule(target)
            cut = len(target) + 1

            def call(state: dict[str, Any], args: Any, kwargs: Any) -> Any:  # noqa: ANN401
                named = {name[cut:]: value for name, value in state.items()}
                return torch.func.functional_call(part, named, args, kwargs)

            return call
        if node.op == "call_method":
            return lambda _, args, kwargs: getattr(args[0], target)(*args[1:], **kwargs)
        return lambda _, args, kwargs: target(*args, **kwargs)

    def _check_changes(self, node: fx.Node, changed: set[str]) -> None:
        """What is made within the graph must not change: it could not be made again in its former state."""
        for name in sorted(changed):
            if name not in self.sources:
                raise CaptureError(
                    f"node {node.name} ({node.target}) changes value {name} in place; write it without the in-place "
                    "change, or take such changes out by torch.export.export(...).run_decompositions()"
                )

    def _inner(self, node: fx.Node) -> list[fx.Node]:
        """The ATen operations that a node stands for."""
        if is_operation(node.target) and _example(node) is not None and not self.given:
            return [node]
        if not self.outputs[node]:
            return []
        arguments = self._content((node.args, node.kwargs))
        state = self._module_state(node)
        function = self._function(node)
        flat, unflatten = tree_flatten((state, *arguments))
        places = [i for i, leaf in enumerate(flat) if isinstance(leaf, torch.Tensor)]

        def run(*tensors: torch.Tensor) -> object:
            leaves = list(flat)
            for place, tensor in zip(places, tensors, strict=True):
                leaves[place] = tensor
            return function(*unflatten(leaves))

        # Changes in place would show in what later nodes find.
        copies = [torch.empty_like(flat[place]) for place in places]
        return list(aten_graph(run, copies).nodes)

    def _cost(self, node: fx.Node, inner: Sequence[fx.Node]) -> int:
        if not self.outputs[node]:
            return 0
        if self.cost == "roofline":
            return sum(roofline(part) for part in inner if is_operation(part.target))
        amount = self.cost(node)
        if isinstance(amount, bool) or not isinstance(amount, int) or amount < 0:
            raise CaptureError(
                f"the cost function gave {amount!r} for {node.name}; expected a whole number, zero or more"
            )
        return amount

    def _nodes(self) -> Iterator[Node]:
        """Operations that make or change something, in the captured order."""
        before: str | None = None
        for node, values in self.outputs.items():
            if not values and node not in self.once:
                continue
            inputs = dict.fromkeys(self.value_of[storage_id(tensor)] for tensor in self._read(node))
            # Who reads what another node changes would find something else when it ran again.
            once = node in self.once or not self.changed.isdisjoint(inputs)
            outputs = [Value(v.name, v.bytes, "output", resident=True) if v.name in self.held else v for v in values]
            if once:
                if before is not None:
                    inputs[before] = None
                before = f"{node.name}:done"
                outputs.append(Value(before, 0))
            yield Node(
                node.name,
                _op_name(node),
                tuple(inputs),
                tuple(outputs),
                self.costs[node],
                recomputable=not once,
                source=source_of(node),
            )


def _example(node: fx.Node) -> Any:  # noqa: ANN401
    return next((node.meta[key] for key in _EXAMPLES if node.meta.get(key) is not None), None)


def _tensors(content: object) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(content) if isinstance(leaf, torch.Tensor)]


def _storage_bytes(tensor: torch.Tensor, name: str) -> int:
    size: object = tensor.untyped_storage().nbytes()
    if not isinstance(size, int):
        raise CaptureError(f"{name} has {size} bytes, which depends on a symbolic shape; capture it with static shapes")
    return size


def _op_name(node: fx.Node) -> str:
    return str(node.target) if not callable(node.target) else getattr(node.target, "__name__", str(node.target))
