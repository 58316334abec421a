"""Gradients that an optimizer takes as soon as they are there, in the backward: they need not stay to its end.

That is what a parameter's ``register_post_accumulate_grad_hook`` is for. Autograd gets all gradients of a planned step
at once, when its backward is over, so the step calls the hooks itself. No reader of a parameter may run after its hook,
recomputations included: that is not part of a graph, so schedules are put right here.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import torch
from torch import fx, nn

from hcp.graph.errors import HcpError
from hcp.graph.ir import Graph, Node
from hcp.integrations.torch.capture import is_sharded
from hcp.integrations.torch.errors import ExecutionError
from hcp.integrations.torch.internals import accumulate_hooks, input_place, inside_ddp, storage_id
from hcp.integrations.torch.program import Program, tensor_bytes, tensors_of
from hcp.planning.plan import Plan, judge
from hcp.planning.problem import Problem
from hcp.planning.solution import Solution, Status
from hcp.schedule.actions import Compute, Schedule, Step
from hcp.schedule.replay import replay

# What a step of Adam takes for a while: in sizes of the parameter, a root and what is divided by it; in bytes, a few
# numbers.
_WORKSPACE: Final = 2
_NUMBERS: Final = 64

# How often a smaller budget is tried where schedules, once put right, take more.
_TRIES: Final = 4


def hooked(module: nn.Module) -> frozenset[str]:
    """Names of the parameters that have hooks which take their gradients.

    Raises:
        ExecutionError: If gradients are reduced over processes, which is done after the backward of a planned step.
    """
    if inside_ddp() or is_sharded(module):
        raise ExecutionError(
            f"{type(module).__name__} runs inside DistributedDataParallel or FSDP, which reduce gradients after the "
            "planned backward, when an optimizer in it has taken them already; give no optimizer_in_backward"
        )
    named = module.named_parameters(remove_duplicate=False)
    return frozenset(name for name, parameter in named if accumulate_hooks(parameter))


def take_gradient(parameter: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
    """Gives a parameter its gradient and calls its hooks, as autograd does; returns the parameter."""
    hooks = accumulate_hooks(parameter)
    if hooks:
        with torch.no_grad():
            parameter.grad = gradient if parameter.grad is None else parameter.grad.add_(gradient)
        for hook in hooks:
            hook(parameter)
    elif parameter.requires_grad:
        raise ExecutionError(
            f"a parameter of shape {tuple(parameter.shape)} had a hook that takes its gradient when its step was "
            "planned, and has none now; register it again by register_post_accumulate_grad_hook"
        )
    return parameter


def take_in_backward(program: Program, names: frozenset[str]) -> list[fx.Node]:
    """Has some parameters take their gradients in the backward of a program, and none returned for them.

    Args:
        program: Changed in place.
        names: Of the parameters, as ``Traced`` has them.

    Returns:
        The nodes that do so.
    """
    joint = program.joint
    (output,) = program.graph.find_nodes(op="output")
    returned, start = list(output.args[0]), len(joint.mutated)
    made: list[fx.Node] = []
    for position, primal in enumerate(joint.primals, start):
        place, gradient = input_place(primal), returned[position]
        if place is None or joint.traced.names[place] not in names or not isinstance(gradient, fx.Node):
            continue
        with program.graph.inserting_before(output):
            node = program.graph.call_function(take_gradient, (primal, gradient))
        node.meta["val"] = primal.meta["val"]
        program.effects.add(node)
        program.once.add(node)
        program.order(node, *_readers(primal, node))
        returned[position] = None
        made.append(node)
    output.args = (tuple(returned),)
    return made


def workspace_of(taking: fx.Node) -> int:
    """What the hook of a parameter may take for a while, in bytes."""
    return _WORKSPACE * tensor_bytes(taking) + _NUMBERS


def without_estimates(graph: Graph) -> Graph:
    """A graph in which hooks take nothing for a while: what they take is an estimate, and no part of a proof."""
    nodes = [replace(node, workspace=0) if node.op == take_gradient.__name__ else node for node in graph.nodes]
    return Graph(tuple(nodes), graph.inputs, name=graph.name, cost_unit=graph.cost_unit)


def _readers(primal: fx.Node, but: fx.Node) -> list[fx.Node]:
    """The operations that read a parameter, perhaps through views of it."""
    storage = storage_id(primal.meta["val"])
    found: dict[fx.Node, None] = {}
    ahead = [primal]
    while ahead:
        for user in ahead.pop().users:
            if user is but or user.op == "output" or user in found:
                continue
            if any(storage_id(tensor) == storage for tensor in tensors_of(user)):
                ahead.append(user)
            else:
                found[user] = None
    return list(found)


def settled(graph: Graph, schedule: Schedule) -> Schedule:
    """The same, but with each parameter taking its gradient after the last reader of it has run for the last time."""
    readers = {node.name: _awaited(graph, node) for node in graph.nodes if node.op == take_gradient.__name__}
    if not readers:
        return schedule
    last = {step.node: place for place, step in enumerate(schedule.steps) if isinstance(step, Compute)}
    first = {step.node: place for place, step in reversed([*enumerate(schedule.steps)]) if isinstance(step, Compute)}
    later: dict[int, list[Step]] = {}
    moved: set[int] = set()
    for name, its in readers.items():
        end = max((last[reader] for reader in its), default=-1)
        if end > first[name]:
            moved.add(first[name])
            later.setdefault(end, []).append(schedule.steps[first[name]])
    if not moved:
        return schedule
    steps: list[Step] = []
    for place, step in enumerate(schedule.steps):
        if place not in moved:
            steps.append(step)
        steps.extend(later.get(place, ()))
    return Schedule.from_steps(graph, steps)


def _awaited(graph: Graph, node: Node) -> set[str]:
    return {graph.producer[name] for name in node.inputs if graph.values[name].bytes == 0}


def settle(problem: Problem, search: Callable[[Problem], Plan]) -> Plan:
    """The plan of a search, put right; one for a smaller budget where that takes more than the problem's.

    Args:
        problem: What is asked for.
        search: Finds a plan for a problem.
    """
    first = plan = search(problem)
    asked = problem
    for _ in range(_TRIES):
        if plan.schedule is None:
            return plan
        schedule = settled(problem.graph, plan.schedule)
        excess = replay(problem.graph, schedule, problem.host).peak - problem.budget
        if excess <= 0 and plan is first and schedule is plan.schedule:
            return plan
        if excess <= 0:
            # Bounds for a smaller budget say nothing of this one.
            solution = Solution(schedule, Status.FEASIBLE, first.bounds, plan.planner, first.seconds)
            return judge(problem, solution)
        asked = replace(asked, budget=asked.budget - excess)
        try:
            plan = search(asked)
        except HcpError:
            # It speaks of a budget that nobody gave.
            break
    return replace(plan, schedule=None, usage=None, note="parameters take their gradients too late")
