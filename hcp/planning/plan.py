"""A judged solution: what ``solve`` returns, with cost and peak from replay alone."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Literal

from hcp.graph.ir import Graph
from hcp.planning.checks import Checks
from hcp.planning.problem import Problem
from hcp.planning.solution import Bound, Quantity, Solution, Status, meets
from hcp.schedule.actions import Compute, Offload
from hcp.schedule.replay import Usage, keep_everything_usage, replay
from hcp.schedule.scopes import FIXED_ORDER, ORDER_FREE, speaks_of

Optimality = Literal["certified", "claimed"]


@dataclass(frozen=True)
class EveryNodeOnce:
    """Certificate of the trivial bound: every node has to run at least once, whether values move or not."""

    of: ClassVar[Quantity] = "cost"
    scope: ClassVar[str] = ORDER_FREE
    any_host: ClassVar[bool] = True
    with_engines: ClassVar[bool] = True

    def proven(self, graph: Graph, budget: int) -> int:  # noqa: ARG002 - holds for every budget
        """The cost of running every node once."""
        return graph.base_cost

    def to_dict(self, graph: Graph) -> dict[str, object]:  # noqa: ARG002 - says the same of every graph
        """What a plan file stores."""
        return {"kind": "every-node-once/1"}


@dataclass(frozen=True, kw_only=True)
class Plan(Solution):
    """A solution together with its problem and the judge's verdict.

    Attributes:
        problem: What was asked.
        usage: Cost, peak and profile of the schedule by replay; None without a schedule.
    """

    problem: Problem
    usage: Usage | None

    @property
    def graph(self) -> Graph:
        """The planned graph."""
        return self.problem.graph

    @cached_property
    def base(self) -> Usage:
        """The keep-everything figures of the graph's own order."""
        return keep_everything_usage(self.graph)

    @property
    def cost(self) -> int | None:
        """What planners minimize, in the graph's unit: the makespan.

        That is the sum of all executions and transfers, unless the host's copies overlap the computation, or nodes run
        beside it.
        """
        return None if self.usage is None else self.usage.makespan

    @property
    def peak(self) -> int | None:
        """Peak of the schedule in bytes."""
        return None if self.usage is None else self.usage.peak

    @property
    def overhead(self) -> float | None:
        """Cost over the keep-everything cost, minus 1."""
        return None if self.cost is None else excess(self.cost, self.graph.base_cost)

    def best_bound(self, *scopes: str) -> Bound | None:
        """The largest bound on the cost within the given scopes, order-free by default; a verified one among equals."""
        wanted = scopes or (ORDER_FREE,)
        bounds = [bound for bound in self.bounds if bound.of == "cost" and bound.scope in wanted]
        largest = max((bound.value for bound in bounds), default=0)
        best = [bound for bound in bounds if bound.value == largest]
        # Whether a certificate holds takes time to find out.
        return next((bound for bound in best[:-1] if self.verified(bound)), best[-1]) if best else None

    @cached_property
    def optimality(self) -> Optimality | None:
        """Whether a checked certificate shows that nothing is cheaper, or the word of a solver; None if not OPTIMAL."""
        bound = self.best_bound(*self.problem.scopes)
        if self.status is not Status.OPTIMAL or bound is None:
            return None
        return "certified" if self.verified(bound) else "claimed"

    @cached_property
    def reached(self) -> Bound | None:
        """The bound that the cost meets, of the widest scope there is: no schedule of its scope costs less.

        Of a scope narrower than the problem's it makes no plan OPTIMAL. None where no bound is met; bounds for an order
        say nothing of schedules in other orders.
        """
        met = [bound for bound in self.bounds if bound.of == "cost" and meets(self.cost, bound.value)]
        wide = [bound for bound in met if bound.scope == ORDER_FREE]
        if not wide and self.in_given_order:
            # The shorter a scope's name, the wider it is: what narrows it is added.
            ordered = [bound for bound in met if bound.scope.startswith(FIXED_ORDER)]
            least = min((bound.scope for bound in ordered), key=len, default="")
            wide = [bound for bound in ordered if bound.scope == least]
        return next((bound for bound in wide[:-1] if self.verified(bound)), wide[-1]) if wide else None

    @property
    def reached_verified(self) -> bool | None:
        """Whether a certificate proves the bound ``reached`` in exact arithmetic; None without one."""
        return None if self.reached is None else self.verified(self.reached)

    @property
    def gap(self) -> float | None:
        """Cost over the best order-free bound, minus 1."""
        return self._gap(self.best_bound())

    @property
    def gap_of_extra(self) -> float | None:
        """The part of what the schedule costs more than running every node once that the best order-free bound leaves.

        A gap of 0.1 % of the whole may be half of what a schedule adds. 0 where it adds nothing.
        """
        bound = self.best_bound()
        return (
            None if self.cost is None or bound is None else part_of_extra(self.cost, bound.value, self.graph.base_cost)
        )

    @property
    def gap_scope(self) -> str:
        """Scope of ``gap``."""
        return ORDER_FREE

    @property
    def fixed_order_bound(self) -> Bound | None:
        """The best bound for the given order, on which ``gap_fixed_order`` rests; order-free bounds hold for it too.

        None without such a bound, and for schedules in other orders, which may cost less than it.
        """
        if not any(bound.scope == FIXED_ORDER for bound in self.bounds) or not self.in_given_order:
            return None
        return self.best_bound(ORDER_FREE, FIXED_ORDER)

    @property
    def gap_fixed_order(self) -> float | None:
        """Cost over ``fixed_order_bound``, minus 1."""
        return self._gap(self.fixed_order_bound)

    @cached_property
    def checks(self) -> Checks:
        """Of its certificates: tables, JSON and files ask for the same ones, which can take a second each."""
        return Checks()

    def check_within(self, seconds: float) -> None:
        """Begins the checks of its certificates anew, with a limit on all of them."""
        vars(self)["checks"] = Checks.within(seconds)

    @cached_property
    def in_given_order(self) -> bool:
        """Whether the nodes run for the first time in the problem's order, else the graph's own."""
        return self.schedule is not None and self.schedule.follows(self.problem.given_order)

    def proven(self, bound: Bound) -> int:
        """What a bound's certificate proves of this problem in exact arithmetic; 0 where it proves nothing.

        A certificate that knows of recomputation alone proves nothing where values can be fetched, and nothing of the
        cost where nodes run beside the computation. One for the order of the graph proves nothing of another order. One
        that is beyond the limits of ``checks`` counts as none.
        """
        proof, host = bound.certificate, self.problem.host
        if proof is not None and proof.scope == FIXED_ORDER and self.problem.given_order != self.graph.order:
            return 0
        if proof is None or (getattr(proof, "host", None) != host and not getattr(proof, "any_host", False)):
            return 0
        if self.graph.engines and proof.of == "cost" and not getattr(proof, "with_engines", False):
            return 0
        return self.checks.proven(bound, self.graph, self.problem.budget)

    def verified(self, bound: Bound) -> bool:
        """Whether a bound's certificate proves its value in exact arithmetic."""
        return bound.certificate is not None and self.proven(bound) >= bound.value

    def to_dict(self) -> dict[str, Any]:
        """The object that ``hcp solve --json`` prints."""
        computes = () if self.schedule is None else self.schedule.computes
        return {
            "graph": self.graph.name,
            "nodes": len(self.graph.nodes),
            "edges": self.graph.edge_count,
            "budget_bytes": self.problem.budget,
            "base_cost": self.graph.base_cost,
            "base_peak": self.base.peak,
            "solver": self.planner,
            "status": self.status.name,
            "optimality": self.optimality,
            "optimal_scope": None if self.reached is None else self.reached.scope,
            "optimal_verified": self.reached_verified,
            "cost": self.cost,
            "peak": self.peak,
            "overhead": self.overhead,
            **self._transfers(),
            **self._engines(),
            "bounds": [
                {
                    "of": bound.of,
                    "value": bound.value,
                    "scope": bound.scope,
                    "source": bound.source,
                    "certificate_verified": self.verified(bound),
                }
                for bound in self.bounds
            ],
            "gap": self.gap,
            "gap_verified": self._sure(self.best_bound()),
            "gap_of_extra": self.gap_of_extra,
            "gap_fixed_order": self.gap_fixed_order,
            "gap_fixed_order_verified": self._sure(self.fixed_order_bound),
            "seconds": self.seconds,
            "computes": [self.graph.node[name].id for name in computes],
        }

    def _transfers(self) -> dict[str, Any]:
        host, usage = self.problem.host, self.usage
        if host is None:
            return {}
        if usage is None or self.schedule is None:
            return {"host": host.to_dict()}
        return {
            "host": host.to_dict(),
            "host_peak": usage.host_peak,
            "transferred_bytes": usage.transferred,
            "transfer_cost": usage.transfer_cost,
            "work": usage.cost,
            "waited": dict(usage.waited),
            "steps": [
                ["compute", self.graph.node[step.node].id]
                if isinstance(step, Compute)
                else ["offload" if isinstance(step, Offload) else "fetch", step.value]
                for step in self.schedule.steps
            ],
        }

    def _engines(self) -> dict[str, Any]:
        usage = self.usage
        if not self.graph.engines or usage is None:
            return {}
        return {"engines": list(self.graph.engines), "work": usage.cost, "waited": dict(usage.waited)}

    def _sure(self, bound: Bound | None) -> bool | None:
        """Whether a gap to a bound rests on a checked certificate; None where there is no gap."""
        return None if self.cost is None or bound is None else self.verified(bound)

    def _gap(self, bound: Bound | None) -> float | None:
        return None if self.cost is None or bound is None else excess(self.cost, bound.value)


def excess(cost: int, reference: int) -> float:
    """How much a cost exceeds a reference, relatively; a graph that costs nothing exceeds nothing."""
    return 0.0 if cost == reference else cost / reference - 1 if reference else float("inf")


def part_of_extra(cost: int, bound: int, base: int) -> float:
    """The part of a cost above a base that is above a bound as well, 1 where nothing is proved."""
    return 0.0 if cost <= base else (cost - max(bound, base)) / (cost - base)


def judge(problem: Problem, solution: Solution) -> Plan:
    """Replays a planner's schedule and sets its status by bounds; no claim of cost or peak survives this.

    A bound that the schedule refutes is dropped, and the note says so: solvers compute with floating-point numbers.

    Raises:
        ScheduleError: If the schedule is illegal.
        RuntimeError: If it breaks the budget or a given order, or refutes what a certificate proves: a defect.
    """
    plan = replayed(problem, solution)
    if plan.peak is not None and plan.peak > problem.budget:
        raise RuntimeError(
            f"planner {solution.planner!r} returned a schedule of peak {plan.peak}, over the budget of {problem.budget}"
        )
    if plan.schedule is not None and problem.order is not None and not plan.in_given_order:
        raise RuntimeError(f"planner {solution.planner!r} returned a schedule that breaks the given order")
    for bound in refuted_bounds(plan):
        if plan.verified(bound):
            raise RuntimeError(f"planner {solution.planner!r} is defective: {refutation(plan, bound)}")
        note = f"dropped a bound: {refutation(plan, bound)}"
        kept = tuple(other for other in plan.bounds if other is not bound)
        plan = replace(plan, bounds=kept, note=f"{plan.note}; {note}".removeprefix("; "))
    return with_shown_status(plan)


def replayed(problem: Problem, solution: Solution) -> Plan:
    """A solution with what replay finds, and the bound that needs no planner; its status is still its own claim.

    Raises:
        ScheduleError: If the schedule is illegal.
    """
    once = Bound(problem.graph.base_cost, "cost", ORDER_FREE, EveryNodeOnce(), "every node runs once")
    usage = None if solution.schedule is None else replay(problem.graph, solution.schedule, problem.host)
    return Plan(
        **{**_fields(solution), "bounds": (*solution.bounds, once)},
        problem=problem,
        usage=usage,
    )


def with_shown_status(plan: Plan) -> Plan:
    """A plan whose status says what its bounds show; without a schedule it stays what it is."""
    if plan.usage is None:
        return plan
    met = any(meets(plan.cost, b.value) for b in plan.bounds if b.of == "cost" and b.scope in plan.problem.scopes)
    return replace(plan, status=Status.OPTIMAL if met else Status.FEASIBLE)


def refuted_bounds(plan: Plan) -> tuple[Bound, ...]:
    """The bounds that cannot hold, since replay finds less for the schedule."""
    if plan.usage is None:
        return ()
    cost, found = plan.usage.makespan, {"cost": plan.usage.makespan, "peak": plan.usage.peak}
    over = (bound for bound in plan.bounds if bound.value > found[bound.of])
    return tuple(bound for bound in over if speaks_of(bound.scope, cost, plan.in_given_order))


def refutation(plan: Plan, bound: Bound) -> str:
    """Why a bound of ``refuted_bounds`` cannot hold, for people."""
    found = plan.cost if bound.of == "cost" else plan.peak
    return (
        f"no {bound.of} below {bound.value} was claimed ({bound.scope}, {bound.source or 'without a source'}), "
        f"but the schedule has a {bound.of} of {found}"
    )


def _fields(solution: Solution) -> dict[str, Any]:
    return {name: getattr(solution, name) for name in Solution.__dataclass_fields__}
