"""The largest batch that a budget allows, kept whole and planned."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import torch
from torch import nn

from hcp.graph.ir import Graph
from hcp.integrations.planning import carried_over, heed, judged
from hcp.integrations.torch.checkpoint import capture_graph
from hcp.integrations.torch.errors import TorchError
from hcp.integrations.torch.function import module_of
from hcp.integrations.torch.internals import tree_leaves
from hcp.integrations.torch.plans import TorchPlan
from hcp.integrations.torch.request import Host, TorchRequest
from hcp.planners import solve_problem
from hcp.planning.plan import Plan
from hcp.planning.planner import Planner
from hcp.planning.problem import Control, InfeasibleBudget, Problem
from hcp.schedule.actions import keep_everything
from hcp.schedule.budget import is_share, parse_budget
from hcp.schedule.replay import replay

MOST: Final = 2**20

# Positional arguments, or keyword arguments.
Inputs = tuple[Any, ...] | list[Any] | Mapping[str, Any]


@dataclass(frozen=True)
class MaxBatch:
    """Largest batches within a budget.

    Attributes:
        budget_bytes: Most bytes of a forward and backward.
        keep_everything: The largest batch whose step fits without recomputation; 0 for none.
        planned: The largest for which a plan was found; 0 for none.
        plan: The plan for it, or None.
    """

    budget_bytes: int
    keep_everything: int
    planned: int
    plan: TorchPlan | None

    def __str__(self) -> str:
        extra = "" if self.plan is None else f" at {self.plan.overhead:.1%} more work"
        return (
            f"within {self.budget_bytes:,} bytes: batch {self.keep_everything} as it is, {self.planned} planned{extra}"
        )


def max_batch(
    module: Callable[..., Any],
    make_inputs: Callable[[int], Inputs],
    budget: int | str,
    *,
    solver: str | Planner = "auto",
    time_limit: float = 20.0,
    most: int = MOST,
    seed: int = 0,
    host: Host = None,
) -> MaxBatch:
    """Searches for the largest batch that fits, by captures of the step at a few batch sizes; nothing is trained.

    A larger batch is taken to need more memory. That a batch does not fit is the planner's word within its time limit,
    so that more time may find a plan for a somewhat larger one.

    Args:
        module: As for ``checkpoint``; neither run nor changed.
        make_inputs: Arguments of the module for a batch size of one or more: a tuple or list of positional ones, or a
            dictionary of keyword arguments, such as tokenizers give.
        budget: Bytes, or a size such as ``"8GiB"``; counted as ``checkpoint`` does.
        solver: As for ``checkpoint``.
        time_limit: Seconds for each batch size that is planned.
        most: Largest batch to try.
        seed: For planners that draw random numbers.
        host: As for ``checkpoint``.

    Raises:
        HcpError: If the budget is a percentage, or the step cannot be captured.
    """
    if is_share(budget):
        raise TorchError(
            f"budget {budget!r} is a share of a step's own peak, which any batch meets; give bytes, or a size"
        )
    request = TorchRequest(budget=budget, solver=solver, time_limit=time_limit, seed=seed, host=host)
    search = _Search(module_of(module, "max_batch"), make_inputs, request)
    limit = parse_budget(budget, search.graph(1))
    kept = largest(lambda batch: search.kept(batch, limit), 0, most)
    planned = largest(lambda batch: search.planned(batch, limit), kept, most)
    plan = search.plans.get(planned)
    return MaxBatch(limit, kept, planned, None if plan is None else TorchPlan(plan, f"a batch of {planned}"))


def largest(fits: Callable[[int], bool], known: int, most: int, guess: int | None = None, parts: int = 0) -> int:
    """The largest number that fits, by steps that double and by bisection.

    Args:
        fits: Whether a number does; if one does, smaller ones do.
        known: One that is known to.
        most: The largest that may be asked for.
        guess: Where to begin.
        parts: Where given, a number within one of so many parts of the largest is good enough.
    """
    low, high, step = known, most + 1, max(1, known)
    if guess is not None and low < guess < high:
        low, high, step = (guess, high, 1) if fits(guess) else (low, guess, 1)
        while low < high - step and high == guess:
            if fits(high - step):
                low = high - step
                break
            high, guess, step = high - step, high - step, 2 * step
    while high == most + 1 and low + step < high:
        if not fits(low + step):
            high = low + step
            break
        low += step
        step *= 2
    while high - low > max(1, low // parts if parts else 1):
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


class _Search:
    def __init__(self, module: nn.Module, make_inputs: Callable[[int], Inputs], request: TorchRequest) -> None:
        self.module, self.make_inputs, self.request = module, make_inputs, request
        self.graphs: dict[int, Graph] = {}
        self.plans: dict[int, Plan] = {}

    def graph(self, batch: int) -> Graph:
        if batch not in self.graphs:
            inputs = self.make_inputs(batch)
            args, kwargs = arguments_of(inputs)
            self.graphs[batch] = graph = capture_graph(self.module, args, kwargs)
            # The first batch's device and costs are those of all.
            self.request = replace(self.request, host=self.request.link(graph, _device(self.module, inputs)))
        return self.graphs[batch]

    def kept(self, batch: int, limit: int) -> bool:
        graph = self.graph(batch)
        whole = keep_everything(graph)
        if replay(graph, whole).peak > limit:
            return False
        self.plans[batch] = judged(Problem(graph, limit), whole, "keep_all")
        return True

    def planned(self, batch: int, limit: int) -> bool:
        graph = self.graph(batch)
        if graph.index.least_bytes > limit:
            return False
        problem = Problem(graph, limit, host=self.request.link(graph))
        control = Control(incumbent=carried_over(problem, self.plans.values()))
        try:
            plan = heed(solve_problem(problem, self.request.solver, self.request.limits, control))
        except InfeasibleBudget:
            return False
        if plan.schedule is None:
            return False
        self.plans[batch] = plan
        return True


def arguments_of(inputs: object) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and keyword arguments that inputs stand for.

    Raises:
        TorchError: If they are neither.
    """
    if isinstance(inputs, Mapping):
        return (), dict(inputs)
    if isinstance(inputs, tuple | list):
        return tuple(inputs), {}
    raise TorchError(
        f"make_inputs() gave {type(inputs).__name__!r} object; return a tuple of positional arguments, or a dictionary "
        "of keyword arguments"
    )


def _device(module: nn.Module, inputs: object) -> str:
    tensors = [*module.parameters(), *(item for item in tree_leaves(inputs) if isinstance(item, torch.Tensor))]
    return "cuda" if any(tensor.is_cuda for tensor in tensors) else "cpu"
