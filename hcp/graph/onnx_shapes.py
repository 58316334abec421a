"""Shapes of an ONNX model's tensors, for given shapes of its inputs.

ONNX's own inference leaves out what depends on computed shapes, as exporters write them. Here what is computed of
shapes and constants alone is computed, by ONNX's reference implementation, and the inference goes on with it, until
nothing more is found. No weights are needed for that. A branch whose condition is known stands in its node's place;
where it is not, an ``If`` stays one operation whose results are those of its larger branch.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np

from hcp.graph.cancellation import ticking
from hcp.graph.errors import GraphError

if TYPE_CHECKING:
    import onnx

# Elements of what is computed: shapes, paddings and places, and nothing that takes long.
MOST_ELEMENTS: Final = 4096
# Rounds of inference; each goes as far as what is known then leads.
ROUNDS: Final = 50

_GROWING: Final = frozenset(
    ("ConstantOfShape", "Expand", "EyeLike", "OneHot", "Pad", "Range", "Resize", "Tile", "Upsample")
)
_CONTROL: Final = frozenset({"If", "Loop", "Scan"})


def with_shapes(
    model: "onnx.ModelProto", dims: Mapping[str, int], input_shapes: Mapping[str, Sequence[int]]
) -> "onnx.ModelProto":
    """A copy of a model with the shapes of its tensors, as far as they can be told, and known branches in place.

    Args:
        model: The model; functions of its own are put in where they are called.
        dims: Sizes of symbolic dimensions.
        input_shapes: Of inputs, by name.

    Raises:
        GraphError: If a shape is given that does not fit, or the inference finds the model to be none.
    """
    package = onnx_package()
    found: onnx.ModelProto = package.ModelProto()
    found.CopyFrom(model)
    if found.functions:
        found = cast("onnx.ModelProto", package.inliner.inline_local_functions(found))
    noted = {
        value.name: value.type
        for value in (*model.graph.value_info, *model.graph.output)
        if _is_fixed(value.type.tensor_type)
    }
    _set_inputs(found.graph, dims, input_shapes)
    done: onnx.ModelProto = _Shapes(package, found, noted=noted).run()
    return done


def onnx_package() -> ModuleType:
    """The onnx package, loaded when a model is read."""
    try:
        import onnx
        import onnx.inliner
        import onnx.reference
        import onnx.shape_inference
    except ImportError:
        raise GraphError("onnx is not installed; pip install 'hcp-checkpointing[onnx]'") from None
    return onnx


def dims_of(kind: "onnx.TypeProto.Tensor") -> list[int | str]:
    """Sizes of dimensions; where one is not known its name, or a question mark."""
    return [dim.dim_value if dim.HasField("dim_value") else dim.dim_param or "?" for dim in kind.shape.dim]


def open_inputs(graph: "onnx.GraphProto") -> dict[str, list[int | str]]:
    """The shapes of inputs that have dimensions of unknown size, by name."""
    weights = {tensor.name for tensor in graph.initializer}
    found = {}
    for value in graph.input:
        dims = dims_of(value.type.tensor_type)
        if value.name not in weights and any(isinstance(dim, str) for dim in dims):
            found[value.name] = dims
    return found


def _set_inputs(graph: "onnx.GraphProto", dims: Mapping[str, int], input_shapes: Mapping[str, Sequence[int]]) -> None:
    inputs = {value.name: value.type.tensor_type for value in graph.input}
    unknown = next((name for name in input_shapes if name not in inputs), None)
    if unknown is not None:
        raise GraphError(f"the model has no input {unknown!r}; it has {', '.join(map(repr, inputs))}")
    for value in (*graph.input, *graph.output, *graph.value_info):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param in dims:
                dim.dim_value = dims[dim.dim_param]
            elif dim.HasField("dim_value") and dim.dim_value < 0:
                dim.ClearField("dim_value")
    for name, shape in input_shapes.items():
        _set_shape(name, inputs[name], shape)
    _forget(graph)
    for value in graph.output:
        if not _is_fixed(value.type.tensor_type):
            value.type.tensor_type.ClearField("shape")


def _forget(graph: "onnx.GraphProto") -> None:
    """Drops what exporters noted of tensors, for sizes that inputs had then, but not of operators of others."""
    others = {name for node in graph.node if node.domain not in {"", "ai.onnx"} for name in node.output}
    kept = [value for value in graph.value_info if value.name in others and _is_fixed(value.type.tensor_type)]
    del graph.value_info[:]
    graph.value_info.extend(kept)
    for node in graph.node:
        for body in _bodies(node):
            _forget(body)
            for value in body.output:
                value.type.tensor_type.ClearField("shape")


def reads_of(body: "onnx.GraphProto") -> "Iterator[str]":
    """What a body takes from outside."""
    made = {value.name for value in (*body.input, *body.initializer)}
    for node in body.node:
        yield from (name for name in reads(node) if name not in made)
        made.update(node.output)
    yield from (value.name for value in body.output if value.name not in made)


def reads(node: "onnx.NodeProto") -> "Iterator[str]":
    """A node's inputs, and what its bodies take from outside."""
    yield from (name for name in node.input if name)
    for body in _bodies(node):
        yield from reads_of(body)


def _bodies(node: "onnx.NodeProto") -> "Iterator[onnx.GraphProto]":
    for attribute in node.attribute:
        yield from attribute.graphs
        if attribute.HasField("g"):
            yield attribute.g


def _set_shape(name: str, kind: "onnx.TypeProto.Tensor", shape: Sequence[int]) -> None:
    bad = next((size for size in shape if isinstance(size, bool) or not isinstance(size, int) or size < 0), None)
    if bad is not None:
        raise GraphError(f"the shape of input {name!r} has {bad!r}; expected whole numbers from 0")
    known = list(kind.shape.dim) if kind.HasField("shape") else None
    if known is not None and len(known) != len(shape):
        raise GraphError(f"input {name!r} has {len(known)} dimensions, and the shape given has {len(shape)}")
    for place, size in enumerate(shape):
        fixed = known[place].dim_value if known is not None and known[place].HasField("dim_value") else size
        if fixed != size:
            raise GraphError(f"input {name!r} has size {fixed} in dimension {place}, and the shape given has {size}")
    kind.ClearField("shape")
    kind.shape.SetInParent()
    for size in shape:
        kind.shape.dim.add().dim_value = size


def _is_fixed(kind: "onnx.TypeProto.Tensor") -> bool:
    return kind.HasField("shape") and all(dim.HasField("dim_value") for dim in kind.shape.dim)


@dataclass
class _Shapes:
    """One model's inference.

    Attributes:
        onnx: The package.
        model: Has the nodes as they will be read.
        constants: What is known of tensors, by name.
        stated: Results of operations that are not looked into.
        noted: What the model says of tensors, for operators of which the inference knows nothing.
    """

    onnx: Any
    model: "onnx.ModelProto"
    constants: "dict[str, np.ndarray[Any, Any]]" = field(default_factory=dict)
    stated: "dict[str, onnx.TypeProto]" = field(default_factory=dict)
    noted: "Mapping[str, onnx.TypeProto]" = field(default_factory=dict)

    def run(self) -> "onnx.ModelProto":
        for tensor in self.model.graph.initializer:
            self._note(tensor)
        types = self._inferred()
        for _ in range(ROUNDS):
            if not self._go_on(types):
                break
            types = self._inferred()
        graph = self.model.graph
        noted = {each.name for each in (*graph.input, *graph.output, *graph.initializer)}
        del graph.value_info[:]
        graph.value_info.extend(self._value(name, kind) for name, kind in types.items() if name not in noted)
        for value in graph.output:
            if value.name in types:
                value.type.CopyFrom(types[value.name])
        return self.model

    def _value(self, name: str, kind: "onnx.TypeProto") -> "onnx.ValueInfoProto":
        return cast("onnx.ValueInfoProto", self.onnx.ValueInfoProto(name=name, type=kind))

    def _inferred(self) -> "dict[str, onnx.TypeProto]":
        """Types of all tensors that ONNX infers from what is known."""
        other = self.onnx.ModelProto()
        other.CopyFrom(self.model)
        graph = other.graph
        nodes = []
        for node in self.model.graph.node:
            if all(name in self.constants for name in node.output if name) and node.op_type != "Constant":
                nodes += [self._constant(name) for name in node.output if name]
            elif not any(name in self.stated for name in node.output):
                nodes.append(node)
        del graph.node[:]
        graph.node.extend(nodes)
        graph.input.extend(self._value(name, kind) for name, kind in self.stated.items())
        inference = self.onnx.shape_inference
        try:
            found = inference.infer_shapes(other, data_prop=True).graph
        except inference.InferenceError as error:
            said = f"onnx cannot infer the model's shapes ({error}); check the model with onnx.checker"
            raise GraphError(said) from None
        types = {value.name: value.type for value in (*found.value_info, *found.output, *found.input)}
        make = self.onnx.helper.make_tensor_type_proto
        weights = {each.name: make(each.data_type, list(each.dims)) for each in self.model.graph.initializer}
        return weights | types

    def _constant(self, name: str) -> "onnx.NodeProto":
        value = self.onnx.numpy_helper.from_array(self.constants[name], name)
        return cast("onnx.NodeProto", self.onnx.helper.make_node("Constant", [], [name], value=value))

    def _go_on(self, types: "Mapping[str, onnx.TypeProto]") -> bool:
        """Computes what can be computed of what is known by now; says whether that was anything."""
        known = len(self.constants)
        nodes = list(self.model.graph.node)
        for node in ticking(nodes):
            if node.op_type == "If" and node.input[0] in self.constants:
                self._inline(node)
                return True
            if node.op_type != "If" and not all(name in self.constants for name in node.output):
                self._compute(node, types)
        if len(self.constants) > known:
            return True
        # One after the other: what comes of one may decide the next.
        open_ones = (node for node in nodes if node.op_type == "If" and not any(n in self.stated for n in node.output))
        return any(self._state(node, types) for node in open_ones) or any(self._recall(node, types) for node in nodes)

    def _recall(self, node: "onnx.NodeProto", types: "Mapping[str, onnx.TypeProto]") -> bool:
        """Believes the model about results whose shapes are unknown though those of what the node reads are not."""
        made = [name for name in node.output if name]
        known = all(_shape(types.get(name)) is not None for name in node.input if name)
        missing = any(_shape(types.get(name)) is None for name in made)
        if not known or not missing or not all(name in self.noted for name in made):
            return False
        self.stated.update((name, self.noted[name]) for name in made)
        return True

    def _compute(self, node: "onnx.NodeProto", types: "Mapping[str, onnx.TypeProto]") -> None:
        shape = _shape(types.get(node.input[0])) if node.input else None
        if node.op_type == "Shape" and shape is not None:
            attributes = {each.name: each.i for each in node.attribute}
            part = slice(attributes.get("start", 0), attributes.get("end"))
            self.constants[node.output[0]] = np.array(shape, np.int64)[part]
        elif node.op_type == "Size" and shape is not None:
            self.constants[node.output[0]] = np.array(prod(shape), np.int64)
        elif self._is_small(node, types):
            self._evaluate(node)

    def _is_small(self, node: "onnx.NodeProto", types: "Mapping[str, onnx.TypeProto]") -> bool:
        """Whether a node reads known constants alone, and makes nothing large of them."""
        if node.op_type in _CONTROL or not all(name in self.constants for name in node.input if name):
            return False
        shapes = [_shape(types.get(name)) for name in node.output if name]
        # Results are no larger than what is read, but for those.
        open_ended = node.op_type in _GROWING and None in shapes
        return not open_ended and all(prod(shape or [1]) <= MOST_ELEMENTS for shape in shapes)

    def _evaluate(self, node: "onnx.NodeProto") -> None:
        """Runs a node by the reference implementation; what that does not know stays unknown."""
        names = [name for name in dict.fromkeys(node.input) if name]
        helper = self.onnx.helper
        dtypes = [helper.np_dtype_to_tensor_dtype(self.constants[name].dtype) for name in names]
        inputs = [helper.make_tensor_value_info(name, kind, None) for name, kind in zip(names, dtypes, strict=True)]
        outputs = [self.onnx.ValueInfoProto(name=name) for name in node.output if name]
        graph = helper.make_graph([node], "node", inputs, outputs)
        model = helper.make_model(graph, opset_imports=self.model.opset_import)
        try:
            found = self.onnx.reference.ReferenceEvaluator(model).run(
                None, {name: self.constants[name] for name in names}
            )
        except Exception:  # noqa: BLE001 - operators of others, and what a reference implementation lacks
            return
        for value, result in zip(outputs, found, strict=True):
            if isinstance(result, np.ndarray | np.generic) and np.asarray(result).size <= MOST_ELEMENTS:
                self.constants[value.name] = np.asarray(result)

    def _inline(self, node: "onnx.NodeProto") -> None:
        """Puts the branch that is taken in the place of a node."""
        wanted = "then_branch" if bool(self.constants[node.input[0]].reshape(-1)[0]) else "else_branch"
        branch = next(each.g for each in node.attribute if each.name == wanted)
        inner = [tensor.name for tensor in branch.initializer]
        inner += [name for each in branch.node for name in each.output if name]
        names = {name: f"{node.output[0]}/{name}" for name in inner}
        # A branch may hand on what was there before.
        results = zip((names.get(value.name, value.name) for value in branch.output), node.output, strict=True)
        make = self.onnx.helper.make_node
        handed = [make("Identity", [made], [result]) for made, result in results if result]
        graph = self.model.graph
        place = next(i for i, each in enumerate(graph.node) if each.output == node.output)
        nodes = [*graph.node[:place], *_renamed(self.onnx, branch, names), *handed, *graph.node[place + 1 :]]
        self._take(branch, names)
        del graph.node[:]
        graph.node.extend(nodes)

    def _take(self, branch: "onnx.GraphProto", names: Mapping[str, str]) -> None:
        """Takes a branch's weights over, under other names."""
        for tensor in branch.initializer:
            taken = self.model.graph.initializer.add()
            taken.CopyFrom(tensor)
            taken.name = names[tensor.name]
            self._note(taken)

    def _note(self, tensor: "onnx.TensorProto") -> None:
        if prod(tensor.dims) <= MOST_ELEMENTS and not tensor.external_data:
            self.constants[tensor.name] = self.onnx.numpy_helper.to_array(tensor)

    def _state(self, node: "onnx.NodeProto", types: "Mapping[str, onnx.TypeProto]") -> bool:
        """States results of a node of which either branch may be taken: those of the one with more elements."""
        found = [self._branch(each.g, types) for each in node.attribute if each.name in {"then_branch", "else_branch"}]
        for place, name in enumerate(node.output):
            kinds = [kinds[place] for kinds in found if _shape(kinds[place]) is not None]
            if name and kinds:
                self.stated[name] = max(kinds, key=lambda kind: prod(_shape(kind) or [0]))
        return any(name in self.stated for name in node.output)

    def _branch(
        self, branch: "onnx.GraphProto", types: "Mapping[str, onnx.TypeProto]"
    ) -> "list[onnx.TypeProto | None]":
        """Types of a branch's results."""
        model = self.onnx.ModelProto()
        model.CopyFrom(self.model)
        model.graph.CopyFrom(branch)
        for name in dict.fromkeys(reads_of(branch)):
            if name in self.constants:
                model.graph.initializer.append(self.onnx.numpy_helper.from_array(self.constants[name], name))
            elif name in types:
                model.graph.input.append(self._value(name, types[name]))
        other = _Shapes(self.onnx, model)
        try:
            done = {value.name: value.type for value in other.run().graph.output}
        except GraphError:
            # Such a branch is never taken with these inputs.
            done = {}
        done |= {value.name: types[value.name] for value in branch.output if value.name in types}
        return [done.get(value.name) for value in branch.output]


def _shape(kind: "onnx.TypeProto | None") -> list[int] | None:
    """Whole sizes, or None where they are not known."""
    if kind is None or not _is_fixed(kind.tensor_type):
        return None
    return [dim.dim_value for dim in kind.tensor_type.shape.dim]


def _renamed(onnx: Any, branch: "onnx.GraphProto", names: Mapping[str, str]) -> Iterator["onnx.NodeProto"]:  # noqa: ANN401
    """The nodes of a branch under other names of tensors, in bodies within them as well."""
    for node in branch.node:
        other = onnx.NodeProto()
        other.CopyFrom(node)
        _rename(other, names)
        yield other


def _rename(node: "onnx.NodeProto", names: Mapping[str, str]) -> None:
    node.input[:] = [names.get(name, name) for name in node.input]
    node.output[:] = [names.get(name, name) for name in node.output]
    for body in _bodies(node):
        for inner in body.node:
            _rename(inner, names)
        for value in body.output:
            value.name = names.get(value.name, value.name)
