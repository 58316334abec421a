"""From a captured call to what is run: its graph, and the plan of it, or of the same with its loops cut up."""

import math
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, Final

import jax

from hcp.integrations.jax.capture import Arguments, Captured
from hcp.integrations.jax.emit import emit
from hcp.integrations.jax.internals import asks_again
from hcp.integrations.jax.lower import Lowered, lower
from hcp.integrations.jax.placement import Placement, place
from hcp.integrations.jax.plan import JaxPlan, fit, plain_plan, take
from hcp.integrations.jax.programs import Programs, Source, flat, unplanned
from hcp.integrations.jax.repeated import as_written
from hcp.integrations.jax.request import JaxRequest
from hcp.integrations.jax.unroll import PARTS
from hcp.integrations.planned import Planned
from hcp.integrations.planning import heed, say
from hcp.integrations.request import GivenPlan
from hcp.least_peak import minimize_peak
from hcp.planning.deadline import Deadline
from hcp.planning.plan import Plan
from hcp.planning.problem import InfeasibleBudget
from hcp.schedule.actions import Schedule, ScheduleError
from hcp.schedule.replay import keep_everything_usage, replay

# What a graph counts is above what its program takes, which the compiler orders and fuses, by some percent at times.
ROOM: Final = 1.03


@dataclass(frozen=True, eq=False)
class Prepared:
    """A captured and planned call.

    Attributes:
        captured: What was captured.
        lowered: Its graph.
        plan: What is run.
        runs: What runs it, if not itself.
    """

    captured: Captured
    lowered: Lowered
    plan: JaxPlan
    runs: Callable[..., list[Any]] | None = None

    @property
    def cost(self) -> int:
        """Of the plan."""
        assert self.plan.plan.cost is not None
        return self.plan.plan.cost

    def __call__(self, *arrays: Any) -> Any:  # noqa: ANN401
        """Runs the plan on the arrays of the call, in the order of the tree's leaves."""
        return self.captured.rebuilt((self.runs or self.run)(*arrays))

    def run(self, *arrays: Any) -> list[Any]:  # noqa: ANN401
        """The arrays of what it returns."""
        program, closed = self.captured.program, self.captured.closed
        if self.plan.plain and not self.captured.slimmer:
            return unplanned(closed)(*closed.consts, *arrays)
        if self.plan.plain:
            return flat(program)(*program.constants, *arrays)
        return emit(self.lowered, self.plan.schedule)(*program.constants, *arrays)


def prepare(captured: Captured, arguments: Arguments, request: JaxRequest, clock: Deadline) -> Prepared:
    """Plans a call.

    Where the program as JAX makes it keeps the budget, that is what runs. Else long loops are made to stack up less,
    and loops are cut up where that is not enough, so that a plan sees into them. If that comes to no plan, they are
    planned as one operation each after all.

    Args:
        captured: What it does.
        arguments: What it is called with.
        request: How it is planned.
        clock: Of the time limit, from before it was captured.

    Raises:
        ExecutionError: If a plan that was given does not fit the call.
        InfeasibleBudget: If no schedule, or no compiled program, keeps the budget.
    """
    way = Way.of(captured, arguments, request)
    request = replace(request, measure=way.measurable)
    plain = _plain(way.programs, request) if request.measure else None
    if request.budget is not None:
        # The same number of bytes for the loops' graph, whose keep-everything peak is another.
        request = replace(request, budget=request.problem(way.lowered.graph, None, plain).budget)
    if request.plan is not None:
        return way.made_for(request.plan).take(request, plain)
    return _fitted(way, request, clock, plain)


def _fitted(way: "Way", request: JaxRequest, clock: Deadline, plain: int | None) -> Prepared:
    """The program as it is, or the first way of a call that keeps the budget."""
    assert isinstance(request.budget, int)
    again = asks_again(way.captured.closed)
    if plain is not None and not again and plain <= request.budget:
        return way.prepared(plain_plan(way.lowered, request.budget, plain, plain))
    found = _cheapest(way, request, clock, plain)
    if plain is None or not again:
        return _given(found)
    # As the user has it computed again: where that is cheaper, or nothing else fits.
    asked = way.other(way.captured.again())
    if isinstance(found, Prepared) and (found.plan.overhead == 0 or found.cost <= asked.cost):
        return found
    taken = asked.programs.plain(within=True)
    if taken > request.budget:
        return _given(found)
    return asked.prepared(plain_plan(asked.lowered, request.budget, plain, taken))


def _given(found: Prepared | InfeasibleBudget) -> Prepared:
    if isinstance(found, InfeasibleBudget):
        raise found
    return found


def _cheapest(way: "Way", request: JaxRequest, clock: Deadline, plain: int | None) -> Prepared | InfeasibleBudget:
    """The best of the ways that are worth trying, or why none of them keeps the budget."""
    assert isinstance(request.budget, int)
    first: InfeasibleBudget | None = None
    found: Prepared | None = None
    for each in way.ways(request.budget, plain or 0):
        if found is not None and (found.plan.overhead == 0 or clock.left <= 0):
            break
        if each.superfluous(found is not None, first is not None and clock.left <= 0):
            continue
        try:
            made = each.fit(request, clock, plain)
        except InfeasibleBudget as error:
            first = first or error
            continue
        found = made if found is None or made.cost < found.cost else found
        if not each.captured.slimmer:
            break
    if found is not None:
        return found
    assert first is not None
    return first


def _plain(programs: Programs, request: JaxRequest) -> int | None:
    """Bytes of the program as JAX makes it; None where the compiler refuses it, as for want of memory."""
    try:
        return programs.plain()
    except jax.errors.JaxRuntimeError as error:
        say(request, f"{programs.lowered.graph.name} does not compile as it is ({str(error).splitlines()[0][:100]})")
        return None


def least(captured: Captured, arguments: Arguments, request: JaxRequest, overhead: float) -> JaxPlan:
    """The plan with the smallest peak whose cost is little more than that of everything once.

    Raises:
        KeyboardInterrupt: If the user ended the search.
    """
    whole = Way.of(captured, arguments, request)
    cut = whole.other(next(captured.cut(), captured))
    say(request, f"looking for the least memory of {captured.name}, up to {request.time_limit:g} s")
    found = minimize_peak(cut.lowered.graph, overhead, request.solver, time_limit=request.time_limit, seed=request.seed)
    plan = heed(found.plan)
    assert plan.schedule is not None
    assert plan.peak is not None
    slims = [whole.slim(rate) for rate in whole.slims]
    most = (1 + overhead) * min(way.cost for way in (cut, *slims))
    slim = min((way for way in slims if way.cost <= most), key=lambda way: way.whole, default=None)
    if slim is None or slim.whole >= plan.peak:
        taken = cut.programs.taken(plan.schedule) if cut.measurable else None
        made = cut.prepared(JaxPlan(plan, taken, None, plan.peak if taken is None else taken)).plan
    else:
        taken = slim.programs.as_it_is() if slim.measurable else None
        made = slim.prepared(plain_plan(slim.lowered, slim.whole if taken is None else taken, None, taken)).plan
    return replace(made, plain_bytes=_plain(whole.programs, request) if whole.measurable else None)


@dataclass(frozen=True, eq=False)
class Way:
    """A captured call on the way to its plan; ways of the same call know the same ways with slimmer loops, by rate."""

    captured: Captured
    arguments: Arguments
    request: JaxRequest
    placement: Placement
    lowered: Lowered
    _slims: "dict[float, Way]" = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, captured: Captured, arguments: Arguments, request: JaxRequest) -> "Way":
        """Of a call."""
        program = captured.program
        placement = place(program, (*program.constants, *arguments.arrays), arguments.shardings)
        lowered = lower(
            program,
            name=captured.name,
            calibrate=request.device is None and placement.measurable,
            placement=placement,
            cache=request.cache,
            platform=request.device,
        )
        return cls(captured, arguments, request, placement, lowered)

    @property
    def measurable(self) -> bool:
        """Whether programs are to be compiled to see what they take, and can be."""
        return self.request.measure and self.request.device is None and self.placement.measurable

    @property
    def programs(self) -> Programs:
        """What may run it."""
        program, closed = self.captured.program, self.captured.closed
        # Of captured constants, the program's own variables, by which it is known how they are spread.
        own = {id(value): var for value, var in zip(program.constants, program.constvars, strict=True)}
        captured = [own.get(id(value), var) for value, var in zip(closed.consts, closed.jaxpr.constvars, strict=True)]

        def source(var: Any) -> Source:  # noqa: ANN401
            return Source(self.placement.mapped_shape(var), var in self.placement.copies)

        return Programs(
            self.lowered,
            closed,
            [source(var) for var in program.sources],
            [source(var) for var in (*captured, *program.invars)],
            self.request.cache,
            self.captured.slimmer,
        )

    @property
    def whole(self) -> int:
        """Bytes of keeping everything."""
        return keep_everything_usage(self.lowered.graph).peak

    @property
    def cost(self) -> int:
        """Of everything once."""
        return keep_everything_usage(self.lowered.graph).cost

    def other(self, captured: Captured) -> "Way":
        """The same call, captured in another way."""
        return replace(Way.of(captured, self.arguments, self.request), _slims=self._slims)

    def ways(self, budget: int, plain: int) -> "Iterator[Way]":
        """What may keep a budget, the best first."""
        if budget >= self.whole:
            yield self
        if budget < max(self.whole, plain):
            yield from self.slimmer(budget)
            for inside in self.captured.cut():
                yield self.other(inside)
        if budget < self.whole:
            yield self

    @property
    def slims(self) -> list[float]:
        """The rates at which loops come to stack up less, if there are long ones."""
        return [math.inf, *self.captured.rates] if self.captured.program.long else []

    def slimmer(self, budget: int) -> "Iterator[Way]":
        """The same with loops that make as little again in their steps as a budget allows, or not much more."""
        rates = self.slims
        first = bisect_left(rates, True, key=lambda rate: self.slim(rate).whole <= ROOM * budget)
        before = None
        for way in map(self.slim, rates[first:]):
            if way.whole != before:
                yield way
            before = way.whole

    def slim(self, rate: float) -> "Way":
        """The same with loops that stack up less."""
        if rate not in self._slims:
            captured = self.captured.slim(rate)
            assert captured is not None
            self._slims[rate] = self.other(captured)
        return self._slims[rate]

    @property
    def work(self) -> int | None:
        """Where operations are computed again that the program has as often, the least cost of everything once."""
        if not self.captured.repeats:
            return None
        # Stacking up may cost more than it saves.
        once = self.slim(math.inf) if self.captured.slimmer else self.other(self.captured.whole())
        return min(self.cost, once.cost)

    def superfluous(self, found: bool, late: bool) -> bool:
        """Whether it is not worth trying.

        Of those whose loops make more and more again, the first that keeps the budget is the best; loops in parts may
        come cheaper. Where time is up, only what does with the least memory is worth another attempt.

        Args:
            found: Whether another way keeps the budget.
            late: Whether time is up, and others do not.
        """
        return (self.captured.slimmer and (found or late)) or (late and self.captured.parts in PARTS[:-1])

    def made_for(self, given: GivenPlan) -> "Way":
        """This, or the same with other loops, where a plan was made for that."""
        plan = given.plan if isinstance(given, Planned) else given
        if not isinstance(plan, Plan) or plan.graph.fingerprint == self.lowered.graph.fingerprint:
            return self
        others = chain(self.captured.cut(), [self.captured.again()])
        ways = chain(map(self.slim, self.slims), map(self.other, others))
        return next((way for way in ways if way.lowered.graph.fingerprint == plan.graph.fingerprint), self)

    def take(self, request: JaxRequest, plain: int | None) -> Prepared:
        """The call with the plan that was given; see ``plan.take``."""
        return self.prepared(take(self.programs, request, plain))

    def fit(self, request: JaxRequest, clock: Deadline, plain: int | None) -> Prepared:
        """The call with a plan that keeps the budget; see ``plan.fit``."""
        assert isinstance(request.budget, int)
        if self.captured.slimmer and request.measure:
            taken = self.programs.as_it_is()
            if taken <= request.budget:
                return self.prepared(plain_plan(self.lowered, request.budget, plain, taken))
        return self.prepared(fit(self.programs, request, clock, plain, self.written))

    @property
    def written(self) -> Schedule | None:
        """What the function computes again by itself, if it does."""
        if not asks_again(self.captured.closed):
            return None
        schedule = as_written(self.captured, self.lowered)
        try:
            replay(self.lowered.graph, schedule)
        except ScheduleError:
            return None
        return schedule

    def prepared(self, plan: JaxPlan) -> Prepared:
        """The call with a plan."""
        captured = self.captured
        made = replace(plan, parts=captured.parts, slim=captured.slimmer, again=captured.repeats, work=self.work)
        return Prepared(captured, self.lowered, made)
