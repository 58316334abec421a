"""What captures, plans and runs the training steps of one module: lowering, emission, and the plans in force."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import torch

from hcp.graph.ir import Graph
from hcp.integrations.planning import Found, carried_over, judged, plan_step, say
from hcp.integrations.torch.calibration import Measurements
from hcp.integrations.torch.capture import Joint, Split, Traced
from hcp.integrations.torch.cost import Cost, costs, device_of
from hcp.integrations.torch.emit import emit
from hcp.integrations.torch.family import Sizes
from hcp.integrations.torch.gradients import check_gradients
from hcp.integrations.torch.internals import tree_leaves
from hcp.integrations.torch.lower import Lowered, lower
from hcp.integrations.torch.plans import TorchPlan
from hcp.integrations.torch.prepare import prepare
from hcp.integrations.torch.probe import probe
from hcp.integrations.torch.ranks import once
from hcp.integrations.torch.request import TorchRequest
from hcp.planning.problem import Problem
from hcp.plans.cache import CacheOption, folder_of, identity_of
from hcp.schedule.host import HostLink

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
    """

    name: str
    request: TorchRequest
    plans: list[TorchPlan] = field(default_factory=list)
    called_with: object = None
    allowed: int = 0
    length: int | None = None

    def take(self, plan: TorchPlan) -> None:
        """Puts a plan in force."""
        self.plans.append(plan)
        self.allowed = max(self.allowed, plan.budget_bytes)

    def note(self, traced: Traced) -> None:
        """Says what the plan leaves aside in a module."""
        if traced.checkpointed:
            say(
                self.request,
                f"{self.name} calls torch.utils.checkpoint, which is left aside: the plan decides what is recomputed",
            )

    def _once(self, graph: Graph, link: HostLink | None, inputs: str, again: str) -> Found:
        """Plans here, or takes what another process of the program planned for the same step."""

        def plan() -> Found:
            return plan_step(graph, self.request, link, before=self.allowed, inputs=inputs, again=again)

        if self.request.plan is not None:
            return plan()
        problem = self.request.problem(graph, link, before=self.allowed)
        found = once(_key(problem, self.request), plan, self.request.time_limit)
        if found.plan.graph.fingerprint == graph.fingerprint:
            return found
        # Where costs are measured they differ from process to process.
        assert found.plan.schedule is not None
        return Found(judged(problem, found.plan.schedule, found.plan.planner), found.source)

    def _say_carried(self, inputs: str) -> None:
        if all(plan.source != CARRIED for plan in self.plans):
            say(self.request, f"took the plan for {self.name} over to {inputs}, and does so for others without a word")

    def inputs(self) -> str:
        """Shapes and types of the call at hand, for people."""
        return ", ".join(_described(item) for item in tree_leaves(self.called_with) if item is not None)

    def split(self, joint: Joint) -> Split:
        """The two halves of a captured training step, as planned.

        Raises:
            HcpError: If it cannot be planned, or no plan meets the budget.
        """
        self.note(joint.traced)
        lowered = lower_joint(joint, self.request.cost, self.name, self.request.cache)
        plan = self.plan_graph(lowered.graph, device_of(joint.primals))
        halves = emit(lowered, plan.schedule)
        self.take(plan)
        return halves

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
        graph = lower_joint(joint, self.request.cost, self.name, self.request.cache).graph
        self.take(self.plan_graph(graph, device_of(joint.primals), f"sequences of {longest}"))

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
            problem = self.request.problem(graph, None, before=self.allowed)
            schedule = carried_over(problem, [plan.plan for plan in self.plans if plan.source != CARRIED])
            if schedule is not None:
                self._say_carried(inputs)
                return TorchPlan(judged(problem, schedule, CARRIED), inputs, CARRIED, cost=self.request.cost)
        found = self._once(graph, link, inputs, again)
        return TorchPlan(found.plan, inputs, found.source, cost=self.request.cost)


def _key(problem: Problem, request: TorchRequest) -> str:
    """What tells a step with what is asked for it from others, costs apart."""
    graph, limits = problem.graph, request.limits
    nodes = [(node.name, node.op, node.inputs, [(v.name, v.bytes) for v in node.outputs]) for node in graph.nodes]
    asked = [problem.budget, identity_of(request.solver), limits.time_limit, limits.seed, str(problem.host)]
    return hashlib.sha256(json.dumps([nodes, asked]).encode()).hexdigest()[:32]


def lower_joint(joint: Joint, cost: Cost, name: str, cache: CacheOption) -> Lowered:
    """The graph of a captured step, with measured footprints; measured costs are kept in the cache.

    Raises:
        CaptureError: If the step lacks gradients, or holds an operation that cannot be planned.
    """
    check_gradients(joint)
    program = prepare(joint)
    times = Measurements.of(device_of(joint.primals), "times", folder_of(cache)) if cost == "measured" else None
    footprints = probe(program, times)
    if times is not None:
        times.save()
    views = {node for node, footprint in footprints.items() if not footprint.sizes} - program.effects
    charged = {node: footprint for node, footprint in footprints.items() if node not in views}
    return lower(program, footprints, costs(cost, charged, cache), views, name)


def _described(item: object) -> str:
    if not isinstance(item, torch.Tensor):
        return repr(item)
    return f"{str(item.dtype).removeprefix('torch.')}{list(item.shape)}"
