"""The walk over a schedule's states, against replay, which reads schedules by itself."""

from hypothesis import given, settings
from hypothesis import strategies as st

from hcp.graph.instances import training_chain
from hcp.schedule.actions import Compute, Fetch, Free, Offload, Schedule
from hcp.schedule.host import HostLink
from hcp.schedule.replay import replay
from hcp.schedule.states import Origin, states
from tests.effort import examples
from tests.strategies import graphs
from tests.transfers import random_transfers

LINK = HostLink(10**9, 10**9)


def own_bytes(graph, step):
    if isinstance(step, Compute):
        node = graph.node[step.node]
        return node.workspace + sum(value.bytes for value in node.outputs)
    return graph.values[step.value].bytes if isinstance(step, Fetch) else 0


@settings(max_examples=examples(200), deadline=None)
@given(graphs(), st.integers(0, 10**6))
def test_states_add_up_to_what_replay_says(graph, seed):
    schedule = random_transfers(graph, seed)
    usage = replay(graph, schedule, LINK)
    profile, host, again = [], [0], 0
    for state in states(graph, schedule):
        sizes = dict.fromkeys(Origin, 0)
        for name, origin in state.live.items():
            sizes[origin] += graph.values[name].bytes
        assert sizes == state.bytes
        profile.append(sum(sizes.values()) + own_bytes(graph, state.step))
        new = {state.step.value} if isinstance(state.step, Offload) else set()
        host.append(sum(graph.values[name].bytes for name in state.held | new))
        again += state.again
    assert tuple(profile) == usage.profile
    assert max(host) == usage.host_peak
    assert again == sum(usage.recomputed.values())


@settings(max_examples=examples(100), deadline=None)
@given(graphs(), st.integers(0, 10**6))
def test_steps_and_frees_are_the_schedules_own(graph, seed):
    schedule = random_transfers(graph, seed)
    listed = []
    for state in states(graph, schedule):
        listed += [Free(name) for name in state.freed]
        listed.append(state.step)
    # What is freed behind the last step surrounds no step.
    assert tuple(listed) == schedule.actions[: len(listed)]
    assert all(isinstance(action, Free) for action in schedule.actions[len(listed) :])


def test_where_instances_come_from():
    graph = training_chain(3)
    fetched = [Compute("v0"), Offload("v0"), Compute("v1"), Compute("v2"), Compute("v3"), Fetch("v0")]
    schedule = Schedule.from_steps(graph, [*fetched, Compute("v1"), Compute("v4"), Compute("v5")])
    before = [dict(state.live) for state in states(graph, schedule)]
    assert before[0] == dict.fromkeys((value.name for value in graph.inputs), Origin.STAYS)
    assert before[2]["v0"] is Origin.FIRST
    assert before[6]["v0"] is Origin.FETCHED
    assert before[7]["v1"] is Origin.AGAIN
