"""What captures, plans and runs the training steps of one module: lowering, emission, and the plans in force."""

import hashlib
import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Final

import torch
from torch import nn

from hcp.graph.errors import HcpError
from hcp.graph.ir import Graph
from hcp.integrations.planning import Found, carried_over, find_plan, judged, plan_step, say
from hcp.integrations.torch.boundary import Boundary
from hcp.integrations.torch.calibration import Measurements
from hcp.integrations.torch.capture import Joint, Split, Traced
from hcp.integrations.torch.concrete import Sizes
from hcp.integrations.torch.cost import Cost, costs, device_of
from hcp.integrations.torch.emit import emit
from hcp.integrations.torch.errors import BudgetWarning
from hcp.integrations.torch.family import REMEMBERED
from hcp.integrations.torch.gradients import check_gradients
from hcp.integrations.torch.in_backward import hooked, settle, take_in_backward, workspace_of
from hcp.integrations.torch.internals import tree_leaves
from hcp.integrations.torch.lower import BOUNDARY, LOSS, Lowered, lower
from hcp.integrations.torch.plans import TorchPlan
from hcp.integrations.torch.prepare import prepare
from hcp.integrations.torch.probe import footprints_by_rule, probe
from hcp.integrations.torch.ranks import once
from hcp.integrations.torch.request import TorchRequest
from hcp.integrations.torch.total import Beside
from hcp.planning.plan import Plan
from hcp.planning.problem import Problem
from hcp.plans.cache import CacheOption, folder_of, identity_of
from hcp.schedule.actions import Compute, Schedule
from hcp.schedule.host import HostLink
from hcp.schedule.replay import replay

# Where a plan comes from that serves another shape than it was made for.
CARRIED: Final = "carried over"


@dataclass(eq=False)
class TorchExecutor:
    """Plans each variant (shapes, mode) of a module's training step once, and emits the code that runs it.

    Attributes:
        name: Of the module's class, for people.
        request: How to plan.
        plans: The plans in force, in the order in which calls asked for them.
        called_with: Arguments of the call at hand, while there is one.
        allowed: Most bytes that a variant so far may take.
        length: Of the sequences in the first call, where the longest was declared.
        eager_bytes: What the unplanned step takes, where the budget is a percentage of that.
        beside: What there is beside a step, where the budget is for all the memory.
        boundaries: What was seen between forward and backward, with the bytes of the outputs, by the number of outputs.
        taken: Names of the parameters whose hooks take their gradients in the backward.
        longest: The step with the longest sequences that were declared, until it is planned with what was seen.
    """

    name: str
    request: TorchRequest
    plans: list[TorchPlan] = field(default_factory=list)
    called_with: object = None
    allowed: int = 0
    length: int | None = None
    eager_bytes: int | None = None
    boundaries: dict[int, tuple[Boundary, int]] = field(default_factory=dict)
    beside: Beside | None = None
    longest: "PlannedStep | None" = None
    taken: frozenset[str] = frozenset()

    def look_at(self, module: nn.Module) -> None:
        """Takes note of what there is of a module beside its steps, and of hooks that take gradients, as it is asked.

        Raises:
            HcpError: If nobody knows how much memory there is for a budget for all of it, or gradients are reduced over
                processes before they may be taken.
        """
        if self.request.optimizer_in_backward and not self.plans:
            self.taken = hooked(module)
        if self.request.total is None or self.beside is not None:
            return
        self.beside = beside = self.request.total.beside(module)
        if beside.update > beside.whole and not self.request.optimizer_in_backward:
            warnings.warn(
                f"{self.name} is estimated to take {beside.update:,} bytes while {beside.optimizer.name} steps, over "
                f"the total of {beside.whole:,}; an optimizer with fused=True, or foreach=False, takes less at a time",
                BudgetWarning,
                stacklevel=4,
            )

    @property
    def asked(self) -> TorchRequest:
        """The request, with what a budget for all the memory leaves for the call at hand.

        Raises:
            TorchError: If that is nothing.
        """
        if self.beside is None:
            return self.request
        return replace(self.request, budget=self.beside.left(self.called_with), total=None)

    def take(self, plan: TorchPlan) -> None:
        """Puts a plan in force."""
        self.plans.append(plan)
        carried = [each for each in self.plans if each.source == CARRIED]
        if len(carried) > REMEMBERED:
            self.plans.remove(carried[0])
        self.allowed = max(self.allowed, plan.budget_bytes)

    def note(self, traced: Traced) -> None:
        """Says what the plan leaves aside in a module."""
        if traced.checkpointed:
            say(
                self.request,
                f"{self.name} calls torch.utils.checkpoint, which is left aside: the plan decides what is recomputed",
            )

    def _problem(self, graph: Graph, link: HostLink | None, before: int | None = None) -> Problem:
        return self.asked.problem(graph, link, self.eager_bytes, self.allowed if before is None else before)

    def _once(self, graph: Graph, link: HostLink | None, inputs: str, again: str) -> Found:
        """Plans here, or takes what another process of the program planned for the same step."""
        whole, before = self.eager_bytes, self.allowed
        if self.request.plan is not None:
            found = plan_step(graph, self.asked, link, whole=whole, before=before, inputs=inputs, again=again)
            given = settle(found.plan.problem, lambda _: found.plan)
            if given.schedule is None:
                raise self.request.errors.misfit(
                    f"the plan given for {self.name} has a parameter take its gradient before it is read for the last "
                    f"time, and more than {given.problem.budget:,} bytes where it waits; give a budget, or another plan"
                )
            return replace(found, plan=given)
        problem = self._problem(graph, link)

        def plan() -> Found:
            return self._settled(problem, inputs, again)

        found = once(_key(problem, self.request), plan, self.request.time_limit)
        if found.plan.graph.fingerprint == graph.fingerprint:
            return found
        # Where costs are measured they differ from process to process.
        assert found.plan.schedule is not None
        return Found(judged(problem, found.plan.schedule, found.plan.planner), found.source)

    def _settled(self, problem: Problem, inputs: str, again: str, incumbent: Schedule | None = None) -> Found:
        """A plan in which parameters take their gradients after their last reader."""
        found: list[Found] = []

        def search(problem: Problem) -> Plan:
            found.append(find_plan(problem, self.asked, inputs=inputs, again=again, incumbent=incumbent))
            return found[-1].plan

        plan = settle(problem, search)
        if plan.schedule is None:
            raise self.request.errors.nothing(
                f"no plan was found for {self.name} within {problem.budget:,} bytes in which parameters that take "
                "their gradients in the backward do so after they were read; raise the budget"
            )
        return Found(plan, found[0].source)

    def _say_carried(self, inputs: str) -> None:
        if all(plan.source != CARRIED for plan in self.plans):
            say(self.request, f"took the plan for {self.name} over to {inputs}, and does so for others without a word")

    def inputs(self) -> str:
        """Shapes and types of the call at hand, for people."""
        return ", ".join(_described(item) for item in tree_leaves(self.called_with) if item is not None)

    def step(self, joint: Joint) -> "PlannedStep":
        """A captured training step, planned; the plan is in force from now on.

        Raises:
            HcpError: If it cannot be planned, or no plan meets the budget.
        """
        self.note(joint.traced)
        self._renew_longest()
        plain = self.lowered(joint)
        boundary = self.expected(plain)
        lowered = plain if boundary == Boundary() else plain.between(boundary)
        plan = self.plan_graph(lowered.graph, device_of(joint.primals))
        self.take(plan if lowered is plain else replace(plan, between=boundary))
        return PlannedStep(self, plain, lowered, self.plans[-1], boundary)

    def lowered(self, joint: Joint) -> Lowered:
        """The graph of a captured step; see ``lower_joint``."""
        return lower_joint(joint, self.request.cost, self.name, self.request.cache, taken=self.taken)

    def expected(self, plain: Lowered) -> Boundary:
        """What happens between the halves of a step, going by what was seen of others."""
        seen, outputs = self.boundaries.get(len(plain.program.joint.outputs), (Boundary(), 1))
        return seen.scaled(Fraction(plain.output_bytes, max(1, outputs)))

    def hold(self, outputs: int, boundary: Boundary) -> None:
        """Plans steps with so many outputs for a program that holds them, from now on."""
        known = self.boundaries.get(outputs)
        if known is not None:
            self.boundaries[outputs] = boundary, known[1]

    def renew(self, step: "PlannedStep", boundary: Boundary) -> bool:
        """Plans a step again if what happens between its halves makes a difference; whether another plan is in force.

        A plan that recomputes nothing and keeps the budget with it stays, and one that was carried over is carried over
        again. Another may not be the best any more, and its bounds are of another problem. Where no plan keeps the
        budget, that is a warning: it is kept by the module, but not with the loss.
        """
        step.tell(boundary)
        self._renew_longest()
        return boundary != Boundary() and self._plan_again(step, boundary)

    def _renew_longest(self) -> None:
        """Plans for the longest sequences again, once it was seen what the program does: others take that plan over."""
        step = self.longest
        if step is not None and len(step.plain.program.joint.outputs) in self.boundaries:
            self.longest = None
            if step.told != Boundary():
                self._plan_again(step, step.told)

    def _plan_again(self, step: "PlannedStep", boundary: Boundary) -> bool:
        old, lowered = step.plan, step.plain.between(boundary)
        problem = self._problem(lowered.graph, old.plan.problem.host, old.budget_bytes)
        schedule = _with_loss(old.schedule, lowered.graph)
        peak = replay(lowered.graph, schedule, problem.host).peak
        known = judged(problem, schedule, old.plan.planner) if peak <= problem.budget else None
        if known is not None and old.overhead == 0:
            found: Found | None = Found(known, old.source)
        else:
            found = self._carried_again(problem, known, old) or self._searched_again(step, problem, known, peak)
        if found is None:
            return False
        step.lowered, step.between = lowered, boundary
        step.plan = replace(old, plan=found.plan, between=boundary, source=found.source)
        self.plans[:] = [step.plan if plan is old else plan for plan in self.plans]
        self.allowed = max(self.allowed, problem.budget)
        return True

    def _carried_again(self, problem: Problem, known: Plan | None, old: TorchPlan) -> Found | None:
        """The cheapest of the plans in force, and of the one so far, for a step that another's plan served."""
        if old.source != CARRIED:
            return None
        plans = [*filter(None, [known]), *(plan.plan for plan in self.plans if plan.source != CARRIED)]
        best = carried_over(problem, plans)
        return None if best is None else Found(judged(problem, best, CARRIED), CARRIED)

    def _searched_again(self, step: "PlannedStep", problem: Problem, known: Plan | None, peak: int) -> Found | None:
        """A new plan for a step; a warning where there is none."""
        try:
            return self._search(problem, None if known is None else known.schedule, step.plan.inputs)
        except HcpError as error:
            warnings.warn(
                f"{self.name} takes {peak:,} bytes with what the program does between its forward and its "
                f"backward, over the budget of {problem.budget:,}, and no plan was found that keeps it ({error}); "
                "lower what the loss takes, or raise the budget",
                BudgetWarning,
                stacklevel=2,
            )
            return None

    def _search(self, problem: Problem, incumbent: Schedule | None, inputs: str) -> Found:
        again = " again, with what happens between its forward and its backward"

        def search() -> Found:
            return self._settled(problem, inputs, again, incumbent)

        return once(_key(problem, self.request), search, self.request.time_limit)

    def ahead(self, sizes: Sizes, at: Callable[[Sizes], Joint]) -> None:
        """Plans for the longest sequences that were declared, before any shorter ones run.

        Args:
            sizes: Those of the first call.
            at: The joint graph for given sizes.

        Raises:
            HcpError: If it cannot be planned, or no plan meets the budget.
        """
        longest = self.request.max_length
        if longest is None or self.length is None or self.plans or longest <= self.length:
            return
        joint = at({symbol: longest if size == self.length else size for symbol, size in sizes.items()})
        plain = self.lowered(joint)
        self.take(self.plan_graph(plain.graph, device_of(joint.primals), f"sequences of {longest}"))
        self.longest = PlannedStep(self, plain, plain, self.plans[-1])

    def plan_graph(self, graph: Graph, device: str, inputs: str | None = None) -> TorchPlan:
        """A plan for a captured step: that of other shapes where it serves; else see ``plan_step``.

        Args:
            graph: The step.
            device: Where it runs: ``"cpu"`` or ``"cuda"``.
            inputs: What it is planned for, for people; the shapes and types of the call at hand where not given.

        Raises:
            HcpError: If the plan does not fit the graph, or no plan meets the budget.
            KeyboardInterrupt: If the user stopped the planner.
        """
        inputs, variant = self.inputs() if inputs is None else inputs, len(self.plans) + 1
        again = f" again, as this is variant {variant} of its shapes and modes" if self.plans else ""
        link = self.request.link(graph, device)
        if self.plans and link is None and self.request.plan is None and self.request.dynamic is None:
            problem = self._problem(graph, None)
            schedule = carried_over(problem, [plan.plan for plan in self.plans if plan.source != CARRIED])
            if schedule is not None:
                self._say_carried(inputs)
                plan = judged(problem, schedule, CARRIED)
                return TorchPlan(plan, inputs, CARRIED, cost=self.request.cost, eager_bytes=self.eager_bytes)
        found = self._once(graph, link, inputs, again)
        return TorchPlan(found.plan, inputs, found.source, cost=self.request.cost, eager_bytes=self.eager_bytes)


@dataclass(eq=False)
class PlannedStep:
    """A step with a plan in force.

    Attributes:
        executor: What planned it.
        plain: The step as captured.
        lowered: The step as planned, perhaps with what was seen between its halves.
        plan: Its plan.
        between: What was seen.
    """

    executor: TorchExecutor
    plain: Lowered
    lowered: Lowered
    plan: TorchPlan
    between: Boundary = field(default_factory=Boundary)

    @property
    def halves(self) -> Split:
        """What runs."""
        return emit(self.lowered, self.plan.schedule)

    @property
    def tangent_bytes(self) -> int | None:
        """Bytes of the gradients that the backward is given; None where the step need not be watched.

        Steps with other sizes are planned with what was seen at the first. Plans that were given are for the step as it
        was captured. On a GPU the profiler sees no allocations. Where ``torch.compile`` calls the step, nobody ends a
        watch in time.
        """
        joint, executor = self.plain.program.joint, self.executor
        known = len(joint.outputs) in executor.boundaries
        given, guarded = executor.request.plan is not None, executor.called_with is not None
        if known or given or not guarded or device_of(joint.primals) != "cpu":
            return None
        return self.plain.tangent_bytes

    @property
    def told(self) -> Boundary:
        """What was seen of a step with other sizes, as it is expected with these."""
        return self.executor.expected(self.plain)

    def tell(self, boundary: Boundary) -> None:
        """Notes what was seen, for steps with other sizes."""
        self.executor.boundaries[len(self.plain.program.joint.outputs)] = boundary, self.plain.output_bytes

    def renew(self, boundary: Boundary) -> Split | None:
        """What runs from now on, given what was seen between forward and backward; None for the same as before."""
        return self.halves if self.executor.renew(self, boundary) else None


def _with_loss(schedule: Schedule, graph: Graph) -> Schedule:
    """A schedule of a step for the same with other things known to happen between its halves."""
    steps = [step for step in schedule.steps if step != Compute(LOSS)]
    if LOSS in graph.node:
        steps.insert(steps.index(Compute(BOUNDARY)), Compute(LOSS))
    return Schedule.from_steps(graph, steps)


def _key(problem: Problem, request: TorchRequest) -> str:
    """What tells a step with what is asked for it from others, costs apart."""
    graph, limits = problem.graph, request.limits
    nodes = [(node.name, node.op, node.inputs, [(v.name, v.bytes) for v in node.outputs]) for node in graph.nodes]
    asked = [problem.budget, identity_of(request.solver), limits.time_limit, limits.seed, str(problem.host)]
    return hashlib.sha256(json.dumps([nodes, asked]).encode()).hexdigest()[:32]


def lower_joint(
    joint: Joint,
    cost: Cost,
    name: str,
    cache: CacheOption,
    *,
    run: bool = True,
    taken: frozenset[str] = frozenset(),
) -> Lowered:
    """The graph of a captured step.

    Args:
        joint: The step.
        cost: What operations cost; measured costs are kept in the cache.
        name: Of the graph.
        cache: Where.
        run: Whether operations are run by themselves to see what they allocate; else rules say it, which know of no
            workspace.
        taken: Names of the parameters that take their gradients in the backward.

    Raises:
        CaptureError: If the step lacks gradients, or holds an operation that cannot be planned.
    """
    check_gradients(joint)
    program = prepare(joint)
    taking = take_in_backward(program, taken)
    if run:
        times = Measurements.of(device_of(joint.primals), "times", folder_of(cache)) if cost == "measured" else None
        footprints = probe(program, times)
        if times is not None:
            times.save()
    else:
        footprints = footprints_by_rule(program)
    for node in taking:
        footprints[node] = replace(footprints[node], workspace=workspace_of(node))
    views = {node for node, footprint in footprints.items() if not footprint.sizes} - program.effects
    charged = {node: footprint for node, footprint in footprints.items() if node not in views}
    return lower(program, footprints, costs(cost, charged, cache), views, name)


def _described(item: object) -> str:
    if not isinstance(item, torch.Tensor):
        return repr(item)
    return f"{str(item.dtype).removeprefix('torch.')}{list(item.shape)}"
