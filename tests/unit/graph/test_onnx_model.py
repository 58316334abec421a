"""ONNX models, built here: shapes, sizes, kinds, costs, bodies, and what cannot be read."""

import pytest

import hcp
from hcp.graph.builders import from_onnx, load_graph
from hcp.graph.errors import GraphError

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper  # noqa: E402 - onnx is optional

FLOAT = TensorProto.FLOAT


def tensor(name, shape, kind=FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def weight(name, shape, kind=FLOAT):
    size = 4 if kind == FLOAT else 2
    count = 1
    for dim in shape:
        count *= dim
    return helper.make_tensor(name, kind, shape, bytes(size * count), raw=True)


def model(nodes, inputs, outputs, initializers=()):
    graph = helper.make_graph(nodes, "net", inputs, outputs, list(initializers))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


def perceptron(batch="batch"):
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"], name="product"),
        helper.make_node("Relu", ["h"], ["a"]),
        helper.make_node("Gemm", ["a", "v", "bias"], ["y"]),
    ]
    weights = [weight("w", [8, 16]), weight("v", [16, 4]), weight("bias", [4])]
    return model(nodes, [tensor("x", [batch, 8])], [tensor("y", [batch, 4])], weights)


def test_a_perceptron():
    graph = from_onnx(perceptron(), dims={"batch": 2})
    assert graph.name == "net"
    assert [(node.name, node.op, node.inputs) for node in graph.nodes] == [
        ("product", "MatMul", ("x", "w")),
        ("Relu_1", "Relu", ("h",)),
        ("Gemm_2", "Gemm", ("a", "v", "bias")),
    ]
    sizes = {name: value.bytes for name, value in graph.values.items()}
    assert sizes == {"x": 64, "w": 512, "v": 256, "bias": 16, "h": 128, "a": 128, "y": 32}
    kinds = {name: value.kind for name, value in graph.values.items()}
    assert [kinds[name] for name in "xwhy"] == ["input", "parameter", "activation", "output"]
    assert graph.values["y"].resident
    assert not graph.values["h"].resident
    assert [node.cost for node in graph.nodes] == [2 * 2 * 16 * 8, 2 * 16, 2 * 2 * 4 * 16]
    assert graph.cost_unit == "flops"


def test_unknown_sizes_name_the_dimension():
    said = (
        r"the model leaves open the shapes of x \[batch, 8\]; give them, as in input_shapes=\{'x': \[8, 8\]\} or "
        r"--input-shape x:8,8, or dims=\{'batch': 8\}"
    )
    with pytest.raises(GraphError, match=said):
        from_onnx(perceptron())


def test_shapes_of_inputs_are_given():
    graph = from_onnx(perceptron(), input_shapes={"x": [2, 8]})
    assert graph == from_onnx(perceptron(), dims={"batch": 2})
    for shapes, said in (
        ({"z": [2, 8]}, "the model has no input 'z'; it has 'x'"),
        ({"x": [2]}, "input 'x' has 2 dimensions, and the shape given has 1"),
        ({"x": [2, 9]}, "input 'x' has size 8 in dimension 1, and the shape given has 9"),
        ({"x": [-2, 8]}, "the shape of input 'x' has -2; expected whole numbers from 0"),
    ):
        with pytest.raises(GraphError, match=said):
            from_onnx(perceptron(), input_shapes=shapes)


def padded():
    """A padding that is computed of constants, as exporters write it, and a shape that is computed of a shape."""
    constants = {"zeros": [2], "pads": [0, 3], "first": [0], "last": [1], "minus": [-1]}
    make = helper.make_node
    nodes = [
        make("Constant", [], [name], value=helper.make_tensor(name, TensorProto.INT64, [len(values)], values))
        for name, values in constants.items()
    ]
    nodes += [
        make("Concat", ["zeros_of", "pads"], ["padding"], axis=0),
        make("ConstantOfShape", ["zeros"], ["zeros_of"], value=helper.make_tensor("zero", TensorProto.INT64, [1], [0])),
        make("Pad", ["x", "padding"], ["wide"]),
        make("Shape", ["wide"], ["shape"]),
        make("Slice", ["shape", "first", "last"], ["batch"]),
        make("Concat", ["batch", "minus"], ["flat"], axis=0),
        make("Reshape", ["wide", "flat"], ["y"]),
    ]
    nodes[5], nodes[6] = nodes[6], nodes[5]
    return model(nodes, [tensor("x", ["n", 5])], [tensor("y", ["m", "k"])])


def test_computed_paddings_and_shapes_are_known():
    graph = from_onnx(padded(), input_shapes={"x": [3, 5]})
    assert graph.values["wide"].bytes == graph.values["y"].bytes == 4 * 3 * 8


def test_what_the_model_says_is_believed_where_nothing_is_inferred():
    """Such as of a padding that is read from an input."""
    nodes = [helper.make_node("Pad", ["x", "pads"], ["wide"]), helper.make_node("Relu", ["wide"], ["y"])]
    inputs = [tensor("x", [3, 5]), tensor("pads", [4], TensorProto.INT64)]
    found = model(nodes, inputs, [tensor("y", None)])
    with pytest.raises(GraphError, match="'wide' has no size: it depends on values that are known when the model runs"):
        from_onnx(found)
    found.graph.value_info.append(tensor("wide", [3, 8]))
    assert from_onnx(found).values["y"].bytes == 4 * 3 * 8


def branching(condition, more=()):
    make = helper.make_node
    then = helper.make_graph([make("Squeeze", ["x", "axis"], ["a"])], "then", [], [tensor("a", None)])
    other = helper.make_graph([make("Concat", ["x", "x"], ["b"], axis=0)], "else", [], [tensor("b", None)])
    axis = helper.make_tensor("axis", TensorProto.INT64, [1], [1])
    nodes = [*condition, make("If", ["c"], ["z"], then_branch=then, else_branch=other), make("Relu", ["z"], ["y"])]
    return model(nodes, [tensor("x", [2, 1, "n"]), *more], [tensor("y", None)], [axis])


def test_a_branch_that_is_known_stands_in_its_place():
    make = helper.make_node
    one = helper.make_tensor("one", TensorProto.INT64, [], [1])
    place = helper.make_tensor("place", TensorProto.INT64, [], [1])
    condition = [
        make("Constant", [], ["one"], value=one),
        make("Constant", [], ["place"], value=place),
        make("Shape", ["x"], ["shape"]),
        make("Gather", ["shape", "place"], ["size"]),
        make("Equal", ["size", "one"], ["c"]),
    ]
    graph = from_onnx(branching(condition), input_shapes={"x": [2, 1, 7]})
    assert [node.op for node in graph.nodes] == ["Shape", "Gather", "Equal", "Squeeze", "Identity", "Relu"]
    assert graph.values["y"].bytes == 4 * 2 * 7


def test_a_branch_that_is_not_known_is_one_operation_as_large_as_the_larger():
    given = tensor("c", [], TensorProto.BOOL)
    graph = from_onnx(branching([], [given]), input_shapes={"x": [2, 1, 7]})
    assert [node.op for node in graph.nodes] == ["If", "Relu"]
    assert set(graph.nodes[0].inputs) == {"c", "x", "axis"}
    assert graph.values["y"].bytes == 4 * 4 * 7


def test_functions_are_put_where_they_are_called():
    make = helper.make_node
    twice = helper.make_function(
        "own", "Twice", ["a"], ["b"], [make("Add", ["a", "a"], ["b"])], [helper.make_opsetid("", 17)]
    )
    found = model([make("Twice", ["x"], ["y"], domain="own")], [tensor("x", ["n", 5])], [tensor("y", None)])
    found.functions.append(twice)
    found.opset_import.append(helper.make_opsetid("own", 1))
    graph = from_onnx(found, input_shapes={"x": [3, 5]})
    assert [(node.op, node.outputs[0].bytes) for node in graph.nodes] == [("Add", 60)]


def test_training_mirrors_the_model():
    graph = from_onnx(perceptron(), dims={"batch": 2}, training="mirror")
    names = [node.name for node in graph.nodes]
    assert names == ["product", "Relu_1", "Gemm_2", "loss", "Gemm_2:backward", "Relu_1:backward", "product:backward"]
    gradients = {value.name.partition(":")[0]: value for value in graph.values.values() if value.kind == "gradient"}
    # The model's input has none, and those of weights stay.
    assert {name for name, value in gradients.items() if value.resident} == {"w", "v", "bias"}
    assert "x" not in gradients
    assert gradients["w"].bytes == graph.values["w"].bytes
    assert not graph.values["y"].resident
    plan = hcp.solve(graph, "100%", "exhaustive", time_limit=20)
    assert plan.peak <= plan.problem.budget
    with pytest.raises(GraphError, match="training 'magic' is not understood; give 'mirror'"):
        from_onnx(perceptron(), dims={"batch": 2}, training="magic")


def test_convolutions_are_costed():
    node = helper.make_node("Conv", ["x", "w"], ["y"], kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    graph = from_onnx(model([node], [tensor("x", [1, 4, 8, 8])], [tensor("y", None)], [weight("w", [6, 4, 3, 3])]))
    assert graph.values["y"].bytes == 6 * 8 * 8 * 4
    assert graph.nodes[0].cost == 2 * (6 * 8 * 8) * 4 * 3 * 3


def test_constants_small_types_and_names_that_appear_twice():
    constant = helper.make_node("Constant", [], ["c"], value=weight("", [3], TensorProto.FLOAT16))
    nodes = [
        constant,
        helper.make_node("Add", ["x", "c"], ["s"], name="same"),
        helper.make_node("Add", ["s", "c"], ["y"], name="same"),
    ]
    kind = TensorProto.FLOAT16
    graph = from_onnx(model(nodes, [tensor("x", [3], kind)], [tensor("y", [3], kind)]))
    assert [node.name for node in graph.nodes] == ["same", "same_2"]
    assert graph.values["c"].kind == "parameter"
    assert graph.values["c"].bytes == 6


def test_scalars_have_one_element():
    node = helper.make_node("ReduceSum", ["x"], ["y"], keepdims=0)
    graph = from_onnx(model([node], [tensor("x", [5])], [tensor("y", [])]))
    assert graph.values["y"].bytes == 4
    assert graph.nodes[0].cost == 5


def test_random_nodes_run_once_and_optional_inputs_are_skipped():
    nodes = [
        helper.make_node("RandomNormalLike", ["x"], ["noise"]),
        helper.make_node("Clip", ["noise", "", "top"], ["y"]),
    ]
    graph = from_onnx(model(nodes, [tensor("x", [4])], [tensor("y", [4])], [weight("top", [])]))
    assert [node.recomputable for node in graph.nodes] == [False, True]
    assert graph.nodes[1].inputs == ("noise", "top")


def test_bodies_read_from_outside():
    body = helper.make_graph([helper.make_node("Add", ["a", "x"], ["r"])], "then", [], [tensor("r", [4])])
    other = helper.make_graph([helper.make_node("Identity", ["x"], ["q"])], "else", [], [tensor("q", [4])])
    nodes = [
        helper.make_node("Relu", ["x"], ["a"]),
        helper.make_node("If", ["when"], ["y"], then_branch=body, else_branch=other),
    ]
    inputs = [tensor("x", [4]), tensor("when", [], TensorProto.BOOL)]
    graph = from_onnx(model(nodes, inputs, [tensor("y", [4])]))
    assert set(graph.nodes[1].inputs) == {"when", "a", "x"}


def test_text_has_no_size():
    node = helper.make_node("Identity", ["x"], ["y"])
    text = model([node], [tensor("x", [2], TensorProto.STRING)], [tensor("y", [2], TensorProto.STRING)])
    with pytest.raises(GraphError, match="elements of type STRING"):
        from_onnx(text)


def test_operators_without_known_shapes_are_named():
    node = helper.make_node("Mystery", ["x"], ["h"], domain="elsewhere")
    last = helper.make_node("Relu", ["h"], ["y"])
    graph = helper.make_graph([node, last], "net", [tensor("x", [4])], [tensor("y", [4])])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("elsewhere", 1)]
    with pytest.raises(GraphError, match="shape of tensor 'h' cannot be inferred"):
        from_onnx(helper.make_model(graph, opset_imports=opsets))


def test_files_load_by_their_suffix_and_can_be_planned(tmp_path):
    path = tmp_path / "small.onnx"
    onnx.save(perceptron(4), path)
    graph = load_graph(path)
    assert graph.name == "small"
    assert hcp.solve(graph, "100%", "keep_all").status is hcp.Status.OPTIMAL
    assert hcp.analyze_graph(graph).nodes == 3


def test_what_is_no_model_is_said_so(tmp_path):
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"\xff\xff\xff not a model")
    with pytest.raises(GraphError, match="is no ONNX model"):
        load_graph(path)
    with pytest.raises(GraphError, match="cannot be read"):
        load_graph(tmp_path / "missing.onnx")
