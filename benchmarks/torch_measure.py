"""What the processes of the executed comparison do: each measures one way beside plain Inductor, or its first call."""

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from benchmarks.harness import Pace, paired
from benchmarks.torch_peers import Wrap, inductor, planned, way_of
from benchmarks.torch_works import Build
from hcp.graph.errors import HcpError
from hcp.integrations.torch import plan_of
from hcp.integrations.torch.inductor.records import identity_of_plan

# What hcp says of the smallest program that it knows of, where a budget is too small.
_SMALLEST: Final = re.compile(r"the smallest took ([\d,]+) bytes")


@dataclass(frozen=True)
class Promise:
    """What a plan of hcp's says of itself.

    Attributes:
        planned_bytes: Its peak.
        overhead: What it computes again, as a share of what is computed once.
        gap: To the best order-free bound; None where there is none.
        plan: Its identity.
    """

    planned_bytes: int
    overhead: float
    gap: float | None
    plan: str


@dataclass(frozen=True)
class Seen:
    """What was measured of one way.

    Attributes:
        peak_bytes: Most bytes held above the start.
        pace: Beside plain Inductor.
        difference: Largest of a gradient to plain Inductor's, relative to the gradient's largest entry.
        same_random_state: Whether a step leaves the random state as plain Inductor's does.
    """

    peak_bytes: int
    pace: Pace
    difference: float
    same_random_state: bool


@dataclass(frozen=True)
class Task:
    """How every process of a model measures.

    Attributes:
        build: Makes the model.
        rounds: Timed steps of each way.
        threads: That PyTorch has.
        cache: Folder of hcp's plans.
        time_limit: Seconds for each of hcp's plans; None for its default.
    """

    build: Build
    rounds: int
    threads: int
    cache: Path
    time_limit: float | None

    def hcp(self, budget: int, **options: Any) -> Wrap:  # noqa: ANN401 - those of checkpoint
        """A plan of hcp's, as its users get it."""
        limit = {} if self.time_limit is None else {"time_limit": self.time_limit}
        return partial(planned, budget=budget, cache=self.cache, **limit, **options)


def measure(task: Task, wrap: Wrap, is_planned: bool, known: frozenset[str]) -> tuple[Promise | None, Seen | None]:
    """Measures one way beside plain Inductor.

    A plan that is known is not measured again: the same plan twice would be the luckier of two measurements.

    Args:
        task: How.
        wrap: The way.
        is_planned: Whether hcp plans it.
        known: Identities of plans that were measured already.
    """
    torch.set_num_threads(task.threads)
    work = task.build()
    way = way_of(work, wrap)
    # The first step compiles, and prepares libraries.
    way.step()
    promise = _promise(way.model) if is_planned else None
    if promise is not None and promise.plan in known:
        return promise, None
    peak = way.peak()
    plain = way_of(work, inductor)
    plain.step()
    pace = paired(way.step, plain.step, task.rounds)
    (ours, state), (theirs, other) = way.outcome(), plain.outcome()
    return promise, Seen(peak, pace, difference(ours, theirs), torch.equal(state, other))


def _promise(model: nn.Module) -> Promise:
    (plan,) = plan_of(model)
    return Promise(plan.peak_bytes, plan.overhead, plan.gap, identity_of_plan(plan.plan))


def difference(ours: Iterable[Tensor], theirs: Iterable[Tensor]) -> float:
    """The largest difference, relative to the largest entry of each tensor."""
    pairs = zip(ours, theirs, strict=True)
    tiny = torch.finfo(torch.float32).tiny
    return max(float((a - b).abs().max()) / max(float(b.abs().max()), tiny) for a, b in pairs)


def first_call(task: Task, wrap: Wrap) -> float:
    """Seconds of a way's first step, with all that it compiles or finds in caches."""
    torch.set_num_threads(task.threads)
    way = way_of(task.build(), wrap)
    start = time.perf_counter()
    way.step()
    return time.perf_counter() - start


def smallest(task: Task) -> int:
    """Bytes of the smallest compiled program that hcp knows of, which it says where a budget is far too small.

    Raises:
        HcpError: If it says nothing of the kind.
    """
    torch.set_num_threads(task.threads)
    try:
        way_of(task.build(), task.hcp(1, compiler="inductor")).step()
    except HcpError as error:
        found = _SMALLEST.search(str(error))
        if found is None:
            raise
        return int(found[1].replace(",", ""))
    raise HcpError("a plan for one byte was found, which no step can keep; measure peaks again")


def gradient_bytes(build: Build) -> int:
    """What a step leaves behind."""
    return sum(each.nbytes for each in build().make().parameters() if each.requires_grad)
