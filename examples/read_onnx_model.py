"""Read an ONNX model and see how little memory its forward pass needs; needs the extra ``onnx``."""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx
from onnx import TensorProto, helper

import hcp


def small_model() -> onnx.ModelProto:
    """Two branches of convolutions over one image, joined at the end."""
    nodes, weights = [], []
    for branch in "ab":
        for i, read in enumerate(("image", f"{branch}0", f"{branch}1")):
            weights.append(f"w_{branch}{i}")
            nodes.append(helper.make_node("Conv", [read, weights[-1]], [f"{branch}{i}"], name=f"conv_{branch}{i}"))
    nodes.append(helper.make_node("Add", ["a2", "b2"], ["sum"], name="add"))
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, (1, 8, 64, 64))
    held = [helper.make_tensor(name, TensorProto.FLOAT, (8, 8, 1, 1), [0.1] * 64) for name in weights]
    result = helper.make_tensor_value_info("sum", TensorProto.FLOAT, (1, 8, 64, 64))
    return helper.make_model(helper.make_graph(nodes, "two-branches", [image], [result], held))


def main(path: Path) -> None:
    """Prints the analysis, and the smallest peak without any extra work."""
    graph = hcp.load_graph(path)
    print(hcp.analyze_graph(graph))
    found = hcp.minimize_peak(graph, overhead=0, time_limit=10)
    print(f"\npeak {found.peak} of {found.plan.base.peak} bytes, no schedule below {found.bound}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with TemporaryDirectory() as folder:
            onnx.save(small_model(), Path(folder) / "model.onnx")
            main(Path(folder) / "model.onnx")
