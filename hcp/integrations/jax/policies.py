"""``name_policy``: a budget kept by ``jax.checkpoint`` itself, with a policy that saves some names.

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
from hcp.integrations.jax.internals import equations_in, name_given
from hcp.integrations.jax.plan import JaxPlan
from hcp.integrations.jax.prepare import Way
from hcp.integrations.jax.request import JaxRequest
from hcp.integrations.jax.transform import planned_gradient
from hcp.integrations.planning import say
from hcp.planning.deadline import Deadline
from hcp.planning.planner import Planner
from hcp.plans.cache import CacheOption

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
        cost: Of all that is computed, replayed, in nanoseconds as in the plan.
        peak: Bytes, replayed in the program's order: what is computed again comes before the backward of its block.
        measured_bytes: What the compiled program takes; None where not measured.
        work: The cost of everything once.
        plan: hcp's.
        tried: How many choices of names were looked at.
    """

    saved: tuple[str, ...]
    recomputed: tuple[str, ...]
    cost: int
    peak: int
    measured_bytes: int | None
    work: int
    plan: JaxPlan
    tried: int

    @property
    def policy(self) -> Callable[..., Any]:
        """For ``jax.checkpoint``."""
        made: Callable[..., Any] = jax.checkpoint_policies.save_only_these_names(*self.saved)
        return made

    @property
    def settings(self) -> dict[str, str]:
        """What becomes of each name, in MaxText's words for its custom policy: on the device, or computed again."""
        return dict.fromkeys(self.saved, "device") | dict.fromkeys(self.recomputed, "remat")

    @property
    def overhead(self) -> float:
        """Cost of what is computed again over the cost of everything once."""
        return self.cost / self.work - 1

    def __str__(self) -> str:
        measured = "not measured" if self.measured_bytes is None else f"measured {self.measured_bytes:,}"
        return (
            f"{self.plan.graph.name}: saves {', '.join(self.saved) or 'no name'}, {self.peak:,} bytes as replayed, "
            f"{measured}, of {self.plan.budget_bytes:,}, overhead {self.overhead:.2%}; hcp's plan: overhead "
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
        **kwargs: Handed on to the function.

    Raises:
        CaptureError: If the function cannot be captured.
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

    def captured(saved: Sequence[str]) -> Captured:
        policy = jax.checkpoint_policies.save_only_these_names(*saved)
        planned = planned_gradient(make(policy), argnums, has_aux, request)
        return capture(planned.differentiated, arguments, planned.name).again()

    rest = (1 - PLAN_SHARE) * time_limit
    say(request, f"looking for names to save of {', '.join(names)}, up to {rest:.0f} s")
    search = _Search(names, captured, arguments, request, prepared.plan.budget_bytes, Deadline(rest))
    best = search.run()
    return NamePolicy(
        saved=best.saved,
        recomputed=tuple(name for name in names if name not in best.saved),
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
    )


@dataclass(frozen=True, eq=False)
class _Choice:
    """A policy that saves some names."""

    saved: tuple[str, ...]
    way: Way

    @property
    def cost(self) -> int:
        return self.way.cost

    @property
    def peak(self) -> int:
        return self.way.whole

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
        captured: The function with a policy that saves some of them.
        arguments: Of the call.
        request: What is asked for.
        budget: In bytes.
        clock: Of the time limit.
        tried: The choices so far.
    """

    names: tuple[str, ...]
    captured: Callable[[Sequence[str]], Captured]
    arguments: Arguments
    request: JaxRequest
    budget: int
    clock: Deadline
    tried: dict[tuple[str, ...], _Choice] = field(default_factory=dict)

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
        saved = ", ".join(smallest.saved) or "no name"
        raise UnreachableBudget(
            f"no choice of the names {', '.join(self.names)} keeps {self.budget:,} bytes; the smallest program saves "
            f"{saved} and takes {smallest.taken:,}: raise the budget to that, or put jax.checkpoint around smaller "
            "blocks"
        )

    def at(self, saved: Iterable[str]) -> _Choice:
        """The policy that saves some names."""
        kept = set(saved)
        key = tuple(name for name in self.names if name in kept)
        if key not in self.tried:
            self.tried[key] = _Choice(key, Way.of(self.captured(key), self.arguments, self.request))
        return self.tried[key]

    def all_choices(self) -> Iterator[_Choice]:
        for count in range(len(self.names) + 1):
            yield from map(self.at, combinations(self.names, count))

    def one_by_one(self) -> Iterator[_Choice]:
        """Saves what saves the most cost, as long as the replayed peak keeps the budget."""
        best = self.at(())
        yield best
        while True:
            steps = []
            for name in self.names:
                if name not in best.saved:
                    steps.append(self.at((*best.saved, name)))
                    yield steps[-1]
            fitting = [step for step in steps if step.peak <= self.budget and step.cost < best.cost]
            if not fitting:
                return
            best = min(fitting, key=lambda step: step.cost)
