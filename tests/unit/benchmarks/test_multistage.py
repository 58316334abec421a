"""Chains with slots in memory and on disk: never dearer than schedules made for them by others."""

import pytest

from benchmarks.multistage import Case, compared, peers_of, steps_graph, steps_of
from hcp import replay
from hcp.heuristics.revolve import advances
from hcp.planning.compilation import PARTS
from hcp.planning.deadline import Deadline
from hcp.schedule.actions import Schedule
from tests.effort import THOROUGH, slow, some

CHAINS = [Case(10, 2, 3), Case(20, 2, 4, 1, 3), Case(30, 3, 4)]
LONG = [Case(50, 3, 6), Case(50, 3, 6, 5, 5), Case(100, 5, 10)]
NAMES = tuple(peers_of(Case(10, 2, 3)))


@pytest.fixture(scope="module", autouse=True)
def _compiled():
    """Work does not count what waiting for machine code takes, but plans are worse without it."""
    assert all(part.wait(Deadline(300)) for part in PARTS)


def test_a_peers_steps_are_those_that_its_paper_counts():
    graph = steps_graph(30)
    schedule = Schedule.from_steps(graph, steps_of(peers_of(Case(30, 3, 4))["Revolve"]()))
    # Each step runs once more right before its adjoint but for the last, whose adjoint follows at once.
    assert replay(graph, schedule).cost == 2 * 30 + advances(30, 3)


@pytest.mark.parametrize("name", some(NAMES, 3))
@pytest.mark.parametrize("chain", CHAINS if THOROUGH else CHAINS[1:2], ids=str)
def test_never_dearer(chain, name):
    found = compared(chain, name, solver="anneal", work_limit=16, time_limit=60)
    assert found["hcp's cost"] <= found["peer's cost"]
    assert found["bound"] <= found["hcp's cost"]


@slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("chain", LONG, ids=str)
def test_never_dearer_on_long_chains(chain, name):
    found = compared(chain, name, time_limit=30)
    assert found["hcp's cost"] <= found["peer's cost"]


@pytest.mark.parametrize("name", ["DiskRevolve", "HRevolve"])
def test_what_is_known_of_chains_is_found_at_once(name):
    found = compared(Case(100, 5, 10), name, solver="revolve", time_limit=10)
    assert found["hcp's cost"] <= 1.08 * found["peer's cost"]
