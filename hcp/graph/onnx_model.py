"""ONNX models as hcp graphs; needs the extra ``onnx``.

Shapes come from ONNX's own shape inference, for the shapes that inputs have (``onnx_shapes``). Every node becomes a
node, every tensor a value: graph inputs are inputs, initializers and constants are parameters, graph outputs stay to
the end. Costs are floating-point operations where they are easily told (convolutions and matrix products), else one
operation an element of the largest tensor involved. An ``If`` whose branch cannot be told, a ``Loop`` or a ``Scan`` is
one operation, whose bodies are not looked into, but for the values that they take from outside.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from hcp.graph.errors import GraphError
from hcp.graph.ir import Graph, Node, Value
from hcp.graph.mirror import trained
from hcp.graph.onnx_shapes import dims_of, onnx_package, open_inputs, reads, with_shapes

if TYPE_CHECKING:
    import onnx

# What draws random numbers gives others when it runs again.
_RANDOM: Final = {
    "Bernoulli",
    "Multinomial",
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
}
_BITS: Final = {"INT2": 2, "UINT2": 2, "INT4": 4, "UINT4": 4, "FLOAT4E2M1": 4, "FLOAT6E2M3": 6, "FLOAT6E3M2": 6}


def from_onnx(
    model: "onnx.ModelProto | str | os.PathLike[str]",
    dims: Mapping[str, int] | None = None,
    name: str | None = None,
    *,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    training: str | None = None,
) -> Graph:
    """The graph of an ONNX model.

    Args:
        model: The model, or the path of its file; weights in files beside it are not read.
        dims: Sizes of symbolic dimensions, such as ``{"batch": 8}``.
        name: The graph's name; the model's own where not given.
        input_shapes: Shapes of inputs, such as ``{"x": [1, 3, 48, 320]}``.
        training: ``"mirror"`` for a training step: with a backward pass that mirrors the model (``hcp.graph.mirror``).

    Raises:
        GraphError: If onnx is not installed, the file is no model, or the size of a tensor cannot be told.
    """
    if isinstance(model, str | os.PathLike):
        name, model = name or Path(model).stem, _load(model)
    graph = with_shapes(model, dims or {}, input_shapes or {}).graph
    tensors = _Tensors(graph)
    nodes, sources = _nodes(graph, tensors), _sources(graph, tensors)
    found = Graph(nodes, sources, name=name or graph.name or "onnx", cost_unit="flops")
    return trained(found, training, (name for name in found.values if not tensors.is_real(name)))


def _nodes(graph: "onnx.GraphProto", tensors: "_Tensors") -> tuple[Node, ...]:
    names = _Names()
    results = {value.name for value in graph.output}

    def value(name: str) -> Value:
        result = name in results
        return Value(name, tensors.size(name), "output" if result else "activation", resident=result)

    return tuple(
        Node(
            name=names.unique(node.name or f"{node.op_type}_{i}"),
            op=node.op_type,
            inputs=tuple(reads(node)),
            outputs=tuple(value(output) for output in node.output if output),
            cost=_cost(node, tensors),
            recomputable=not _draws(node),
        )
        for i, node in enumerate(graph.node)
        if node.op_type != "Constant"
    )


def _sources(graph: "onnx.GraphProto", tensors: "_Tensors") -> tuple[Value, ...]:
    """The graph's inputs, then its parameters: older models list initializers among the inputs as well."""
    constants = [output for node in graph.node if node.op_type == "Constant" for output in node.output]
    parameters = dict.fromkeys([*(tensor.name for tensor in (*graph.initializer, *_sparse(graph))), *constants])
    inputs = dict.fromkeys(value.name for value in graph.input if value.name not in parameters)
    kinds = {**dict.fromkeys(inputs, "input"), **dict.fromkeys(parameters, "parameter")}
    return tuple(Value(name, tensors.size(name), kind) for name, kind in kinds.items())


class _Tensors:
    """Shapes and sizes of a model's tensors by name."""

    def __init__(self, graph: "onnx.GraphProto") -> None:
        self._shape: dict[str, list[int | str]] = {}
        self._type: dict[str, int] = {}
        self._open = open_inputs(graph)
        for value in (*graph.input, *graph.value_info, *graph.output):
            tensor = value.type.tensor_type
            if tensor.elem_type and tensor.HasField("shape"):
                self._shape[value.name] = dims_of(tensor)
                self._type[value.name] = tensor.elem_type
        for constant in (*graph.initializer, *_constants(graph)):
            self._shape[constant.name] = list(constant.dims)
            self._type[constant.name] = constant.data_type
        for sparse in _sparse(graph):
            # The stored values alone; their indices are left out.
            self._shape[sparse.name] = list(sparse.dims)
            self._type[sparse.name] = sparse.data_type

    def shape(self, name: str) -> list[int] | None:
        """Whole sizes, or None where they are not known."""
        found = [dim for dim in self._shape.get(name, ["?"]) if isinstance(dim, int)]
        return found if name in self._shape and len(found) == len(self._shape[name]) else None

    def elements(self, name: str) -> int:
        """Number of elements; 0 where it is not known."""
        return prod(self.shape(name) or [0]) if self.shape(name) != [] else 1

    def is_real(self, name: str) -> bool:
        """Whether a tensor holds floating-point numbers."""
        kind = self._type.get(name, 0)
        label: str = onnx_package().TensorProto.DataType.Name(kind)
        return "FLOAT" in label or label in {"DOUBLE", "BFLOAT16"}

    def _remedy(self) -> str:
        """How to say how large inputs are."""
        if not self._open:
            said = "it depends on values that are known when the model runs"
            return f"{said}; add it to the model's value_info, or replace the operator that makes it"
        name, dims = next(iter(self._open.items()))
        listed = ", ".join(f"{name} [{', '.join(map(str, dims))}]" for name, dims in self._open.items())
        shape = [dim if isinstance(dim, int) else 8 for dim in dims]
        text = ",".join(map(str, shape))
        symbol = next((dim for dim in dims if isinstance(dim, str) and dim != "?"), None)
        by_name = "" if symbol is None else f", or dims={{{symbol!r}: 8}}"
        return (
            f"the model leaves open the shapes of {listed}; give them, as in input_shapes={{{name!r}: {shape}}} or "
            f"--input-shape {name}:{text}{by_name}"
        )

    def size(self, name: str) -> int:
        """Bytes.

        Raises:
            GraphError: If the shape or the type does not tell.
        """
        if name not in self._shape:
            raise GraphError(
                f"the shape of tensor {name!r} cannot be inferred; add it to the model's value_info, "
                "or replace the operator that makes it"
            )
        if any(isinstance(dim, str) for dim in self._shape[name]):
            raise GraphError(f"a dimension of tensor {name!r} has no size: {self._remedy()}")
        return -(-self.elements(name) * _bits(self._type[name], name) // 8)


class _Names:
    """Names of nodes, which may be missing or twice in a model."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def unique(self, name: str) -> str:
        """The name, with a number where it is taken."""
        found, number = name, 1
        while found in self._taken:
            number += 1
            found = f"{name}_{number}"
        self._taken.add(found)
        return found


def _load(path: "str | os.PathLike[str]") -> "onnx.ModelProto":
    from google.protobuf.message import DecodeError

    package = onnx_package()
    try:
        return cast("onnx.ModelProto", package.load(path, load_external_data=False))
    except OSError as error:
        raise GraphError(f"ONNX file {os.fspath(path)!r} cannot be read ({error}); check the path") from None
    except DecodeError as error:
        raise GraphError(f"file {os.fspath(path)!r} is no ONNX model ({error}); give an ONNX file") from None


def _draws(node: "onnx.NodeProto") -> bool:
    # Dropout draws where its third input, training mode, is given.
    return node.op_type in _RANDOM or (node.op_type == "Dropout" and len(node.input) > 2 and bool(node.input[2]))


def _cost(node: "onnx.NodeProto", tensors: _Tensors) -> int:
    made = tensors.elements(node.output[0]) if node.output else 0
    match node.op_type, [tensors.shape(name) for name in node.input if name]:
        # Each element of the result meets one filter; of a transposed convolution, each element of what it reads.
        case "Conv", [_, [_, *filters], *_]:
            return 2 * made * prod(filters)
        case "ConvTranspose", [[first, *rest], [_, *filters], *_]:
            return 2 * prod((first, *rest)) * prod(filters)
        case "MatMul", [[*_, inner], *_]:
            return 2 * made * inner
        case "Gemm", [[rows, columns], *_]:
            turned = any(attribute.name == "transA" and attribute.i for attribute in node.attribute)
            return 2 * made * (rows if turned else columns)
    return max((tensors.elements(name) for name in (*node.input, *node.output) if name), default=0)


def _constants(graph: "onnx.GraphProto") -> "Iterator[onnx.TensorProto]":
    """The tensors of constant nodes, under the names of their outputs."""
    onnx = onnx_package()
    for node in graph.node:
        if node.op_type == "Constant":
            for attribute in node.attribute:
                if attribute.name == "value":
                    yield onnx.TensorProto(name=node.output[0], dims=attribute.t.dims, data_type=attribute.t.data_type)


def _sparse(graph: "onnx.GraphProto") -> "Iterable[onnx.TensorProto]":
    """The stored values of sparse initializers."""
    return [sparse.values for sparse in graph.sparse_initializer]


def _bits(kind: int, name: str) -> int:
    package = onnx_package()
    label: str = package.TensorProto.DataType.Name(kind)
    if label in _BITS:
        return _BITS[label]
    if label in {"STRING", "UNDEFINED"}:
        raise GraphError(f"tensor {name!r} has elements of type {label}, whose size is not known; leave it out")
    return 8 * int(package.helper.tensor_dtype_to_np_dtype(kind).itemsize)
