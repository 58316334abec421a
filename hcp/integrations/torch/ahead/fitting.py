"""Whether training fits a device, with what plan, and how large a batch: told before there is a device."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import torch
from torch import nn

from hcp.feasibility import smallest_known
from hcp.graph.ir import Graph
from hcp.integrations.devices import DEVICES, Device, device_named
from hcp.integrations.planning import carried_over, heed, judged, say
from hcp.integrations.torch.ahead.fit import MOST_BATCH, Fit
from hcp.integrations.torch.ahead.optimizers import Optimizer, OptimizerMemory, optimizer_memory
from hcp.integrations.torch.ahead.sharding import ranks_of
from hcp.integrations.torch.ahead.steps import MakeInputs, Steps
from hcp.integrations.torch.ahead.weightless import dtype_named
from hcp.integrations.torch.batch import largest
from hcp.integrations.torch.errors import CaptureError, TorchError
from hcp.integrations.torch.in_backward import settle, settled, without_estimates
from hcp.integrations.torch.request import TIME_LIMIT, TorchRequest
from hcp.planners import solve_problem
from hcp.planning.deadline import Deadline
from hcp.planning.floor import floor_bound
from hcp.planning.plan import Plan
from hcp.planning.planner import AnyPlanner
from hcp.planning.problem import Control, InfeasibleBudget, Problem
from hcp.progress import live_progress
from hcp.schedule.actions import keep_everything
from hcp.schedule.replay import keep_everything_usage, replay

# Of the time for planning: for the smallest peak, for the plan, and for the largest batch.
_SMALLEST_SHARE: Final = 0.25
_PLAN_SHARE: Final = 0.45
# How many budgets are tried for the smallest peak.
_ATTEMPTS: Final = 3
# How near to the largest planned batch the search comes: within so many parts of it.
_PARTS: Final = 64
# Of what is left for batches, each.
_BATCH_SHARE: Final = 0.25


def fit(
    make_model: Callable[[], nn.Module],
    make_inputs: MakeInputs,
    *,
    device: str | Device = "h100-80gb",
    optimizer: Optimizer = "adamw",
    dtype: torch.dtype | str | None = None,
    total: int | str | None = None,
    reserve: int | str = "5%",
    mesh: Mapping[str, int] | int | None = None,
    optimizer_in_backward: bool = False,
    batch: int = 1,
    solver: str | AnyPlanner = "auto",
    time_limit: float = TIME_LIMIT,
    seed: int = 0,
    quiet: bool = False,
) -> Fit:
    """Tells whether training fits a device, and with what plan; nothing is allocated or run.

    The model is made on the meta device and captured on tensors that are shapes alone, as the CPU would run it. Memory
    is counted by rule: of every operation what it returns, in portions of 512 bytes, as PyTorch's allocator gives them
    out on a GPU.

    Args:
        make_model: Makes the module. One that returns a mapping with a ``"loss"``, as those of ``transformers`` do, is
            taken to train on that alone.
        make_inputs: Makes its arguments: a tuple of positional ones, or a dictionary of keyword arguments. Where it
            takes a batch size, the largest batch is searched for as well.
        device: A name of ``DEVICES``, or a ``Device``.
        optimizer: A name (``"adamw"``, ``"sgd"``, ...), a function that makes one of parameters, or ``None``.
        dtype: Type of floating-point parameters, buffers and inputs, such as ``torch.bfloat16`` or its name; as they
            are made where not given.
        total: Most bytes in all, such as ``"60GiB"``; the device's memory where not given.
        reserve: Bytes, a size or a percentage of ``total`` for what is not counted: the driver's context, workspace of
            libraries, fragmentation.
        mesh: Devices that train together, each with a batch of its own: ``{"fsdp": 8}`` shards parameters, gradients
            and the optimizer's state as FSDP2 does, with gathers as planned operations; ``"dp"`` is for replicas.
        optimizer_in_backward: Whether hooks take each gradient as soon as it is there, so that none stays.
        batch: The batch size to plan for, where ``make_inputs`` takes one.
        solver: As for ``checkpoint``.
        time_limit: Seconds for all that is planned; capture takes its own.
        seed: For planners that draw random numbers.
        quiet: Whether to say nothing on stderr.

    Raises:
        HcpError: On a bad option, or where the step cannot be captured on tensors without content.
    """
    place = device_named(device)
    request = TorchRequest(budget=1, solver=solver, time_limit=time_limit, cache=False, seed=seed, quiet=quiet)
    ranks = ranks_of(mesh)
    _check(batch, ranks, optimizer_in_backward)
    steps = Steps.of(make_model, make_inputs, place, dtype_named(dtype), ranks, in_backward=optimizer_in_backward)
    room = Fit.room(place, total, reserve)
    say(request, f"capturing {steps.name} without its memory")
    graph = steps.graph(batch)
    search = _Search(steps, request, Deadline(time_limit))
    counted = without_estimates(graph)
    held = optimizer_memory(optimizer, steps.parameters)
    smallest = search.smallest(graph)
    found = Fit(
        name=steps.name,
        device=place,
        total=room[0],
        reserve=room[1],
        ranks=ranks,
        batch=batch if steps.takes_batch else None,
        parameters=sum(map(_bytes, steps.parameters)),
        buffers=sum(map(_bytes, steps.module.buffers())),
        optimizer=OptimizerMemory(
            held.name,
            held.state,
            # That of one parameter at a time is in the step.
            0 if optimizer_in_backward else held.workspace,
        ),
        inputs=steps.input_bytes(batch),
        graph=graph,
        floor=floor_bound(counted),
        counted=counted,
        smallest=smallest,
        kernels=dict(steps.kernels),
    )
    found = search.planned(found)
    return search.with_batches(found) if steps.takes_batch else found


def _check(batch: object, ranks: int, in_backward: bool) -> None:
    if isinstance(batch, bool) or not isinstance(batch, int) or batch < 1:
        raise TorchError(f"batch {batch!r} is not understood; give a number of one or more")
    if in_backward and ranks > 1:
        raise TorchError(
            "gradients that are sharded are reduced before they may be taken; give a mesh of one, or no "
            "optimizer_in_backward"
        )


def _smallest_device(found: Fit) -> str | None:
    """The device with the least memory in which training is known to fit, reserve included."""
    by_memory = sorted(DEVICES.items(), key=lambda item: item[1].memory)
    return next((name for name, device in by_memory if found.fits_in(device)), None)


@dataclass
class _Search:
    """Plans what ``fit`` tells, within one time limit.

    Attributes:
        steps: Of which module.
        request: How.
        deadline: Of all of it.
    """

    steps: Steps
    request: TorchRequest
    deadline: Deadline

    def smallest(self, graph: Graph) -> Plan:
        """The smallest peak that was found, by the planner for ever smaller budgets."""
        part = self.deadline.part(self.request.time_limit * _SMALLEST_SHARE)
        least, whole = graph.index.least_bytes, keep_everything(graph)
        best = judged(Problem(graph, keep_everything_usage(graph).peak), whole, "keep_all")
        say(self.request, f"looking for the smallest peak of {graph.name}: {len(graph.nodes):,} operations")
        known = smallest_known(graph, part.limit / (_ATTEMPTS + 1))
        for attempt in range(_ATTEMPTS):
            budget = (least + min(known, best.peak or known)) // 2 if attempt else least
            if part.over or best.peak == least:
                break
            plan = self._solved(Problem(graph, budget), part.left / (_ATTEMPTS - attempt), best)
            if plan is not None:
                best = plan
        if best.peak is not None and known < best.peak:
            plan = self._solved(Problem(graph, known), max(part.left, part.limit / _ATTEMPTS), best)
            best = best if plan is None else plan
        return best

    def plan(self, graph: Graph, budget: int, smallest: Plan) -> Plan | None:
        """A plan within a budget; None where none was found, or where there is none."""
        whole = keep_everything_usage(graph).peak
        if whole <= budget:
            return judged(Problem(graph, budget), keep_everything(graph), "keep_all")
        if graph.index.least_bytes > budget:
            return None
        problem = Problem(graph, budget)
        say(self.request, f"planning {graph.name} within {budget:,} bytes")
        return self._solved(problem, self.request.time_limit * _PLAN_SHARE, smallest)

    def planned(self, found: Fit) -> Fit:
        """With a plan for what is left, and the smallest device that is known to do."""
        plan = self.plan(found.graph, found.left, found.smallest) if found.left > 0 else None
        if plan is not None and plan.peak is not None and plan.peak < (found.smallest.peak or 0):
            found = replace(found, smallest=plan)
        found = replace(found, plan=plan)
        return replace(found, smallest_device=_smallest_device(found))

    def with_batches(self, found: Fit) -> Fit:
        """With the largest batches, where other ones can be captured."""
        left = self.deadline.left
        say(self.request, f"capturing {found.name} for all batch sizes")
        if self.steps.symbolic is None:
            say(self.request, f"{found.name} cannot be captured for all at once, and is for each by itself")
        # Only now, as what such a capture leaves in memory slows searches down; and its time is its own.
        self.deadline = Deadline(left)
        try:
            return replace(found, batches=self.batches(found))
        except CaptureError as error:
            say(self.request, f"the largest batch is not known, as others cannot be captured: {error}")
            return found

    def batches(self, found: Fit) -> tuple[int, int]:
        """The largest batches that fit, kept whole and planned."""
        say(self.request, f"looking for the largest batch of {found.name}")
        known = {found.batch: (found.graph, found.left)}
        plans = [plan for plan in (found.smallest, found.plan) if plan is not None]

        def at(batch: int) -> tuple[Graph, int]:
            if batch not in known:
                left = found.left + found.inputs - self.steps.input_bytes(batch)
                known[batch] = self.steps.for_any_batch(batch), left
            return known[batch]

        def kept(batch: int) -> bool:
            graph, left = at(batch)
            return found.update_fits and keep_everything_usage(graph).peak <= left

        def planned(batch: int) -> bool:
            graph, left = at(batch)
            if not found.update_fits or graph.index.least_bytes > left:
                return False
            if keep_everything_usage(graph).peak <= left:
                return True
            problem = Problem(graph, left)
            schedule = carried_over(problem, plans)
            if schedule is not None and replay(graph, settled(graph, schedule)).peak <= left:
                return True
            plan = self._solved(problem, self.deadline.left * _BATCH_SHARE, None)
            if plan is not None:
                plans.append(plan)
            return plan is not None

        # Memory grows with the batch by a constant, or nearly so.
        first, second = found.batch or 1, 2 * (found.batch or 1)
        (one, left), (two, less) = at(first), at(second)
        peak = keep_everything_usage(one).peak
        growth = keep_everything_usage(two).peak - peak + left - less
        more = (left - peak) * (second - first) // max(1, growth)
        whole = largest(kept, 0, MOST_BATCH, first + more)
        smallest = found.smallest.peak or peak
        guess = first + (left - smallest) * (second - first) // max(1, growth)
        return whole, largest(planned, whole, MOST_BATCH, guess, _PARTS)

    def _solved(self, problem: Problem, seconds: float, known: Plan | None) -> Plan | None:
        """A plan, or None where none was found in so many seconds of what is left."""
        schedule = None if known is None or (known.peak or 0) > problem.budget else known.schedule
        limits = replace(self.request.limits, time_limit=max(0.1, min(seconds, self.deadline.left)))
        with live_progress(limits.time_limit, self.request.quiet) as monitor:
            try:
                control = Control(monitor=monitor, incumbent=schedule)
                plan = settle(problem, lambda asked: heed(solve_problem(asked, self.request.solver, limits, control)))
            except InfeasibleBudget:
                return None
        return None if plan.schedule is None else plan


def _bytes(tensor: Any) -> int:  # noqa: ANN401 - a tensor
    return int(tensor.numel() * tensor.element_size())
