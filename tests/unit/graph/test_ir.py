"""The intermediate representation checks itself, and says what is wrong."""

import pytest

from hcp.graph.errors import GraphError
from hcp.graph.ir import Graph, Node, Value


def node(name, inputs=(), outputs=None, **kwargs):
    outputs = (Value(name, 1),) if outputs is None else outputs
    return Node(name, inputs=inputs, outputs=outputs, **kwargs)


def test_inputs_and_parameters_are_resident():
    assert Value("a", 1, "input").resident
    assert Value("a", 1, "parameter").resident
    assert not Value("a", 1).resident


@pytest.mark.parametrize(
    ("make", "culprit", "mend"),
    [
        (lambda: Value("a", -1), "'a' has bytes -1", "zero or more"),
        (lambda: Value("a", 1.5), "'a' has bytes 1.5", "whole number"),
        (lambda: Value("a", True), "'a' has bytes True", "whole number"),
        (lambda: Value("", 1), "called ''", "non-empty"),
        (lambda: Value("a", 1, "tensor"), "'tensor'", "activation"),
        (lambda: Node("n", cost=-2), "'n' has cost -2", "zero or more"),
        (lambda: Node("n", workspace="3"), "'n' has workspace '3'", "whole number"),
        (lambda: Node("n", source=3), "'n' has source 3", "a string"),
        (lambda: Graph(()), "no nodes", "at least one"),
        (lambda: Graph((node("a"), node("a"))), "'a' appears twice", "unique"),
        (lambda: Graph((node("a", ("b",)),)), "unknown value 'b'", "add the node"),
        (lambda: Graph((node("a", ("a",)),)), "cycle: a -> a", "remove"),
        (lambda: Graph((node("a", ("b",)), node("b", ("a",)))), "cycle", "remove"),
        (lambda: Graph((node("a"), node("b", outputs=(Value("a", 1),)))), "produced twice", "own name"),
        (lambda: Graph((node("a"),), (Value("i", 1),)), "'i' is produced by no node", "kind 'input'"),
        (lambda: Graph((node("a", outputs=(Value("i", 1, "input"),)),)), "'input'", "another kind"),
        (lambda: Graph((node("a"), node("b", ("a",))), order=("b", "a")), "'b' before node 'a'", "topological"),
        (lambda: Graph((node("a"), node("b")), order=("a",)), "misses node 'b'", "every node once"),
        (lambda: Graph((node("a"),), order=("a", "z")), "unknown node 'z'", "remove"),
        (lambda: Graph((node("a", cost=2**62),)), "beyond 2^61", "larger unit"),
    ],
)
def test_errors_name_the_culprit_and_the_mend(make, culprit, mend):
    with pytest.raises(GraphError) as caught:
        make()
    assert culprit in str(caught.value)
    assert mend in str(caught.value)
    assert "\n" not in str(caught.value)


def test_order_defaults_to_the_listing_where_topological_and_to_a_sorted_one_otherwise():
    assert Graph((node("b"), node("a", ("b",)))).order == ("b", "a")
    assert Graph((node("a", ("b",)), node("b"))).order == ("b", "a")


def test_lookups():
    graph = Graph(
        (
            node("a", ("i",), (Value("x", 2), Value("y", 3, resident=True))),
            node("b", ("x", "x", "y"), (Value("z", 1),), cost=4),
        ),
        (Value("i", 5, "input"),),
    )
    assert graph.producer == {"x": "a", "y": "a", "z": "b"}
    assert graph.readers["x"] == ("b",)
    assert graph.node["b"].inputs == ("x", "y")
    assert graph.required_outputs == ("y", "z")
    assert graph.edges == (("a", "b"),)
    assert graph.base_cost == 4
    assert list(graph.values) == ["i", "x", "y", "z"]


def test_fingerprint_depends_on_what_schedules_depend_on():
    graph = Graph((node("a"), node("b", ("a",))), name="one")
    assert graph.fingerprint == Graph((node("a"), node("b", ("a",))), name="two").fingerprint
    assert graph.fingerprint != Graph((node("a"), node("b", ("a",), cost=1))).fingerprint
    assert graph.fingerprint != Graph((node("a"), node("b", ("a",), workspace=1))).fingerprint


def test_where_a_node_comes_from_is_for_people_alone():
    known = Graph((node("a", source="layers.0: model.py:3"), node("b", ("a",))))
    unknown = Graph((node("a"), node("b", ("a",))))
    assert known == unknown
    assert hash(known) == hash(unknown)
    assert known.fingerprint == unknown.fingerprint
