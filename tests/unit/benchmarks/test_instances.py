"""How the library of instances is made."""

import json

import pytest

import hcp
from benchmarks.instances import generated
from benchmarks.instances.moccasin import convert
from hcp import instances
from hcp.graph.errors import HcpError


@pytest.mark.parametrize(
    "spec", [spec for spec in generated.specs() if spec.name in instances.names()], ids=lambda spec: spec.name
)
def test_generated_graphs_are_what_their_scripts_make(spec):
    found = instances.load(spec.name)
    assert found.graph == spec.make()
    assert (found.family, found.level, found.training) == (spec.family, spec.level, spec.training)


def test_every_instance_has_a_script():
    pytest.importorskip("torch")
    pytest.importorskip("jax")
    from benchmarks.instances.__main__ import specs

    names = [spec.name for spec in specs()]
    assert len(set(names)) == len(names)
    assert set(instances.names()) <= set(names)


def test_a_captured_graph_is_made_again():
    pytest.importorskip("torch")
    from benchmarks.instances import torch_steps

    spec = next(spec for spec in torch_steps.specs() if spec.name == "gnn-5l")
    assert spec.make().fingerprint == instances.load(spec.name).graph.fingerprint


def test_graphs_of_moccasin_are_converted(tmp_path):
    data = tmp_path / "clone" / "data"
    data.mkdir(parents=True)
    checkmate = {
        "directed": True,
        "graph": {"name": "VGG"},
        "nodes": [
            {"name": "a", "cost_cpu": 3, "cost_ram": 8, "id": 0},
            {"name": "b", "cost_cpu": 1, "cost_ram": 4, "id": 1},
        ],
        "links": [{"source": 0, "target": 1}],
    }
    layered = {
        "directed": True,
        "graph": {"order": [1, 0]},
        "nodes": [{"name": 0, "duration": 5, "out_cost": 10}, {"name": 1, "duration": 0, "out_cost": 20}],
        "links": [{"source": 1, "target": 0}],
    }
    (data / "VGG (MLSys)_1_(2, 3)_train_nx.json").write_text(json.dumps(checkmate))
    (data / "random_n2.json").write_text(json.dumps(layered))
    written = convert(tmp_path / "clone", tmp_path / "out")
    assert [file.name for file in written] == ["VGG-MLSys-1-2-3-train.json", "random-n2.json"]
    first, second = map(hcp.load_graph, written)
    assert [(node.cost, node.outputs[0].bytes) for node in first.nodes] == [(3, 8), (1, 4)]
    assert second.order == ("1", "0")
    with pytest.raises(HcpError, match="no graphs in"):
        convert(tmp_path, tmp_path / "out")
    (data / "random_n2.json").write_text(json.dumps({"graph": {}, "nodes": [{"name": 0}]}))
    with pytest.raises(HcpError, match="has no cost or size"):
        convert(tmp_path / "clone", tmp_path / "out")
