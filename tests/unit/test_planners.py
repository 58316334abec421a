"""The table of planners: everything in it can be made, and users add their own."""

import sys
from types import ModuleType

import pytest

import hcp
from hcp import planners
from hcp.graph.errors import HcpError
from hcp.graph.instances import training_chain
from hcp.heuristics.keep_all import KeepAll
from hcp.heuristics.sqrt_n import SqrtN
from hcp.planners import PLANNERS, UnknownSolver, planner_named, register_planner

GRAPH = training_chain(6)


@pytest.fixture(autouse=True)
def own_table():
    """What a test registers is gone after it."""
    before = dict(planners._TABLE)
    yield
    planners._TABLE.clear()
    planners._TABLE.update(before)


@pytest.fixture
def module(monkeypatch):
    found = ModuleType("planners_of_a_user")
    monkeypatch.setitem(sys.modules, found.__name__, found)
    return found


@pytest.mark.parametrize("name", sorted(PLANNERS))
def test_every_planner_can_be_made_and_is_described(name):
    assert callable(planner_named(name))
    assert PLANNERS[name][1]


@pytest.mark.parametrize("factory", [SqrtN, lambda: SqrtN(segments=3), "hcp.heuristics.sqrt_n:SqrtN"])
def test_a_registered_planner_is_asked_for_by_its_name(factory):
    register_planner("mine", factory, "segments")
    assert PLANNERS["mine"][1] == "segments"
    plan = hcp.solve(GRAPH, "90%", "mine")
    assert plan.schedule is not None
    comparison = hcp.compare(GRAPH, "90%", ["mine", "keep_all"])
    assert [row.solver for row in comparison.rows] == ["mine", "keep_all"]
    assert comparison.rows[0].plan.schedule == plan.schedule


@pytest.mark.parametrize(
    ("name", "factory", "text"),
    [
        ("auto", KeepAll, "registered already"),
        ("", KeepAll, "cannot be a planner's name"),
        ("a:b", KeepAll, "cannot be a planner's name"),
        (" mine", KeepAll, "cannot be a planner's name"),
        ("mine", "hcp.heuristics.keep_all", "names no planner"),
    ],
)
def test_names_that_cannot_be_are_refused(name, factory, text):
    before = dict(PLANNERS)
    with pytest.raises(HcpError, match=text):
        register_planner(name, factory, "")
    assert dict(PLANNERS) == before


def test_a_planner_of_ones_own_may_be_a_class_a_factory_or_an_object(module):
    module.Class, module.factory, module.thing = KeepAll, lambda: SqrtN(segments=2), SqrtN(segments=4)
    made = [planner_named(f"planners_of_a_user:{name}") for name in ("Class", "factory", "thing")]
    assert made == [KeepAll(), SqrtN(segments=2), SqrtN(segments=4)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("nobody", "unknown solver 'nobody'; choose one of auto"),
        ("planners_of_a_user:missing", "cannot be loaded"),
        ("no_such_module:Class", "cannot be loaded"),
        ("planners_of_a_user:number", "is 7, which cannot be called"),
        (":Class", "cannot be loaded"),
    ],
)
def test_what_is_no_planner_is_refused(module, name, text):
    module.number = 7
    with pytest.raises(UnknownSolver, match=text):
        planner_named(name)
