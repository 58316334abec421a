"""Runs a schedule for any framework: the plan decides what runs when, callbacks do it, storage keeps checkpoints."""

import warnings
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from hcp.feasibility import check_budget, explain_infeasible
from hcp.graph.ir import Graph, Node
from hcp.planning.plan import Plan
from hcp.planning.planner import AnyPlanner, ask
from hcp.planning.problem import DEFAULT_CONTROL, DEFAULT_LIMITS, Problem
from hcp.planning.solution import Status
from hcp.runtime.blocks import block_schedule
from hcp.runtime.codec import Content
from hcp.runtime.errors import RunError, StorageError
from hcp.runtime.hooks import ExecutionCallbacks
from hcp.runtime.profiling import Profile, Profiler
from hcp.runtime.registry import ActivationRegistry, CheckpointRegistry, find_checkpoints
from hcp.runtime.storage import CheckpointStorage, TierName
from hcp.schedule.actions import Compute, Fetch, Free, Offload, Schedule
from hcp.schedule.budget import parse_budget
from hcp.schedule.host import HostLink
from hcp.schedule.replay import Usage
from hcp.schedule.transfers import copy_ends
from hcp.schedule.validate import validate_plan

# Without a budget a planner may use any amount.
_UNLIMITED = 2**62


class StorageWarning(UserWarning):
    """Checkpoints stayed in memory because they could not be stored; results are right, but more memory was used."""


class FallbackWarning(UserWarning):
    """No plan was run: the framework's own backward was, with the memory that it takes."""


@dataclass(frozen=True)
class Configuration:
    """A validated plan.

    Attributes:
        graph: What is computed.
        schedule: In which order, and what is freed when.
        usage: What replay says it costs and holds.
        checkpoints: Values that go into storage when they have been computed.
        host: The link that it was made for; where copies overlap, they run beside the computation.
    """

    graph: Graph
    schedule: Schedule
    usage: Usage
    checkpoints: frozenset[str]
    host: HostLink | None = None

    @property
    def overlap(self) -> bool:
        """Whether copies run beside the computation."""
        return self.host is not None and self.host.overlap


@dataclass(frozen=True)
class Execution:
    """What a run gave.

    Attributes:
        results: Contents of the resident values that nodes made: gradients and outputs, in a training graph.
        profile: What happened; None where the framework's own backward ran.
    """

    results: Mapping[str, Any]
    profile: Profile | None

    @property
    def fallback(self) -> bool:
        """Whether the framework's own backward ran instead of a plan."""
        return self.profile is None


class HeightCompressedExecutor:
    """Runs plans; configure it once, run it as often as wanted.

    Args:
        storage: Keeps the checkpoints that go elsewhere; one of its own, in memory, by default.
        tier: Where checkpoints go. On ``"device"`` they stay at hand and count as such, whatever the storage; what a
            plan itself offloads then goes to ``"host"``.
    """

    def __init__(self, storage: CheckpointStorage | None = None, tier: TierName = "device") -> None:
        self.storage = CheckpointStorage() if storage is None else storage
        self.tier = tier
        self._configuration: Configuration | None = None

    @property
    def configuration(self) -> Configuration:
        """The plan in force.

        Raises:
            RunError: If there is none yet.
        """
        if self._configuration is None:
            raise RunError("the executor has no plan; call configure() first")
        return self._configuration

    def configure(
        self,
        graph: Graph | None = None,
        *,
        plan: Plan | Schedule | None = None,
        planner: AnyPlanner | None = None,
        block_size: int | None = None,
        budget: int | str | None = None,
        checkpoints: Collection[str] | None = None,
        host: HostLink | None = None,
    ) -> Configuration:
        """Takes a plan, or makes one, and validates it by replay.

        Args:
            graph: What is computed; not needed with a ``Plan``, which knows its graph.
            plan: A ready plan or schedule.
            planner: Makes the schedule, within ``budget``.
            block_size: Instead of a planner: keep what crosses blocks of this many forward nodes.
            budget: Most bytes that the schedule may hold: an integer, ``"8GiB"``, or a percentage of keep-everything.
            checkpoints: Names of values to put into storage; by default those held while others are recomputed, or none
                where the schedule itself offloads and fetches.
            host: The link that a ``Schedule`` with transfers was made for; a ``Plan`` knows its own.

        Raises:
            RunError: If the arguments do not name one plan for one graph, or the plan is illegal or over the budget.
            InfeasibleBudget: Where it is proved that no schedule meets the budget.
        """
        if sum(choice is not None for choice in (plan, planner, block_size)) != 1:
            raise RunError("configure() takes exactly one of plan, planner and block_size")
        graph = _graph_of(graph, plan)
        limit = _UNLIMITED if budget is None else parse_budget(budget, graph)
        problem = Problem(graph, limit, host=plan.problem.host if isinstance(plan, Plan) else host)
        check_budget(problem)
        schedule = _schedule_of(problem, plan, planner, block_size)
        verdict = validate_plan(graph, schedule, limit, host=problem.host)
        if verdict.usage is None or not verdict.valid:
            raise RunError(f"the plan for {graph.name!r} cannot be run: {'; '.join(verdict.faults)}")
        default = frozenset[str]() if schedule.transfers else find_checkpoints(graph, schedule)
        names = default if checkpoints is None else frozenset(checkpoints)
        if names and schedule.transfers:
            raise RunError("the plan itself moves values to the host and back; leave out checkpoints")
        for name in sorted(names):
            if name not in graph.producer or graph.values[name].resident:
                raise RunError(f"value {name!r} cannot be a checkpoint; name values that nodes make and that can go")
        self._configuration = Configuration(graph, schedule, verdict.usage, names, problem.host)
        return self._configuration

    def run(self, callbacks: ExecutionCallbacks, loss: Content = None) -> Execution:
        """Executes the plan.

        Args:
            callbacks: Run nodes.
            loss: Handed on to ``callbacks.inputs``.

        Raises:
            RunError: If there is no plan, or callbacks do not give the values that they should.
            StorageError: If a checkpoint cannot be stored or read; all others are dropped then.
        """
        return _Run(self.configuration, callbacks, self.storage, self.tier).execute(loss)

    def backward(
        self, loss: Content, autograd_backward: Callable[[Any], None], callbacks: ExecutionCallbacks | None = None
    ) -> Execution:
        """Executes the plan; without callbacks, runs the framework's own backward and warns that no plan was run.

        Args:
            loss: What gradients are taken of.
            autograd_backward: The framework's own backward, such as ``torch.Tensor.backward``.
            callbacks: Run nodes.
        """
        if callbacks is not None:
            return self.run(callbacks, loss)
        warnings.warn(
            "no callbacks were given, so no plan is run: the framework's own backward keeps what it likes",
            FallbackWarning,
            stacklevel=2,
        )
        autograd_backward(loss)
        return Execution({}, None)


class _Run:
    """One execution of a configured plan."""

    def __init__(
        self, configuration: Configuration, callbacks: ExecutionCallbacks, storage: CheckpointStorage, tier: TierName
    ) -> None:
        self.plan = configuration
        self.graph = configuration.graph
        self.callbacks = callbacks
        self.activations = ActivationRegistry()
        self.checkpoints = CheckpointRegistry(storage, tier)
        self.elsewhere = configuration.checkpoints if tier != "device" else frozenset()
        self.copies = CheckpointRegistry(storage, "host" if tier == "device" else tier)
        self.ends = copy_ends(configuration.schedule)
        self.profiler = Profiler()
        self.ran: set[str] = set()
        # Copies that are under way: out, and back with what waits for it and whether the copy goes then.
        self.leaving: set[str] = set()
        self.arriving: dict[str, tuple[Callable[[], Content], bool]] = {}

    def execute(self, loss: Content) -> Execution:
        given = self.callbacks.inputs(loss)
        for value in self.graph.inputs:
            if value.name not in given:
                raise RunError(f"callbacks.inputs() gives no {value.name!r}; give every input of {self.graph.name!r}")
            self.activations.add(value, given[value.name])
        try:
            for step, action in enumerate(self.plan.schedule.actions):
                match action:
                    case Compute(name):
                        self._compute(self.graph.node[name], step)
                    case Free(name):
                        self._free(name)
                    case Offload(name) | Fetch(name):
                        self._move(name, step, out=isinstance(action, Offload))
                self.profiler.sample(self.activations.held, self.stored)
        finally:
            self.checkpoints.clear()
            self.copies.clear()
        try:
            self.checkpoints.storage.flush()
        except StorageError as error:
            # What could not be stored was read from memory instead: the results are whole, the memory was not saved.
            warnings.warn(str(error), StorageWarning, stacklevel=4)
        results = {name: self.activations.get(name) for name in self.graph.producer if name in self.activations}
        return Execution(results, self.profiler.profile(self.graph.cost_unit))

    @property
    def stored(self) -> int:
        """Bytes in storage; copies count until their last fetch begins, as in a replay."""
        going = sum(self.graph.values[name].bytes for name, (_, last) in self.arriving.items() if last)
        return self.checkpoints.held + self.copies.held - going

    def _compute(self, node: Node, step: int) -> None:
        again = node.name in self.ran
        inputs = {name: self._content(name) for name in node.inputs}
        fetched = sum(self.graph.values[name].bytes for name in node.inputs if name in self.checkpoints)
        fresh = sum(value.bytes for value in node.outputs)
        self.profiler.sample(self.activations.held + fetched + fresh + node.workspace, self.stored)
        with self.profiler.event(node.name, "recompute" if again else "compute", node.cost):
            outputs = self.callbacks.compute(node, inputs, again=again)
        self.ran.add(node.name)
        for value in node.outputs:
            if value.name not in outputs:
                raise RunError(f"callbacks.compute() gives no {value.name!r} for node {node.name!r}; give all outputs")
            if value.name in self.elsewhere:
                with self.profiler.event(value.name, "store"):
                    self.checkpoints.add(value, outputs[value.name], step)
                self.callbacks.stored(value.name)
            elif not (value.resident and value.name in self.activations):
                # Of a resident value the first instance stays.
                self._settle(value.name)
                self.activations.add(value, outputs[value.name])

    def _move(self, name: str, step: int, *, out: bool) -> None:
        value = self.graph.values[name]
        if out:
            if self.plan.host is not None and self.plan.host.capacity is not None:
                # Only then is what is fetched for the last time gone.
                for other in [other for other, (_, last) in self.arriving.items() if last]:
                    self._settle(other)
            content = self._content(name)
            with self.profiler.event(name, "store"):
                self.copies.add(value, content, step)
                self.leaving.add(name)
                if not self.plan.overlap:
                    # The plan frees the value next: until the copy is there, it would not be gone.
                    self.copies.storage.flush()
            self.profiler.sample(self.activations.held, self.stored)
        elif self.plan.overlap:
            self.activations.add(value, None)
            self.arriving[name] = self.copies.begin(name), step in self.ends
            return
        else:
            with self.profiler.event(name, "fetch"):
                self.activations.add(value, self.copies.get(name))
        if step in self.ends:
            self.copies.drop(name)

    def _settle(self, name: str) -> None:
        """Waits for the copies of a value that are under way."""
        if name in self.arriving:
            wait, last = self.arriving.pop(name)
            with self.profiler.event(name, "fetch"):
                self.activations.add(self.graph.values[name], wait())
            if last:
                self.copies.drop(name)
        if name in self.leaving:
            self.leaving.discard(name)
            if name in self.copies:
                with self.profiler.event(name, "store"):
                    self.copies.storage.wait(name)

    def _content(self, name: str) -> Content:
        if name in self.arriving:
            self._settle(name)
        if name in self.activations:
            return self.activations.get(name)
        with self.profiler.event(name, "fetch"):
            return self.checkpoints.get(name)

    def _free(self, name: str) -> None:
        self._settle(name)
        (self.checkpoints if name in self.checkpoints else self.activations).drop(name)
        self.callbacks.free(name)


def _graph_of(graph: Graph | None, plan: Plan | Schedule | None) -> Graph:
    if isinstance(plan, Plan):
        if graph is not None and graph.fingerprint != plan.graph.fingerprint:
            raise RunError(f"the plan was made for another graph than {graph.name!r}; plan this one")
        return plan.graph
    if graph is None:
        raise RunError("configure() got no graph; give the graph that is to be computed")
    return graph


def _schedule_of(
    problem: Problem, plan: Plan | Schedule | None, planner: AnyPlanner | None, block_size: int | None
) -> Schedule:
    if isinstance(plan, Schedule):
        return plan
    if block_size is not None:
        return block_schedule(problem.graph, block_size)
    # Planners only recompute; a host is for schedules that were made for one.
    plain = replace(problem, host=None)
    solution = plan if planner is None else ask(planner, plain, DEFAULT_LIMITS, DEFAULT_CONTROL)
    assert solution is not None
    if solution.status is Status.INFEASIBLE:
        raise explain_infeasible(plain, solution)
    if solution.schedule is None:
        raise RunError(
            f"planner {solution.planner!r} gave no schedule for {problem.graph.name!r}; {solution.status.remedy}"
        )
    return solution.schedule
