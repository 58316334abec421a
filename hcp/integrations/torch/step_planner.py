"""What captures, plans and runs the training steps of one module: lowering, emission, and the plans in force."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Final

import torch
from torch import nn

from hcp.graph.errors import HcpError
from hcp.graph.ir import Graph
from hcp.integrations.planning import Found, carried_over, judged, say
from hcp.integrations.torch.boundary import Boundary
from hcp.integrations.torch.capture import Joint, Split, Traced
from hcp.integrations.torch.concrete import Sizes
from hcp.integrations.torch.cost import device_of
from hcp.integrations.torch.emit import emit
from hcp.integrations.torch.errors import BudgetWarning
from hcp.integrations.torch.family import REMEMBERED
from hcp.integrations.torch.in_backward import hooked
from hcp.integrations.torch.internals import tree_leaves
from hcp.integrations.torch.joint_graph import lower_joint
from hcp.integrations.torch.lower import BOUNDARY, LOSS, Lowered
from hcp.integrations.torch.plans import TorchPlan
from hcp.integrations.torch.request import TorchRequest
from hcp.integrations.torch.search import first_plan, given_plan, search
from hcp.integrations.torch.total import Beside
from hcp.planning.plan import Plan
from hcp.planning.problem import Problem
from hcp.schedule.actions import Compute, Schedule
from hcp.schedule.host import HostLink
from hcp.schedule.replay import replay

# Of outputs that are a loss and other numbers: with the loss inside, little happens between the halves of a step.
LOSS_BYTES: Final = 64
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
        waiting: Steps to be planned again once it was seen what the program does: those with a plan for the first call
            alone, or one taken over from it, and that with the longest sequences that were declared.
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
    waiting: "list[PlannedStep]" = field(default_factory=list)
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

    def _problem(self, graph: Graph, link: HostLink | None) -> Problem:
        return self.asked.problem(graph, link, self.eager_bytes, self.allowed)

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
        self.settle(unseen=False)
        plain = self.lowered(joint)
        boundary = self.expected(plain)
        lowered = plain if boundary == Boundary() else plain.between(boundary)
        step = self._planned(plain, lowered, device_of(joint.primals), self.inputs())
        step.plan = replace(step.plan, between=_seen(boundary))
        step.between = step.heard = boundary
        if step.provisional:
            self.waiting.append(step)
        self.take(step.plan)
        return step

    def _planned(self, plain: Lowered, lowered: Lowered, device: str, inputs: str) -> "PlannedStep":
        """A step with its plan, or with one for the first call alone where that shows what to plan with."""
        if self.watches(plain) and not self.plans and plain.output_bytes > LOSS_BYTES:
            graph, asked, link = lowered.graph, self.asked, self.request.link(lowered.graph, device)
            found = first_plan(self._problem(graph, link), asked, inputs)
            if found is not None:
                return PlannedStep(self, plain, lowered, self._in_words(found, inputs), asked, provisional=True)
        plan = self.plan_graph(lowered.graph, device, inputs)
        provisional = plan.source == CARRIED and any(step.provisional for step in self.waiting)
        return PlannedStep(self, plain, lowered, plan, self.asked, provisional=provisional, searched=True)

    def watches(self, plain: Lowered) -> bool:
        """Whether what happens between the halves of a step is to be seen.

        Steps with other sizes are planned with what was seen at the first. Plans that were given are for the step as it
        was captured. On a GPU the profiler sees no allocations. Where ``torch.compile`` calls the step, nobody ends a
        watch in time.
        """
        joint = plain.program.joint
        known = len(joint.outputs) in self.boundaries
        given, guarded = self.request.plan is not None, self.called_with is not None
        return not (known or given or not guarded or device_of(joint.primals) != "cpu")

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

    def renew(self, step: "PlannedStep", seen: Boundary | None) -> None:
        """Plans a step again if what happens between its halves makes a difference, or its plan was a first one.

        A plan that recomputes nothing and keeps the budget with it stays, and one that was carried over is carried over
        again. Another may not be the best any more, and its bounds are of another problem. Where no plan keeps the
        budget, that is a warning: it is kept by the module, but not with the loss.

        Args:
            step: It.
            seen: What was seen since it was planned, if anything.
        """
        if seen is not None:
            step.tell(seen)
        # Nothing is seen of a step that is called again before its backward, or under another profiler.
        self.settle(unseen=step.provisional)
        if seen is not None and seen != step.heard:
            self._plan_again(step, seen)

    def settle(self, *, unseen: bool) -> None:
        """Plans the steps that wait for what the program does between forward and backward.

        Args:
            unseen: Whether steps that run on a first plan do not wait any longer where nothing was seen yet.
        """
        for step in tuple(self.waiting):
            known = len(step.plain.program.joint.outputs) in self.boundaries
            if known or (unseen and step.provisional):
                if step.provisional or step.told != step.heard:
                    self._plan_again(step, step.told)
                self.waiting.remove(step)

    def _plan_again(self, step: "PlannedStep", boundary: Boundary) -> None:
        old, lowered = step.plan, step.plain.between(boundary)
        problem = step.asked.problem(lowered.graph, old.plan.problem.host, self.eager_bytes, old.budget_bytes)
        schedule = _with_loss(old.schedule, lowered.graph)
        peak = replay(lowered.graph, schedule, problem.host).peak
        known = judged(problem, schedule, old.plan.planner) if peak <= problem.budget else None
        if known is not None and old.overhead == 0:
            found: Found | None = Found(known, old.source)
        else:
            found = self._carried_again(problem, known, old) or self._searched_again(step, problem, known, peak)
        if found is not None:
            step.lowered, step.between = lowered, boundary
            step.plan = replace(old, plan=found.plan, between=_seen(boundary), source=found.source)
            self.plans[:] = [step.plan if plan is old else plan for plan in self.plans]
            self.allowed = max(self.allowed, problem.budget)
        elif step.provisional:
            self._plan_again(step, step.between)
        step.provisional, step.heard = False, boundary

    def _carried_again(self, problem: Problem, known: Plan | None, old: TorchPlan) -> Found | None:
        """The cheapest of the plans in force, and of the one so far, for a step that another's plan served."""
        if old.source != CARRIED:
            return None
        plans = [*filter(None, [known]), *(plan.plan for plan in self.plans if plan.source != CARRIED)]
        best = carried_over(problem, plans)
        return None if best is None else Found(judged(problem, best, CARRIED), CARRIED)

    def _searched_again(self, step: "PlannedStep", problem: Problem, known: Plan | None, peak: int) -> Found | None:
        """A new plan for a step; a warning where there is none."""
        again = " again" if step.searched else ""
        between = ", with what happens between its forward and its backward" if LOSS in problem.graph.node else ""
        incumbent = None if known is None else known.schedule
        try:
            found = search(problem, step.asked, inputs=step.plan.inputs, again=again + between, incumbent=incumbent)
        except HcpError as error:
            warnings.warn(
                f"{self.name} takes {peak:,} bytes with what the program does between its forward and its "
                f"backward, over the budget of {problem.budget:,}, and no plan was found that keeps it ({error}); "
                "lower what the loss takes, or raise the budget",
                BudgetWarning,
                stacklevel=2,
            )
            return None
        step.searched = True
        return found

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
        step = self._planned(plain, plain, device_of(joint.primals), f"sequences of {longest}")
        self.waiting.append(step)
        self.take(step.plan)

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
                return self._in_words(Found(judged(problem, schedule, CARRIED), CARRIED), inputs)
        if self.request.plan is not None:
            return self._in_words(given_plan(graph, self.asked, link, self.eager_bytes, self.allowed), inputs)
        return self._in_words(search(self._problem(graph, link), self.asked, inputs=inputs, again=again), inputs)

    def _in_words(self, found: Found, inputs: str) -> TorchPlan:
        return TorchPlan(found.plan, inputs, found.source, cost=self.request.cost, eager_bytes=self.eager_bytes)


@dataclass(eq=False)
class PlannedStep:
    """A step with a plan in force.

    Attributes:
        executor: What planned it.
        plain: The step as captured.
        lowered: The step as planned, perhaps with what was seen between its halves.
        plan: Its plan.
        asked: How it is planned, with the budget for this call.
        provisional: Whether its plan is for the first call alone, or was taken over from such a one.
        searched: Whether the planner that was asked for has planned it.
        between: What is planned with.
        heard: What was last seen; no plan may keep the budget with it.
    """

    executor: TorchExecutor
    plain: Lowered
    lowered: Lowered
    plan: TorchPlan
    asked: TorchRequest
    provisional: bool = False
    searched: bool = False
    between: Boundary = field(default_factory=Boundary)
    heard: Boundary = field(default_factory=Boundary)

    def __post_init__(self) -> None:
        self._running = self.plan.schedule

    @property
    def halves(self) -> Split:
        """What runs."""
        return emit(self.lowered, self.plan.schedule, self.plan.plan.problem.host)

    @property
    def tangent_bytes(self) -> int | None:
        """Bytes of the gradients that the backward is given; None where the step need not be watched."""
        return self.plain.tangent_bytes if self.executor.watches(self.plain) else None

    @property
    def told(self) -> Boundary:
        """What was seen of a step with other sizes, as it is expected with these."""
        return self.executor.expected(self.plain)

    def tell(self, boundary: Boundary) -> None:
        """Notes what was seen, for steps with other sizes."""
        self.executor.boundaries[len(self.plain.program.joint.outputs)] = boundary, self.plain.output_bytes

    def renew(self, seen: Boundary | None) -> Split | None:
        """What runs from now on, given what was newly seen between the halves; None for the same as before."""
        self.executor.renew(self, seen)
        if self.plan.schedule is self._running:
            return None
        self._running = self.plan.schedule
        return self.halves


def _seen(boundary: Boundary) -> Boundary | None:
    return None if boundary == Boundary() else boundary


def _with_loss(schedule: Schedule, graph: Graph) -> Schedule:
    """A schedule of a step for the same with other things known to happen between its halves."""
    steps = [step for step in schedule.steps if step != Compute(LOSS)]
    if LOSS in graph.node:
        steps.insert(steps.index(Compute(BOUNDARY)), Compute(LOSS))
    return Schedule.from_steps(graph, steps)


def _described(item: object) -> str:
    if not isinstance(item, torch.Tensor):
        return repr(item)
    return f"{str(item.dtype).removeprefix('torch.')}{list(item.shape)}"
