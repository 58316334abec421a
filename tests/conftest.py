"""Whatever the tests replay, compiled code evaluates as well: both judges agree on every schedule of the suite."""

import contextvars
import functools
import sys

import numpy as np
import pytest
from hypothesis import settings

from hcp.planning import sequences
from hcp.schedule import replay as judge
from hcp.schedule.actions import Schedule, ScheduleError
from tests import effort

effort.hasten_frameworks()

# How long an example takes on a busy machine says nothing of the code.
settings.register_profile("hcp", deadline=None)
settings.load_profile("hcp")

_REPLAY = judge.replay
# What both said where they differed; also kept since a search may run in a thread, whose errors no test sees.
_DISAGREED: list[str] = []


@functools.wraps(_REPLAY)
def _replay(graph, schedule, host=None):
    # The comparison has a context of its own: no limit of the test ends it.
    compare = functools.partial(contextvars.Context().run, _compare, graph, schedule)
    try:
        usage = _REPLAY(graph, schedule, host)
    except ScheduleError:
        compare(None)
        raise
    compare(usage)
    return usage


def _compare(graph, schedule, usage):
    if schedule.transfers or not all(name in graph.index.node_of for name in schedule.computes):
        return
    if not schedule.computes or schedule != Schedule.from_computes(graph, schedule.computes):
        return
    from hcp.planning.compiled_sequences import run_compiled

    nodes = np.array([graph.index.node_of[name] for name in schedule.computes], np.int64)
    if int(graph.index.cost.max()) * len(nodes) >= sequences._MOST_COST:
        return
    cost, peak, step, profile = run_compiled(graph.index, nodes)
    said = None if step < 0 else (cost, peak, step, tuple(profile.tolist()))
    if said != (None if usage is None else (usage.cost, usage.peak, usage.peak_step, usage.profile)):
        _DISAGREED.append(f"{graph.name}: {usage} replayed, {said} evaluated for {schedule.computes}")


# Test modules, and what of hcp is imported later, find the patched one.
for _module in [*sys.modules.values()]:
    if getattr(_module, "replay", None) is _REPLAY:
        _module.replay = _replay


@pytest.fixture(autouse=True, scope="session")
def _short_searches_for_budgets_that_work():
    """Errors about budgets name one that works, for which they search some seconds; for the tests any will do."""
    if effort.THOROUGH:
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hcp.feasibility.SECONDS", 1.0)
        yield


@pytest.fixture(autouse=True)
def _judges_agree():
    yield
    assert not _DISAGREED, _DISAGREED.pop()
