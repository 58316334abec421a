"""The executor on generated graphs: any legal schedule gives the same results, and uses what replay says."""

import warnings
import weakref
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hcp.graph.instances import instance, random_graph, training_chain
from hcp.graph.ir import Graph, Node, Value
from hcp.heuristics.interval_tree import IntervalTree
from hcp.heuristics.sqrt_n import SqrtN
from hcp.planners import solve
from hcp.planning.problem import InfeasibleBudget, Problem
from hcp.planning.solution import Solution, Status
from hcp.runtime import (
    CheckpointStorage,
    ExecutionCallbacks,
    FallbackWarning,
    HeightCompressedExecutor,
    RunError,
    StorageError,
    StorageWarning,
)
from hcp.runtime.registry import find_checkpoints
from hcp.schedule.actions import Compute, Free, Schedule, keep_everything
from hcp.schedule.replay import replay
from hcp.solvers.exhaustive import Exhaustive, least_peak
from tests.effort import examples
from tests.strategies import graphs, seeded_graphs


class Arithmetic(ExecutionCallbacks):
    """Every value is an array that depends on its name and on all that its node reads."""

    def __init__(self, graph):
        self.graph = graph
        self.ran = Counter()
        self.freed = []
        self.in_storage = []
        self.made = {}

    def inputs(self, loss):
        return {value.name: self.content(value, 0 if loss is None else loss) for value in self.graph.inputs}

    def compute(self, node, inputs, *, again):
        assert set(inputs) == set(node.inputs)
        assert again == (self.ran[node.name] > 0)
        self.ran[node.name] += 1
        total = sum((place + 2) * int(inputs[name][0]) for place, name in enumerate(node.inputs))
        outputs = {value.name: self.content(value, total) for value in node.outputs}
        self.made.update((name, weakref.ref(array)) for name, array in outputs.items())
        return outputs

    def free(self, value):
        self.freed.append(value)
        # Nobody holds the instance any more; a background transfer may be letting go of it right now.
        assert value in self.in_storage or self.made[value]() is None

    def stored(self, value):
        self.in_storage.append(value)

    @staticmethod
    def content(value, total):
        return np.full(3, (total * 31 + sum(value.name.encode())) % 1_000_003)


def straight(graph):
    """What every value should be: each node once, everything kept."""
    values = dict(Arithmetic(graph).inputs(None))
    callbacks = Arithmetic(graph)
    for name in graph.order:
        node = graph.node[name]
        values.update(callbacks.compute(node, {x: values[x] for x in node.inputs}, again=False))
    return {name: int(array[0]) for name, array in values.items()}


def loose(graph):
    return [name for name in graph.producer if not graph.values[name].resident]


def check(graph, schedule, storage=None, tier="device", checkpoints=None):
    executor = HeightCompressedExecutor(storage, tier)
    usage = executor.configure(graph, plan=schedule, checkpoints=checkpoints).usage
    callbacks = Arithmetic(graph)
    done = executor.run(callbacks)
    expected = straight(graph)
    assert {name: int(array[0]) for name, array in done.results.items()} == {
        name: expected[name] for name in graph.producer if graph.values[name].resident
    }
    assert callbacks.ran == Counter(schedule.computes)
    assert callbacks.freed == [action.value for action in schedule.actions if isinstance(action, Free)]
    assert done.profile.recomputed == usage.recomputed
    assert done.profile.recomputed_cost == usage.cost - graph.base_cost
    assert not done.fallback
    return usage, done, callbacks


def peak_beside_storage(graph, schedule, stored):
    """Most bytes at hand: what is live and not stored, what the running node reads of storage, and what it makes."""
    live = {value.name for value in graph.inputs}
    peak = 0
    for action in schedule.actions:
        if isinstance(action, Compute):
            node = graph.node[action.node]
            at_hand = (live - stored) | set(node.inputs)
            fresh = sum(value.bytes for value in node.outputs) + node.workspace
            peak = max(peak, sum(graph.values[name].bytes for name in at_hand) + fresh)
            live |= {value.name for value in node.outputs}
        else:
            live.discard(action.value)
    return peak


@st.composite
def recomputing(draw):
    """A graph and an optimal schedule for a budget near its least peak, which recomputes more often than not."""
    graph = draw(st.one_of(graphs(), seeded_graphs()))
    budget = least_peak(graph) + draw(st.integers(0, 2))
    return graph, Exhaustive()(Problem(graph, budget)).schedule


@settings(max_examples=examples(200), deadline=None)
@given(recomputing())
def test_results_and_peak_are_those_of_the_plan(drawn):
    usage, done, callbacks = check(*drawn)
    assert done.profile.peak_bytes == usage.peak
    assert done.profile.peak_stored_bytes == 0
    assert not callbacks.in_storage


@settings(max_examples=examples(60), deadline=None)
@given(recomputing(), st.sampled_from(["host", "disk"]), st.data())
def test_checkpoints_elsewhere_change_no_result(tmp_path_factory, drawn, tier, data):
    graph, schedule = drawn
    folder = tmp_path_factory.mktemp("checkpoints")
    names = data.draw(st.sets(st.sampled_from(loose(graph)))) if loose(graph) else set()
    with CheckpointStorage(folder) as storage:
        usage, done, callbacks = check(graph, schedule, storage, tier, names)
        assert len(storage) == 0
        assert not list(folder.iterdir())
    # Between nodes nothing is at hand that is not while a node runs, except outputs on their way into storage.
    assert done.profile.peak_bytes == peak_beside_storage(graph, schedule, names) <= usage.peak
    assert set(callbacks.in_storage) == names
    sizes = [graph.values[name].bytes for name in names]
    assert max(sizes, default=0) <= done.profile.peak_stored_bytes <= sum(sizes)


def test_checkpoints_on_disk_take_their_bytes_off_the_device(tmp_path):
    graph = training_chain(100)
    with CheckpointStorage(tmp_path) as storage:
        executor = HeightCompressedExecutor(storage, "disk")
        configured = executor.configure(graph, planner=SqrtN(segments=10))
        assert configured.checkpoints == find_checkpoints(graph, configured.schedule)
        profile = executor.run(Arithmetic(graph)).profile
    # Ten segments of ten: the segments' ends are what is held while the rest is recomputed.
    assert {f"v{i}" for i in range(10, 91, 10)} < configured.checkpoints
    assert profile.peak_stored_bytes >= 9
    assert profile.peak_bytes <= configured.usage.peak - 6
    assert profile.durations["store"] > 0
    assert profile.durations["fetch"] > 0


def test_find_checkpoints_names_what_is_held_while_something_is_recomputed():
    graph = training_chain(3)
    assert find_checkpoints(graph, keep_everything(graph)) == set()
    schedule = Schedule.from_computes(graph, ["v0", "v1", "v2", "v3", "v0", "v1", "v4", "v0", "v5"])
    assert replay(graph, schedule).recomputed == {"v0": 2, "v1": 1}
    # v3 and v4 are gradients that wait; v1's and v2's first instances do not outlive what is recomputed.
    assert find_checkpoints(graph, schedule) == {"v3", "v4"}
    schedule = Schedule.from_computes(graph, ["v0", "v1", "v2", "v3", "v1", "v4", "v5"])
    assert find_checkpoints(graph, schedule) == {"v0", "v3"}


def test_a_run_again_of_what_is_live_takes_its_place_and_leaves_residents():
    graph = Graph(
        (
            Node("a", outputs=(Value("x", 5), Value("y", 3), Value("z", 7, "output", resident=True))),
            Node("b", inputs=("y",)),
            Node("c", inputs=("x", "y")),
        )
    )
    schedule = Schedule((Compute("a"), Compute("b"), Free("y"), Compute("a"), Compute("c"), Free("x"), Free("y")))
    executor = HeightCompressedExecutor()
    usage = executor.configure(graph, plan=schedule).usage

    class Counting(Arithmetic):
        def compute(self, node, inputs, *, again):
            outputs = super().compute(node, inputs, again=again)
            return {name: array + 1000 * again for name, array in outputs.items()}

    done = executor.run(Counting(graph))
    assert int(done.results["z"][0]) == straight(graph)["z"]
    assert done.profile.samples[-1].held == usage.final == 7
    assert done.profile.peak_bytes == usage.peak == 27


@pytest.mark.parametrize("text", ["training-chain:30", "residual-net:5", "unet:2", "transformer:1", "pyramid:5"])
@pytest.mark.parametrize("block_size", [1, 3, 8, 10_000])
def test_a_block_size_alone_makes_a_plan(text, block_size):
    graph = instance(text)
    executor = HeightCompressedExecutor()
    configured = executor.configure(graph, block_size=block_size)
    assert executor.run(Arithmetic(graph)).profile.peak_bytes == configured.usage.peak
    base = replay(graph, keep_everything(graph))
    if block_size == 10_000:
        assert (configured.usage.cost, configured.usage.peak) == (base.cost, base.peak)
    assert max(configured.usage.recomputed.values(), default=0) <= 1
    if text == "training-chain:30" and block_size == 3:
        assert configured.usage.peak <= 10 + 1 + 3


def test_plans_planners_and_budgets():
    graph = instance("unet:3")
    executor = HeightCompressedExecutor()
    plan = solve(graph, "60%", "interval_tree")
    assert executor.configure(plan=plan).usage == plan.usage
    assert executor.configure(graph, plan=plan).schedule == plan.schedule
    assert executor.configure(graph, planner=IntervalTree(), budget="60%").usage.cost == plan.cost
    assert executor.configure(graph, planner=IntervalTree()).usage.cost == graph.base_cost

    def with_limits(problem, limits, control):
        return IntervalTree()(problem, limits, control)

    assert executor.configure(graph, planner=with_limits, budget="60%").usage.cost == plan.cost
    with pytest.raises(InfeasibleBudget, match="no schedule fits"):
        executor.configure(plan=plan, budget="1%")
    peak = plan.usage.peak
    assert executor.configure(plan=plan, budget=peak).usage.peak == peak
    before = executor.configuration
    with pytest.raises(RunError, match=f"peak of {peak} bytes.* exceeds the budget of {peak - 1} bytes"):
        executor.configure(plan=plan, budget=peak - 1)
    with pytest.raises(InfeasibleBudget, match=r"no schedule fits \d+ bytes: .*smallest budget known to work is \d+"):
        executor.configure(graph, planner=IntervalTree(), budget="1%")
    with pytest.raises(RunError, match="made for another graph"):
        executor.configure(instance("unet:2"), plan=plan)
    for arguments in ({}, {"plan": plan, "block_size": 3}):
        with pytest.raises(RunError, match="exactly one of plan, planner and block_size"):
            executor.configure(graph, **arguments)
    with pytest.raises(RunError, match="got no graph"):
        executor.configure(block_size=3)
    with pytest.raises(RunError, match="block size 0 is not positive"):
        executor.configure(graph, block_size=0)
    with pytest.raises(RunError, match="value 'nowhere' cannot be a checkpoint"):
        executor.configure(plan=plan, checkpoints=["nowhere"])
    with pytest.raises(RunError, match=r"cannot be run: step 0 .* is not live"):
        executor.configure(graph, plan=Schedule(tuple(Compute(name) for name in reversed(graph.order))))
    # What was refused has changed nothing.
    assert executor.configuration is before


def test_an_executor_without_a_plan_says_so():
    with pytest.raises(RunError, match=r"no plan; call configure\(\) first"):
        HeightCompressedExecutor().run(Arithmetic(training_chain(2)))


def test_backward_runs_the_plan_with_the_loss_or_falls_back_and_says_so():
    graph = Graph((Node("f", inputs=("x",), outputs=(Value("y", 8, "output", True),)),), (Value("x", 8, "input"),))
    executor = HeightCompressedExecutor()
    executor.configure(graph, block_size=1)
    called = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        done = executor.backward(7, called.append, Arithmetic(graph))
    assert not called
    assert not done.fallback
    assert done.results["y"].tolist() != executor.run(Arithmetic(graph)).results["y"].tolist()
    with pytest.warns(FallbackWarning, match="no plan is run"):
        done = executor.backward(7, called.append)
    assert called == [7]
    assert done.fallback
    assert done.profile is None


def test_callbacks_that_leave_values_out_are_named():
    graph = random_graph(5, 3)
    graph = Graph(graph.nodes, (*graph.inputs, Value("more", 1, "input")), graph.order)

    class Lazy(Arithmetic):
        def inputs(self, loss):
            return {name: array for name, array in super().inputs(loss).items() if name != "more"}

    class Lazier(Arithmetic):
        def compute(self, node, inputs, *, again):
            return {}

    executor = HeightCompressedExecutor()
    executor.configure(graph, plan=keep_everything(graph))
    with pytest.raises(RunError, match="gives no 'more'; give every input"):
        executor.run(Lazy(graph))
    with pytest.raises(RunError, match=r"gives no 'x\d\.\d' for node 'n\d'"):
        executor.run(Lazier(graph))


def test_a_failed_write_ends_the_run_and_the_next_one_works(tmp_path, monkeypatch):
    graph = training_chain(12)
    with CheckpointStorage(tmp_path) as storage:
        storage.put("of the user", np.arange(2), "disk")
        executor = HeightCompressedExecutor(storage, "disk")
        executor.configure(graph, planner=SqrtN(segments=3))
        writes = []

        def failing(descriptor, offset, length):
            writes.append(length)
            if len(writes) == 3:
                raise OSError(28, "No space left on device")

        from hcp.runtime import disk

        take = disk.os.posix_fallocate
        monkeypatch.setattr(disk.os, "posix_fallocate", lambda *a: (failing(*a), take(*a)))
        with pytest.raises(StorageError, match="No space left"):
            executor.run(Arithmetic(graph))
        assert len(list(tmp_path.iterdir())) == 1
        monkeypatch.undo()
        assert executor.run(Arithmetic(graph)).profile.peak_stored_bytes > 0
        assert storage.get("of the user").tolist() == [0, 1]


def test_a_failed_background_transfer_keeps_the_results_and_warns():
    graph = training_chain(12)
    last = graph.node["v23"]
    kept = Node("v23", last.op, last.inputs, (Value("v23", 1, "gradient", resident=True),), last.cost)
    graph = Graph((*graph.nodes[:-1], kept))

    class Unwilling:
        def encode(self, value):
            raise StorageError("the host is full")

        def decode(self, encoded):
            raise AssertionError("nothing was ever stored")

    with CheckpointStorage(codec=Unwilling()) as storage:
        executor = HeightCompressedExecutor(storage, "host")
        executor.configure(graph, planner=SqrtN(segments=3))
        with pytest.warns(StorageWarning, match="the host is full"):
            done = executor.run(Arithmetic(graph))
    assert int(done.results["v23"][0]) == straight(graph)["v23"]


@pytest.mark.parametrize(
    ("status", "error", "message"),
    [
        (Status.INFEASIBLE, InfeasibleBudget, "proved by Fruitless; the smallest budget known to work is"),
        (Status.NO_SOLUTION, RunError, "gave no schedule"),
    ],
)
def test_a_planner_without_a_schedule(status, error, message):
    graph = training_chain(5)
    with pytest.raises(error, match=message):
        HeightCompressedExecutor().configure(
            graph, planner=lambda problem: Solution(None, status, (), "Fruitless"), budget="90%"
        )
