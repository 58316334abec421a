"""Graph files: exact round trips, and one clear sentence for everything that is no graph."""

import json

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hcp.graph.builders import from_networkx, from_node_link, graph_from_dict, graph_to_dict, load_graph, save_graph
from hcp.graph.errors import GraphError, HcpError
from hcp.graph.instances import transformer
from hcp.graph.ir import Graph, Node, Value
from tests.strategies import graphs


def small():
    return {
        "schema": "hcp-graph/1",
        "name": "small",
        "cost_unit": "ns",
        "order": ["a", "b"],
        "values": [
            {"name": "i", "bytes": 1, "kind": "input", "resident": True},
            {"name": "x", "bytes": 2, "kind": "activation", "resident": False},
        ],
        "nodes": [
            {
                "name": "a",
                "op": "f",
                "inputs": ["i"],
                "outputs": ["x"],
                "cost": 3,
                "workspace": 4,
                "recomputable": True,
            },
            {"name": "b", "op": "g", "inputs": ["x"], "outputs": [], "cost": 5, "workspace": 0, "recomputable": False},
        ],
    }


def linked(key="links"):
    return {
        "directed": True,
        "multigraph": False,
        "graph": {"order": [0, 1]},
        "nodes": [{"id": 0, "name": "conv", "bytes": 10, "cost": 2}, {"id": 1, "bytes": 20, "cost": 3}],
        key: [{"source": 0, "target": 1}],
    }


@given(graphs())
def test_dictionaries_round_trip(graph):
    again = graph_from_dict(json.loads(json.dumps(graph_to_dict(graph))))
    assert again == graph
    assert again.fingerprint == graph.fingerprint
    assert graph_to_dict(again) == graph_to_dict(graph)


def test_a_file_in_canonical_form_round_trips_to_the_letter():
    assert graph_to_dict(graph_from_dict(small())) == small()


def test_files_round_trip(tmp_path):
    graph = transformer(2)
    save_graph(graph, tmp_path / "g.json")
    assert load_graph(tmp_path / "g.json") == graph
    assert [path.name for path in tmp_path.iterdir()] == ["g.json"]


def test_ids_of_other_files_survive(tmp_path):
    save_graph(from_node_link(linked()), tmp_path / "g.json")
    assert [node.id for node in load_graph(tmp_path / "g.json").nodes] == [0, 1]


def test_saving_where_it_is_impossible_leaves_nothing(tmp_path):
    with pytest.raises(HcpError, match="cannot write"):
        save_graph(transformer(1), tmp_path / "missing" / "g.json")
    (tmp_path / "folder").mkdir()
    with pytest.raises(HcpError, match="cannot write"):
        save_graph(transformer(1), tmp_path / "folder")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize("key", ["links", "edges"])
def test_node_link(key, tmp_path):
    (tmp_path / "named.json").write_text(json.dumps(linked(key)))
    graph = load_graph(tmp_path / "named.json")
    assert graph.name == "named"
    assert [(node.name, node.id, node.op, node.cost) for node in graph.nodes] == [("0", 0, "conv", 2), ("1", 1, "", 3)]
    assert graph.node["1"].inputs == ("0",)
    assert not graph.values["0"].resident
    assert graph.values["1"].bytes == 20


@pytest.mark.parametrize("key", ["links", "edges"])
def test_what_networkx_writes(key):
    digraph = nx.DiGraph(name="net")
    digraph.add_node("b", cost=1, bytes=2)
    digraph.add_node("a", cost=3, bytes=4.0)
    digraph.add_edge("a", "b")
    graph = from_node_link(json.loads(json.dumps(nx.node_link_data(digraph, edges=key))))
    assert graph == from_networkx(digraph)
    assert graph.order == ("a", "b")
    assert graph.values["a"].bytes == 4
    assert graph.name == "net"
    with pytest.raises(GraphError, match="undirected"):
        from_networkx(digraph.to_undirected())


def changed(data, path, value):
    """A copy with one place set; a value of ... deletes it."""
    copy = json.loads(json.dumps(data))
    place = copy
    for key in path[:-1]:
        place = place[key]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return copy


@pytest.mark.parametrize(
    ("path", "value", "texts"),
    [
        (["schema"], "hcp-graph/9", ["'hcp-graph/9'", "expected 'hcp-graph/1'"]),
        (["values"], ..., ["no attribute 'values'", "add it"]),
        (["nodes"], {}, ["has nodes {}", "a list"]),
        (["nodes"], [], ["no nodes"]),
        (["nodes", 0], 7, ["entry 0 of the nodes is 7", "object"]),
        (["nodes", 0, "cost"], ..., ["node 'a'", "no attribute 'cost'"]),
        (["nodes", 0, "cost"], -3, ["node 'a' has cost -3", "zero or more"]),
        (["nodes", 0, "cost"], 2.5, ["node 'a' has cost 2.5", "whole number"]),
        (["nodes", 0, "cost"], float("nan"), ["node 'a' has cost nan", "whole number"]),
        (["nodes", 0, "cost"], float("inf"), ["node 'a' has cost inf", "whole number"]),
        (["nodes", 0, "cost"], 10**400, ["node 'a' has cost", "2^61"]),
        (["nodes", 0, "workspace"], "4", ["node 'a' has workspace '4'", "whole number"]),
        (["nodes", 0, "recomputable"], 1, ["node 'a' has recomputable 1", "true or false"]),
        (["nodes", 0, "inputs"], ["q"], ["'a' reads unknown value 'q'", "add the node"]),
        (["nodes", 0, "inputs"], [["i"]], ["node 'a'", "expected strings"]),
        (["nodes", 0, "inputs"], ["x"], ["cycle: a -> a", "remove"]),
        (["nodes", 0, "outputs"], ["q"], ["'a' creates unknown value 'q'", "add it"]),
        (["nodes", 0, "source_id"], [1], ["node 'a' has source_id [1]"]),
        (["nodes", 0, "source"], None, ["node 'a' has source None", "a string"]),
        (["nodes", 1, "name"], "a", ["'a' appears twice", "unique"]),
        (["nodes", 1, "outputs"], ["x"], ["produced twice"]),
        (["values", 1, "bytes"], ..., ["value 'x'", "no attribute 'bytes'"]),
        (["values", 1, "bytes"], True, ["value 'x' has bytes True", "whole number"]),
        (["values", 1, "bytes"], -1, ["value 'x' has bytes -1", "zero or more"]),
        (["values", 1, "name"], None, ["entry 1 of the values has name None", "a string"]),
        (["values", 1, "name"], "i", ["'i' is listed twice"]),
        (["values", 1, "kind"], "tensor", ["'x' has kind 'tensor'", "activation"]),
        (["order"], ["b", "a"], ["'b' before node 'a'", "topological"]),
        (["order"], ["a", 1], ["has 1 among its order", "strings"]),
    ],
)
def test_bad_hcp_files(path, value, texts, tmp_path):
    file = tmp_path / "bad.json"
    file.write_text(json.dumps(changed(small(), path, value)))
    with pytest.raises(GraphError) as caught:
        load_graph(file)
    for text in [*texts, "bad.json"]:
        assert text in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "value", "texts"),
    [
        (["directed"], False, ["undirected", "DiGraph"]),
        (["edges"], [], ["both 'links' and 'edges'"]),
        (["nodes", 0, "cost"], ..., ["node 0", "no attribute 'cost'"]),
        (["nodes", 0, "bytes"], -1, ["node 0 has bytes -1", "zero or more"]),
        (["nodes", 0, "bytes"], "1", ["node 0 has bytes '1'", "whole number"]),
        (["nodes", 0, "id"], ..., ["entry 0", "no attribute 'id'"]),
        (["nodes", 0, "id"], [0], ["[0] is no node id"]),
        (["nodes", 0, "id"], True, ["True is no node id"]),
        (["nodes", 0, "id"], "1", ["appears twice"]),
        (["links", 0, "source"], 5, ["unknown node 5", "add it"]),
        (["links", 0, "target"], ..., ["entry 0 of the links", "'target'"]),
        (["links", 0, "target"], 0, ["cycle: 0 -> 0"]),
        (["links", 0], None, ["entry 0 of the links is None"]),
        (["graph", "order"], [1, 0], ["'1' before node '0'"]),
        (["graph", "order"], None, ["has order None", "a list"]),
        (["graph"], "g", ["the object 'graph' is 'g'"]),
    ],
)
def test_bad_node_link_files(path, value, texts, tmp_path):
    file = tmp_path / "bad.json"
    file.write_text(json.dumps(changed(linked(), path, value)))
    with pytest.raises(GraphError) as caught:
        load_graph(file)
    for text in [*texts, "bad.json"]:
        assert text in str(caught.value)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "is not JSON"),
        (b'{"schema": "hcp-graph/1", "nod', "truncated"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (b"[" * 100_000, "beyond what JSON readers take"),
        (b"9" * 5000, "beyond what JSON readers take"),
        (b"[]", "expected a JSON object"),
        (b"{}", "no known format"),
        (b'{"nodes": []}', "no known format"),
    ],
)
def test_files_that_hold_no_graph(content, text, tmp_path):
    (tmp_path / "bad.json").write_bytes(content)
    with pytest.raises(GraphError, match=text):
        load_graph(tmp_path / "bad.json")


def test_missing_files_and_directories(tmp_path):
    with pytest.raises(GraphError, match="does not exist"):
        load_graph(tmp_path / "none.json")
    with pytest.raises(GraphError, match="is a directory"):
        load_graph(tmp_path)
    with pytest.raises(GraphError, match="cannot be read"):
        load_graph("nul\0byte")


junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=3)
    | st.sampled_from(["a", "x", "i", 0, 1]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


def places(data, path=()):
    yield path
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        yield from places(value, (*path, key))


@given(st.data())
def test_junk_anywhere_is_a_graph_or_a_graph_error(data):
    base, read = data.draw(st.sampled_from([(small(), graph_from_dict), (linked(), from_node_link)]))
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(list(places(base))))
        base = changed(base, path, data.draw(junk)) if path else data.draw(junk)
    try:
        graph = read(base)
    except GraphError:
        return
    assert graph_from_dict(graph_to_dict(graph)) == graph


def test_a_field_that_is_there_twice_is_refused(tmp_path):
    file = tmp_path / "g.json"
    text = json.dumps(small())
    file.write_text(text.replace('"cost": 3', '"cost": 3, "cost": 2', 1))
    assert file.read_text() != text
    with pytest.raises(GraphError, match="an object has the field 'cost' twice; write it once"):
        load_graph(file)


def test_files_keep_where_nodes_come_from(tmp_path):
    graph = Graph((Node("a", outputs=(Value("x", 1),), source="layers.0: model.py:3"), Node("b", inputs=("x",))))
    save_graph(graph, tmp_path / "graph.json")
    assert [node.source for node in load_graph(tmp_path / "graph.json").nodes] == ["layers.0: model.py:3", ""]
    _, other = json.loads((tmp_path / "graph.json").read_text())["nodes"]
    assert "source" not in other
