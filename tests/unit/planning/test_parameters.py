"""Parameters: every field has a description, defaults are accepted, and values out of sense are refused."""

import math
from dataclasses import fields, is_dataclass, replace

import pytest

from hcp.annealing import Cooling, Mix
from hcp.annealing.rounds import FreshRunConfig, RoundsParams
from hcp.graph.errors import HcpError
from hcp.heuristics.anneal import AnnealParams
from hcp.offload.planner import HostParams
from hcp.planners import PLANNERS, planner_named
from hcp.planning.parameters import Params, descriptions
from hcp.portfolio import AutoParams
from hcp.solvers.cut_relaxation.relaxation import RelaxationParams
from hcp.solvers.exact import ExactParams
from hcp.solvers.search import SearchParams


def _classes(cls=Params):
    for child in cls.__subclasses__():
        yield child
        yield from _classes(child)


def _loaded():
    for name in PLANNERS:
        planner_named(name)
    return [*(cls for cls in _classes() if cls.__module__.startswith("hcp.")), Mix]


@pytest.mark.parametrize("cls", _loaded(), ids=lambda cls: cls.__name__)
def test_every_field_says_what_it_decides(cls):
    names = [field.name for field in fields(cls)] if is_dataclass(cls) else list(cls._fields)
    found = descriptions(cls)
    assert list(found) == names
    assert all(text and "\n" not in text for text in found.values())


def test_a_class_describes_what_it_inherits():
    assert list(descriptions(SearchParams)) == [*descriptions(ExactParams), "integer_share", "proof_share"]


def test_descriptions_end_with_their_section():
    class Example:
        """Something.

        Attributes:
            one: The first,
                in two lines: or so.
            two: The second.

        Raises:
            HcpError: Never.
        """

    assert descriptions(Example) == {"one": "The first, in two lines: or so.", "two": "The second."}
    assert descriptions(type("Bare", (), {})) == {}


@pytest.mark.parametrize("name", PLANNERS)
def test_parameters_of_planners_compare_and_hash(name):
    planner, again = planner_named(name), planner_named(name)
    if is_dataclass(planner):
        assert planner == again
        assert hash(planner) == hash(again)


@pytest.mark.parametrize(
    ("cls", "changes", "message"),
    [
        (AutoParams, {"proof_share": 1.5}, "proof_share is 1.5; expected a number of at least 0 and at most 1"),
        (AutoParams, {"proof_share": math.nan}, "proof_share is nan"),
        (AutoParams, {"least_seconds": 0.0}, "least_seconds is 0.0; expected a number above 0"),
        (AutoParams, {"least_seconds": math.inf}, "least_seconds is inf"),
        (AutoParams, {"most_columns_proved": 2.5}, "most_columns_proved is 2.5; expected a whole number of at least 0"),
        (AutoParams, {"quick_share": True}, "quick_share is True"),
        (AutoParams, {"quick_share": "much"}, "quick_share is 'much'"),
        (AnnealParams, {"growth": 0.5}, "growth is 0.5; expected a number of at least 1"),
        (HostParams, {"rounds": -1}, "rounds is -1"),
        (RelaxationParams, {"stages": (8, 4)}, r"stages is \[8, 4\]; expected whole numbers that ascend"),
        (RelaxationParams, {"stages": (0, 4)}, "stages is 0; expected a whole number of at least 1"),
        (RoundsParams, {"runs": ()}, "runs is empty"),
        (Cooling, {"mix": Mix(0.5, 0.5, 0.5, 0.0, 0.0, 0.0)}, "add up to 1.5; expected at most 1"),
        (Cooling, {"mix": Mix(-0.5, 0.5, 0.5, 0.0, 0.0, 0.0)}, "shift is -0.5"),
    ],
)
def test_values_out_of_sense_are_refused(cls, changes, message):
    with pytest.raises(HcpError, match=message):
        replace(cls(), **changes)


def test_a_start_that_is_none_is_refused():
    with pytest.raises(HcpError, match="start is 'middle'; expected one of 'order', 'eviction'"):
        FreshRunConfig("a run", "middle", Cooling())
