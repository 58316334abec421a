"""``name_policy``: a budget kept by ``jax.checkpoint`` itself, with a policy that saves, or offloads, some names.

For code that takes a policy and no plan, such as MaxText's. A policy says less than a plan: each name is saved
everywhere or nowhere, and blocks are computed again whole. So its cost and memory stand beside the plan's.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from typing import Any, Final

import jax

from hcp.integrations.jax.capture import Arguments, Captured, capture
from hcp.integrations.jax.errors import JaxError, UnreachableBudget
from hcp.integrations.jax.host import check_host_memory
from hcp.integrations.jax.internals import HOST_MEMORY, equations_in, name_given
from hcp.integrations.jax.moves import bytes_on_host, with_moves
from hcp.integrations.jax.plan import JaxPlan
from hcp.integrations.jax.prepare import Way
from hcp.integrations.jax.request import JaxRequest
from hcp.integrations.jax.transform import planned_gradient
from hcp.integrations.planning import say
from hcp.planning.deadline import Deadline
from hcp.planning.planner import Planner
from hcp.plans.cache import CacheOption
from hcp.schedule.bandwidth import parse_link
from hcp.schedule.host import HostLink
from hcp.schedule.replay import Usage, keep_everything_usage

# Up to so many names all choices are tried; with more, names are saved one after the other.
ALL_CHOICES: Final = 4
# Programs whose replayed peak is beyond so many times the budget are compiled last.
LIKELY: Final = 1.25
# Of the time limit, what the plan gets.
PLAN_SHARE: Final = 0.5

# From a policy to the function that has it in its ``jax.checkpoint``.
Make = Callable[[Callable[..., Any]], Callable[..., Any]]


@dataclass(frozen=True)
class NamePolicy:
    """A policy for ``jax.checkpoint`` and what gradients take with it, beside hcp's plan for the same budget.

    Attributes:
        saved: Names that are kept from the forward to the backward.
        recomputed: Names that are not.
        cost: Of all that is computed and moved, replayed, in nanoseconds as in the plan; where the host's copies
            overlap the computation, when all is done.
        peak: Bytes, replayed in the program's order: what is computed again comes before the backward of its block.
        measured_bytes: What the compiled program takes; None where not measured.
        work: The cost of everything once.
        plan: hcp's.
        tried: How many choices of names were looked at.
        offloaded: Names that are moved to the host's memory and back.
        host_bytes: Bytes of all that is moved there.
    """

    saved: tuple[str, ...]
    recomputed: tuple[str, ...]
    cost: int
    peak: int
    measured_bytes: int | None
    work: int
    plan: JaxPlan
    tried: int
    offloaded: tuple[str, ...] = ()
    host_bytes: int = 0

    @property
    def policy(self) -> Callable[..., Any]:
        """For ``jax.checkpoint``."""
        return _policy(self.saved, self.offloaded)

    @property
    def settings(self) -> dict[str, str]:
        """What becomes of each name, in MaxText's words for its custom policy: kept, moved, or computed again."""
        kept = dict.fromkeys(self.saved, "device") | dict.fromkeys(self.offloaded, "offload")
        return kept | dict.fromkeys(self.recomputed, "remat")

    @property
    def overhead(self) -> float:
        """Cost of what is computed again over the cost of everything once."""
        return self.cost / self.work - 1

    def __str__(self) -> str:
        measured = "not measured" if self.measured_bytes is None else f"measured {self.measured_bytes:,}"
        moves = f", offloads {', '.join(self.offloaded)} ({self.host_bytes:,} bytes)" if self.offloaded else ""
        return (
            f"{self.plan.graph.name}: saves {', '.join(self.saved) or 'no name'}{moves}, {self.peak:,} bytes as "
            f"replayed, {measured}, of {self.plan.budget_bytes:,}, overhead {self.overhead:.2%}; hcp's plan: overhead "
            f"{self.plan.overhead:.2%}"
        )


def name_policy(
    make: Make,
    *args: Any,  # noqa: ANN401
    budget: int | str,
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    solver: str | Planner = "auto",
    time_limit: float = 60.0,
    seed: int = 0,
    measure: bool = True,
    cache: CacheOption = True,
    quiet: bool = False,
    host: HostLink | str | None = None,
    **kwargs: Any,  # noqa: ANN401
) -> NamePolicy:
    """The cheapest policy found that saves some of a function's names and keeps a budget.

    Names are those that the function gives by ``jax.ad_checkpoint.checkpoint_name``.

    Args:
        make: Given a policy, the function to be differentiated, with ``jax.checkpoint(..., policy=policy)`` around its
            blocks, or the steps of its loops.
        *args: Arrays, or ``jax.ShapeDtypeStruct`` in their place.
        budget: As for ``value_and_grad``; percentages are of the function with a policy that saves everything.
        argnums: As for ``value_and_grad``.
        has_aux: As for ``value_and_grad``.
        solver: As for ``value_and_grad``, for the plan beside.
        time_limit: Seconds, half of them for the plan.
        seed: As for ``value_and_grad``.
        measure: Whether it is the compiled program that has to keep the budget, rather than the replayed peak. It is
            compiled with the option that keeps recomputation (see ``jit``).
        cache: As for ``value_and_grad``.
        quiet: As for ``value_and_grad``.
        host: Where given, names may be offloaded as well: a link, or its bandwidth such as ``"12GiB/s"``. Programs of
            this platform have to hold arrays there, unless ``measure`` is False. The plan beside moves nothing.
        **kwargs: Handed on to the function.

    Raises:
        CaptureError: If the function cannot be captured.
        ExecutionError: If programs here hold nothing in the host's memory and are to be measured.
        InfeasibleBudget: If it is proved that no schedule keeps the budget.
        JaxError: If the function gives no names.
        UnreachableBudget: If no choice of names keeps the budget.
    """
    request = JaxRequest(
        budget=budget,
        solver=solver,
        time_limit=PLAN_SHARE * time_limit,
        seed=seed,
        measure=measure,
        cache=cache,
        quiet=quiet,
    )
    whole = planned_gradient(make(jax.checkpoint_policies.everything_saveable), argnums, has_aux, request)
    arguments = whole.split(args, kwargs)
    prepared = whole.prepare(*args, **kwargs)
    found = (name_given(equation) for equation in equations_in(prepared.captured.closed))
    names = tuple(dict.fromkeys(name for name in found if name is not None))
    if not names:
        raise JaxError(f"{whole.name} gives no names; name values by jax.ad_checkpoint.checkpoint_name(value, 'name')")

    link = None if host is None else parse_link(host, prepared.plan.graph)
    if link is not None and measure:
        check_host_memory(whole.name)

    def captured(saved: Sequence[str], offloaded: Sequence[str]) -> Captured:
        planned = planned_gradient(make(_policy(saved, offloaded)), argnums, has_aux, request)
        return capture(planned.differentiated, arguments, planned.name).again()

    rest = (1 - PLAN_SHARE) * time_limit
    say(request, f"looking for names to save of {', '.join(names)}, up to {rest:.0f} s")
    search = _Search(names, captured, arguments, request, prepared.plan.budget_bytes, Deadline(rest), link)
    best = search.run()
    return NamePolicy(
        saved=best.saved,
        recomputed=tuple(name for name in names if name not in (*best.saved, *best.offloaded)),
        cost=best.cost,
        peak=best.peak,
        measured_bytes=best.measured,
        # Keeping all that steps of loops make may cost more than making some of it again.
        work=min(
            prepared.plan.base_cost,
            Way.of(prepared.captured.whole(), arguments, request).cost,
            *(choice.cost for choice in search.tried.values()),
        ),
        plan=prepared.plan,
        tried=len(search.tried),
        offloaded=best.offloaded,
        host_bytes=bytes_on_host(best.way.lowered),
    )


def _policy(saved: Sequence[str], offloaded: Sequence[str]) -> Callable[..., Any]:
    """JAX's policy that keeps some names and moves others."""
    policies = jax.checkpoint_policies
    if not offloaded:
        return policies.save_only_these_names(*saved)  # type: ignore[no-any-return]
    return policies.save_and_offload_only_these_names(  # type: ignore[no-any-return]
        names_which_can_be_saved=[*saved],
        names_which_can_be_offloaded=[*offloaded],
        offload_src="device",
        offload_dst=HOST_MEMORY,
    )


@dataclass(frozen=True, eq=False)
class _Choice:
    """A policy that saves some names, and moves others over a link."""

    saved: tuple[str, ...]
    offloaded: tuple[str, ...]
    way: Way
    link: HostLink | None

    @cached_property
    def usage(self) -> Usage:
        """What the program uses in its own order."""
        lowered = self.way.lowered
        return keep_everything_usage(lowered.graph if self.link is None else with_moves(lowered, self.link))

    @property
    def cost(self) -> int:
        return self.usage.makespan

    @property
    def peak(self) -> int:
        return self.usage.peak

    @cached_property
    def measured(self) -> int | None:
        """Bytes of the compiled program, where asked for and possible."""
        return self.way.programs.plain(within=True) if self.way.measurable else None

    @property
    def taken(self) -> int:
        """What the budget is for."""
        return self.peak if self.measured is None else self.measured


@dataclass
class _Search:
    """The search for the names to save.

    Attributes:
        names: All there are.
        captured: The function with a policy that saves some of them, and offloads others.
        arguments: Of the call.
        request: What is asked for.
        budget: In bytes.
        clock: Of the time limit.
        link: Over which names may be offloaded.
        tried: The choices so far.
    """

    names: tuple[str, ...]
    captured: Callable[[Sequence[str], Sequence[str]], Captured]
    arguments: Arguments
    request: JaxRequest
    budget: int
    clock: Deadline
    link: HostLink | None = None
    tried: dict[tuple[tuple[str, ...], tuple[str, ...]], _Choice] = field(default_factory=dict)

    def run(self) -> _Choice:
        """The cheapest choice that keeps the budget."""
        for _ in self.all_choices() if len(self.names) <= ALL_CHOICES else self.one_by_one():
            if self.clock.left <= 0:
                break
        found = sorted(self.tried.values(), key=lambda choice: (choice.cost, choice.peak))
        likely = [choice for choice in found if choice.peak <= LIKELY * self.budget]
        for choice in (*likely, *(choice for choice in found if choice not in likely)):
            if choice.taken <= self.budget:
                return choice
        smallest = min(found, key=lambda choice: choice.taken)
        saved = ", ".join((*smallest.saved, *smallest.offloaded)) or "no name"
        raise UnreachableBudget(
            f"no choice of the names {', '.join(self.names)} keeps {self.budget:,} bytes; the smallest program saves "
            f"{saved} and takes {smallest.taken:,}: raise the budget to that, or put jax.checkpoint around smaller "
            "blocks"
        )

    def at(self, saved: Iterable[str], offloaded: Iterable[str] = ()) -> _Choice:
        """The policy that saves some names, and offloads others."""
        kept, moved = set(saved), set(offloaded)
        key = tuple(name for name in self.names if name in kept), tuple(name for name in self.names if name in moved)
        if key not in self.tried:
            way = Way.of(self.captured(*key), self.arguments, self.request)
            self.tried[key] = _Choice(*key, way, self.link)
        return self.tried[key]

    def all_choices(self) -> Iterator[_Choice]:
        for count in range(len(self.names) + 1):
            yield from map(self.at, combinations(self.names, count))
        if self.link is None:
            return
        for moved in range(1, len(self.names) + 1):
            for offloaded in combinations(self.names, moved):
                rest = [name for name in self.names if name not in offloaded]
                for count in range(len(rest) + 1):
                    yield from (self.at(saved, offloaded) for saved in combinations(rest, count))

    def one_by_one(self) -> Iterator[_Choice]:
        """Saves or offloads what saves the most cost, as long as the replayed peak keeps the budget."""
        best = self.at(())
        yield best
        while True:
            steps = []
            for name in self.names:
                if name in (*best.saved, *best.offloaded):
                    continue
                steps.append(self.at((*best.saved, name), best.offloaded))
                yield steps[-1]
                if self.link is not None:
                    steps.append(self.at(best.saved, (*best.offloaded, name)))
                    yield steps[-1]
            fitting = [step for step in steps if step.peak <= self.budget and step.cost < best.cost]
            if not fitting:
                return
            best = min(fitting, key=lambda step: step.cost)
