"""Plans that move values to the host and back, run: results, and memory on both sides, are what replay says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hcp
from hcp.graph.instances import training_chain
from hcp.runtime import CheckpointStorage, ExecutionCallbacks, HeightCompressedExecutor, RunError
from hcp.schedule.actions import Fetch
from hcp.schedule.host import PER, HostLink
from hcp.schedule.replay import replay
from tests.effort import examples
from tests.strategies import graphs, seeded_graphs
from tests.transfers import random_transfers

LINK = HostLink(PER, PER)


class Sums(ExecutionCallbacks):
    """Every value is an array that depends on its name and on all that its node reads."""

    def __init__(self, graph):
        self.graph = graph

    def inputs(self, loss):
        return {value.name: self.content(value, 0) for value in self.graph.inputs}

    def compute(self, node, inputs, *, again):
        assert set(inputs) == set(node.inputs)
        total = sum((place + 2) * int(inputs[name][0]) for place, name in enumerate(node.inputs))
        return {value.name: self.content(value, total) for value in node.outputs}

    @staticmethod
    def content(value, total):
        return np.full(3, (total * 31 + sum(value.name.encode())) % 1_000_003)


def run(graph, schedule, storage=None, tier="device"):
    executor = HeightCompressedExecutor(storage, tier)
    executor.configure(graph, plan=schedule, host=LINK)
    done = executor.run(Sums(graph))
    return {name: int(array[0]) for name, array in done.results.items()}, done.profile


@settings(max_examples=examples(150), deadline=None)
@given(st.one_of(graphs(), seeded_graphs()), st.integers(0, 10**6))
def test_results_and_memory_are_those_of_the_plan(graph, seed):
    schedule = random_transfers(graph, seed)
    usage = replay(graph, schedule, LINK)
    results, profile = run(graph, schedule)
    assert results == run(graph, hcp.keep_everything(graph))[0]
    assert (profile.peak_bytes, profile.peak_stored_bytes) == (usage.peak, usage.host_peak)
    assert profile.recomputed == usage.recomputed


def moving():
    graph = training_chain(8)
    schedules = (random_transfers(graph, seed) for seed in range(100))
    return graph, next(schedule for schedule in schedules if Fetch in map(type, schedule.steps))


def test_on_disk_as_well(tmp_path):
    graph, schedule = moving()
    with CheckpointStorage(tmp_path) as storage:
        results, profile = run(graph, schedule, storage, "disk")
        assert len(storage) == 0
    assert results == run(graph, hcp.keep_everything(graph))[0]
    assert profile.peak_stored_bytes == replay(graph, schedule, LINK).host_peak > 0


def test_a_plan_brings_its_link_and_takes_no_checkpoints():
    graph, schedule = moving()
    problem = hcp.Problem(graph, 10**6, host=LINK)
    from hcp.planning.plan import judge

    plan = judge(problem, hcp.Solution(schedule, hcp.Status.FEASIBLE))
    executor = HeightCompressedExecutor()
    assert executor.configure(plan=plan).checkpoints == frozenset()
    with pytest.raises(RunError, match="leave out checkpoints"):
        executor.configure(plan=plan, checkpoints=["v1"])
    with pytest.raises(RunError, match="there is no host link"):
        executor.configure(graph, plan=schedule)


def test_a_failed_run_leaves_nothing_in_storage():
    graph, schedule = moving()

    class Fails(Sums):
        def compute(self, node, inputs, *, again):
            if node.name == graph.order[-1]:
                raise ValueError("no")
            return super().compute(node, inputs, again=again)

    storage = CheckpointStorage()
    executor = HeightCompressedExecutor(storage, "host")
    executor.configure(graph, plan=schedule, host=LINK)
    with pytest.raises(ValueError, match="no"):
        executor.run(Fails(graph))
    assert len(storage) == 0
