"""The plan of one captured function, and the loop that makes its compiled program keep the budget."""

from dataclasses import dataclass, replace
from math import ceil
from typing import Final

from hcp.feasibility import check_budget
from hcp.integrations.jax.errors import ExecutionError, UnreachableBudget
from hcp.integrations.jax.lower import Lowered
from hcp.integrations.jax.programs import Programs
from hcp.integrations.jax.request import JaxRequest
from hcp.integrations.planned import Planned
from hcp.integrations.planning import adopt, find_plan, judged
from hcp.planning.deadline import Deadline
from hcp.planning.plan import Plan
from hcp.planning.problem import InfeasibleBudget, Problem
from hcp.schedule.actions import Schedule, ScheduleError, keep_everything
from hcp.schedule.replay import keep_everything_usage, replay

# Shares of the time limit for one plan after the other: the first is for the budget, others for what compiled programs
# turn out to take beyond it, or leave of it. The rest is for capture and compiling.
SHARES: Final = (0.4, 0.15, 0.1, 0.08, 0.06, 0.05)
# What the first plan gets of the limit at the least.
LEAST_SHARE: Final = 0.2
# And what others get once it is used up, as long as no program fits.
LAST_SHARE: Final = 0.03
LAST_SECONDS: Final = 0.5
# A program that takes as much of the budget is not tried to be improved, nor is a plan that differs as little.
CLOSE: Final = 0.97
NEAR: Final = 0.005


@dataclass(frozen=True)
class JaxPlan(Planned):
    """A plan in force for one variant (shapes, types) of a function.

    Attributes:
        measured_bytes: Temporary and output memory of the compiled program on one device; None where not measured.
        plain_bytes: The same of the program as JAX makes it, compiled; what percentages refer to. None where not
            measured: they refer to ``keep_everything_bytes`` then.
        allowed_bytes: What the program has to keep; the plan may be made for less or for more, as it turned out.
        plain: Whether the program runs as JAX makes it, since that keeps the budget.
        parts: Into how many parts loops are cut that are too long to be written out; None where there are none.
        slim: Whether long loops stack up less, and make in their steps again what that takes.
        again: Whether it computes operations again that its graph has as often: those that ``jax.checkpoint`` asks for,
            or products in the steps of loops. Of other ways to do so nothing is known.
        work: In that case, the least cost of everything once.
    """

    measured_bytes: int | None
    plain_bytes: int | None
    allowed_bytes: int
    plain: bool = False
    parts: int | None = None
    slim: bool = False
    again: bool = False
    work: int | None = None

    @property
    def overhead(self) -> float:
        """Cost of recomputation and transfers over the cost of the computation without any."""
        assert self.plan.cost is not None
        return super().overhead if self.work is None else self.plan.cost / self.work - 1

    @property
    def base_cost(self) -> int:
        """The cost of everything once, which the overhead is over."""
        return self.plan.base.cost if self.work is None else self.work

    @property
    def gap(self) -> float | None:
        """How far the plan's cost can be above the best possible, relatively; None where nothing is known."""
        return None if self.again else self.plan.gap

    @property
    def gap_scope(self) -> str:
        """Among which schedules the gap holds."""
        scope = self.plan.gap_scope
        if self.slim:
            return f"{scope}, of loops whose steps make no product again"
        return scope if self.parts is None else f"{scope}, of long loops in {self.parts} parts"

    @property
    def budget_bytes(self) -> int:
        """What memory had to stay within."""
        return self.allowed_bytes

    @property
    def memory_bytes(self) -> int:
        """Temporary and output memory as planned: the schedule's peak."""
        assert self.plan.peak is not None
        return self.plan.peak

    def __str__(self) -> str:
        measured = "not measured" if self.measured_bytes is None else f"measured {self.measured_bytes:,}"
        whole, what = self.keep_everything_bytes, "keep-everything"
        if self.plain_bytes is not None:
            whole, what = self.plain_bytes, "plain jit"
        made = "as JAX compiles it" if self.plain else f"{self.memory_bytes:,} bytes planned"
        made += ", with loops that stack up less" if self.slim else ""
        made += ", with what it computes again by itself" if self.again else ""
        share = (self.measured_bytes or self.memory_bytes) / whole
        return (
            f"{self.graph.name}: {made}, {measured}, of {self.budget_bytes:,} ({share:.1%} of {what}'s {whole:,}), "
            f"{self._merits()}"
        )


def plain_plan(lowered: Lowered, budget: int, plain: int | None, taken: int | None) -> JaxPlan:
    """The plan of a program as it is, which keeps the budget.

    Args:
        lowered: Its graph.
        budget: What it keeps.
        plain: Bytes of the program as JAX makes it, compiled by default, if measured.
        taken: Those that it takes where it runs, if measured.
    """
    graph = lowered.graph
    problem = Problem(graph, max(budget, keep_everything_usage(graph).peak))
    plan = judged(problem, keep_everything(graph), "plain")
    return JaxPlan(plan, taken, plain, budget, plain=True)


def fit(
    programs: Programs, request: JaxRequest, clock: Deadline, plain: int | None, known: Schedule | None = None
) -> JaxPlan:
    """Plans, compiles, measures, and plans for less or for more until the program keeps the budget, and not too well.

    A program that was measured before and keeps the budget is taken where none of these is cheaper.

    Args:
        programs: What is planned.
        request: How, with a budget in bytes.
        clock: Of the time limit for all of it.
        plain: Bytes of the program as JAX makes it, if measured.
        known: A schedule to begin with.

    Raises:
        InfeasibleBudget: Where it is proved that no schedule keeps the budget.
        UnreachableBudget: Where no plan was found that does, or no compiled program.
    """
    return _Fitting(programs, request, clock, plain, known).run()


@dataclass
class _Fitting:
    """The search for the plan whose program keeps a budget.

    Attributes:
        known: A schedule to begin with.
        first: The plan for the budget itself.
        fitting: The cheapest plan whose program fits, and what that takes.
        low: The largest peak of a plan whose program fits.
        high: The smallest of one whose program does not.
        smallest: The least that a program takes.
    """

    programs: Programs
    request: JaxRequest
    clock: Deadline
    plain: int | None
    known: Schedule | None = None
    first: Plan | None = None
    fitting: tuple[Plan, int] | None = None
    low: int = 0
    high: int | None = None
    smallest: int | None = None

    def run(self) -> JaxPlan:
        graph = self.programs.lowered.graph
        problem = self.request.problem(graph, self.request.link(graph))
        if not self.request.measure:
            # Plans are found again by their limit, which is the same however long capture took.
            least = LEAST_SHARE * self.request.time_limit
            asked = self.request if self.clock.left > least else replace(self.request, time_limit=least)
            return self._made(self._planned(problem, asked, ""), None, problem)
        target, again = problem.budget, ""
        for share in SHARES:
            seconds, left = share * self.request.time_limit, self.clock.left - self.programs.seconds
            if self.fitting is not None and left < seconds:
                break
            # However long capture and compiling took: without any program that fits, all of it was in vain.
            least = LEAST_SHARE * self.request.time_limit
            if self.first is not None:
                least = min(seconds, max(LAST_SHARE * self.request.time_limit, LAST_SECONDS))
            asked = replace(self.request, time_limit=min(seconds, max(least, left)))
            try:
                plan = self._planned(replace(problem, budget=target), asked, again)
            except UnreachableBudget:
                if self.first is not None:
                    break
                # There is time left, and nothing else to spend it on.
                rest = min((1 - share) * self.request.time_limit, self.clock.left - self.programs.seconds)
                if rest <= 0:
                    raise
                plan = self._planned(problem, replace(self.request, time_limit=rest), " again, with more time")
            except InfeasibleBudget:
                if self.first is None:
                    raise
                break
            assert plan.schedule is not None
            taken = self.programs.taken(plan.schedule)
            found = self._next(plan, taken, problem.budget)
            if found is None or found == target:
                break
            target = found
            again = f" again, as the compiled program takes {taken:,}"
        return self._best(problem)

    def _planned(self, problem: Problem, asked: JaxRequest, again: str) -> Plan:
        known = self.known if self.fitting is None else self.fitting[0].schedule
        fits = known is not None and replay(problem.graph, known, problem.host).peak <= problem.budget
        plan = find_plan(problem, asked, again=again, incumbent=known if fits else None).plan
        self.first = self.first or plan
        return plan

    def _next(self, plan: Plan, taken: int, budget: int) -> int | None:
        """The budget to plan for next, given what a plan's program takes; None where that is not worth it."""
        assert plan.peak is not None
        self.smallest = taken if self.smallest is None else min(self.smallest, taken)
        if taken <= budget:
            self._offer(plan, taken)
            self.low = max(self.low, plan.peak)
            if plan.overhead == 0 or taken >= CLOSE * budget:
                return None
            target = plan.peak + budget - taken
        else:
            self.high = plan.peak if self.high is None else min(self.high, plan.peak)
            target = self.high - max(taken - budget, ceil(NEAR * budget))
        if self.high is not None and self.low and not self.low < target < self.high:
            target = (self.low + self.high) // 2
        near = self.fitting is not None and abs(target - plan.peak) < NEAR * budget
        return None if target <= 0 or near else target

    def _offer(self, plan: Plan, taken: int) -> None:
        """Takes a plan whose program fits, if it is cheaper than the one so far, or as cheap and takes less."""
        assert plan.cost is not None
        if self.fitting is None or (plan.cost, taken) < (self.fitting[0].cost, self.fitting[1]):
            self.fitting = plan, taken

    def _best(self, problem: Problem) -> JaxPlan:
        """The cheapest plan whose program fits, of those made now and of those that are known."""
        graph = problem.graph
        for schedule, taken in self.programs.within(problem.budget):
            try:
                usage = replay(graph, schedule, problem.host)
            except ScheduleError:
                # It moves values to a host that is not to be used now.
                continue
            within = replace(problem, budget=max(problem.budget, usage.peak))
            self._offer(judged(within, schedule, "known"), taken)
        if self.fitting is not None:
            return self._made(*self.fitting, problem)
        raise UnreachableBudget(
            f"no plan was found for {graph.name} whose compiled program keeps {problem.budget:,} bytes; the "
            f"smallest one takes {self.smallest:,} bytes: raise the budget to that, or the time limit"
        )

    def _made(self, plan: Plan, taken: int | None, problem: Problem) -> JaxPlan:
        """A plan as one for the budget asked for, if it keeps that; its bounds are those of the first plan then."""
        first = self.first
        assert plan.schedule is not None
        assert plan.peak is not None
        if first is not None and plan is not first and plan.peak <= problem.budget:
            made = judged(first.problem, plan.schedule, plan.planner, first.bounds)
            plan = replace(made, seconds=plan.seconds, trace=plan.trace)
        return JaxPlan(plan, taken, self.plain, problem.budget)


def take(programs: Programs, request: JaxRequest, plain: int | None) -> JaxPlan:
    """The plan that the request gives, with what its compiled program takes.

    Args:
        programs: What it is for.
        request: Gives it; a budget is in bytes.
        plain: Bytes of the program as JAX makes it, if measured.

    Raises:
        ExecutionError: If it was made for another graph, or it or its compiled program breaks the budget.
        InfeasibleBudget: If every schedule breaks the budget.
        ScheduleError: If it is illegal for the graph.
    """
    graph = programs.lowered.graph
    link = request.link(graph)
    # How much a plan may take that was made for more than its budget, as its program turned out to keep that.
    planned = request if request.budget is None or not request.measure else replace(request, budget=None)
    plan = adopt(graph, planned, link)
    assert plan.schedule is not None
    as_it_is = isinstance(request.plan, JaxPlan) and request.plan.plain
    taken = None
    if request.measure:
        taken = programs.as_it_is() if as_it_is else programs.taken(plan.schedule)
    allowed = plan.problem.budget
    if request.budget is not None:
        allowed = request.problem(graph, link).budget
    if taken is not None and request.budget is not None and taken > allowed:
        check_budget(request.problem(graph, link))
        raise ExecutionError(
            f"the compiled program of the plan given for {graph.name} takes {taken:,} bytes, over the budget of "
            f"{allowed:,}; raise the budget"
        )
    if request.budget is None and taken is not None:
        allowed = max(allowed, taken)
    return JaxPlan(plan, taken, plain, allowed, plain=as_it_is)
