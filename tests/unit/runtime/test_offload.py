"""Plans that move values to the host and back, run: results, and memory on both sides, are what replay says."""

import threading
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hcp
from hcp.graph.instances import training_chain
from hcp.graph.ir import Graph, Node, Value
from hcp.offload.overlap import overlapped
from hcp.runtime import CheckpointStorage, ExecutionCallbacks, HeightCompressedExecutor, RunError
from hcp.runtime.codec import NumpyCodec
from hcp.runtime.executor import StorageWarning
from hcp.schedule.actions import Compute, Fetch, Free, Offload, Schedule
from hcp.schedule.host import PER, HostLink
from hcp.schedule.replay import replay
from tests.effort import examples
from tests.strategies import graphs, seeded_graphs
from tests.transfers import random_transfers

LINK = HostLink(PER, PER)
BESIDE = replace(LINK, overlap=True)


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


def run(graph, schedule, storage=None, tier="device", link=LINK):
    executor = HeightCompressedExecutor(storage, tier)
    executor.configure(graph, plan=schedule, host=link)
    done = executor.run(Sums(graph))
    return {name: int(array[0]) for name, array in done.results.items()}, done.profile


@settings(max_examples=examples(150), deadline=None)
@given(st.one_of(graphs(), seeded_graphs()), st.integers(0, 10**6), st.booleans(), st.booleans())
def test_results_and_memory_are_those_of_the_plan(graph, seed, overlap, limited):
    schedule = random_transfers(graph, seed)
    usage = replay(graph, schedule, LINK)
    link = replace(LINK, overlap=overlap, capacity=usage.host_peak if limited else None)
    if overlap:
        schedule = overlapped(graph, schedule, usage.peak, link)
        usage = replay(graph, schedule, link)
    results, profile = run(graph, schedule, link=link)
    assert results == run(graph, hcp.keep_everything(graph))[0]
    assert (profile.peak_bytes, profile.peak_stored_bytes) == (usage.peak, usage.host_peak)
    assert profile.recomputed == usage.recomputed


def moving():
    graph = training_chain(8)
    schedules = (random_transfers(graph, seed) for seed in range(100))
    return graph, next(schedule for schedule in schedules if Fetch in map(type, schedule.steps))


@pytest.mark.parametrize("link", [LINK, BESIDE])
def test_on_disk_as_well(tmp_path, link):
    graph, schedule = moving()
    with CheckpointStorage(tmp_path, background=("host", "disk")) as storage:
        results, profile = run(graph, schedule, storage, "disk", link)
        assert len(storage) == 0
    assert results == run(graph, hcp.keep_everything(graph))[0]
    assert profile.peak_stored_bytes == replay(graph, schedule, LINK).host_peak > 0


class Gated(NumpyCodec):
    """Copies that go on only when the computation has come to some node; the step before the last waits for none."""

    def __init__(self):
        self.reached = {name: threading.Event() for name in ("n2", "n7")}

    def encode(self, value):
        assert self.reached["n2"].wait(20)
        return super().encode(value)

    def decode(self, encoded):
        assert self.reached["n7"].wait(20)
        return super().decode(encoded)


def test_the_computation_goes_on_beside_copies():
    chain = (Node(f"n{i}", inputs=(f"y{i - 1}",) if i else (), outputs=(Value(f"y{i}", 1),), cost=1) for i in range(9))
    first = Node("a", outputs=(Value("x", 1),), cost=1)
    graph = Graph((first, *chain, Node("end", inputs=("x", "y8"), cost=1)))
    runs = [Compute(f"n{i}") for i in range(9)]
    # It leaves while the first of these run, and comes back while the last ones do.
    actions = [Compute("a"), Offload("x"), *runs[:4], Free("x"), Fetch("x"), *runs[4:], Compute("end"), Free("x")]
    codec = Gated()

    class Tells(Sums):
        def compute(self, node, inputs, *, again):
            if node.name in codec.reached:
                codec.reached[node.name].set()
            return super().compute(node, inputs, again=again)

    with CheckpointStorage(codec=codec) as storage:
        executor = HeightCompressedExecutor(storage)
        executor.configure(graph, plan=Schedule(tuple(actions)), host=BESIDE)
        executor.run(Tells(graph))


def test_what_cannot_be_stored_beside_the_computation_is_not_lost():
    graph, schedule = moving()

    class Full(NumpyCodec):
        def encode(self, value):
            raise OSError(28, "No space left on device")

    with CheckpointStorage(codec=Full()) as storage, pytest.warns(StorageWarning, match="could not be stored"):
        results, _ = run(graph, schedule, storage, link=BESIDE)
    assert results == run(graph, hcp.keep_everything(graph))[0]


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
