"""A plan that is handed in for an instance: what of it is better than what is known."""

from dataclasses import dataclass, replace
from typing import Final

from hcp.graph.errors import HcpError
from hcp.instances.record import Best, Instance, Origin, share_of
from hcp.planning.plan import EveryNodeOnce, Plan, replayed, with_shown_status
from hcp.planning.problem import Problem
from hcp.planning.solution import Bound, Solution, Status
from hcp.schedule.budget import parse_budget
from hcp.schedule.replay import keep_everything_usage
from hcp.schedule.scopes import ORDER_FREE

# Of certificates, for all of a plan's together.
SECONDS: Final = 600.0


@dataclass(frozen=True)
class Change:
    """What a submission makes better.

    Attributes:
        instance: With it.
        budget: Which budget it is for.
        cost: Of its schedule where that is cheaper than what was known, else None.
        bound: Its bound where that is larger than what was known, else None.
        unproved: The largest bound that it claims beyond what its certificates prove, else None.
    """

    instance: Instance
    budget: str
    cost: int | None
    bound: int | None
    unproved: int | None = None

    @property
    def any(self) -> bool:
        """Whether it makes anything better."""
        return self.cost is not None or self.bound is not None


def submitted(instance: Instance, plan: Plan, by: str, date: str, budget: str | None = None) -> Change:
    """An instance with what of a plan is better than what was known: its schedule, its certified bound, or both.

    Only what is checked here counts: the schedule by replay, the bound by its certificate. What is known of other
    budgets counts as well: a schedule that fits a smaller one, and a bound of a larger one.

    Args:
        instance: Of the library.
        plan: For its graph.
        by: Whose it is, for people.
        date: As in 2026-11-30.
        budget: The share that the plan's budget is, where it is new; by default one that the instance has.

    Raises:
        HcpError: If the plan is for another graph or a budget that the instance has not, or moves values to a host.
    """
    _check(instance, plan)
    share = _share(instance, plan.problem.budget, budget)
    plan.check_within(SECONDS)
    claims = [bound for bound in plan.bounds if bound.of == "cost" and bound.scope == ORDER_FREE]
    proof = max((bound for bound in claims if plan.verified(bound)), key=lambda bound: bound.value)
    unproved = max((bound.value for bound in claims if bound.value > proof.value), default=None)
    origin = Origin(by, date, plan.seconds)
    old = _known(instance, share, plan.problem.budget)
    if old is None and plan.schedule is None:
        raise HcpError(f"the plan is the first for {share} and has no schedule; give one that has")
    best = Best(share, _joined(plan, proof), origin, origin) if old is None else _better(old, plan, proof, origin)
    cost = best.cost if best.schedule is origin else None
    bound = proof.value if best.bound is origin else None
    changed = cost is not None or bound is not None
    return Change(_with(instance, best) if changed else instance, share, cost, bound, unproved)


def _known(instance: Instance, share: str, budget: int) -> Best | None:
    """The best that is known within a budget: a schedule of a smaller one fits, and a bound of a larger one holds."""
    best = next((each for each in instance.best if each.budget == share), None)
    for other in instance.best:
        if other.plan.peak is not None and other.plan.peak <= budget and (best is None or other.cost < best.cost):
            bound = _every_node_once(other.plan) if best is None else best.certified
            plan = _joined(replace(other.plan, problem=Problem(instance.graph, budget)), bound)
            best = Best(share, plan, other.schedule, other.schedule if best is None else best.bound)
    for other in instance.best:
        if best is not None and other.plan.problem.budget >= budget and other.certified.value > best.certified.value:
            plan = _joined(best.plan, other.certified)
            plan.check_within(SECONDS)
            if plan.verified(other.certified):
                best = replace(best, plan=plan, bound=other.bound)
    return best


def _better(old: Best, plan: Plan, proof: Bound, origin: Origin) -> Best:
    best = old
    if plan.cost is not None and plan.cost < best.cost:
        best = replace(best, plan=_joined(plan, best.certified), schedule=origin)
    if proof.value > old.certified.value:
        best = replace(best, plan=_joined(best.plan, proof), bound=origin)
    return best


def _every_node_once(plan: Plan) -> Bound:
    return next(bound for bound in plan.bounds if isinstance(bound.certificate, EveryNodeOnce))


def _check(instance: Instance, plan: Plan) -> None:
    if plan.graph.fingerprint != instance.graph.fingerprint:
        raise HcpError(
            f"the plan is for another graph, {plan.graph.name!r}; expected that of instance {instance.name!r}, as "
            f"`hcp instances get {instance.name}` writes it"
        )
    if plan.problem.host is not None or plan.problem.order is not None:
        raise HcpError("the plan has a host or an order to keep; instances are planned without either")


def _share(instance: Instance, budget: int, given: str | None) -> str:
    if given is not None:
        share, peak = share_of(given), keep_everything_usage(instance.graph).peak
        if parse_budget(share, instance.graph) != budget:
            raise HcpError(f"budget {given!r} is not the plan's, which is {budget} of {peak} bytes; give its share")
        return share
    found = next((best.budget for best in instance.best if best.plan.problem.budget == budget), None)
    if found is None:
        known = ", ".join(f"{best.budget} ({best.plan.problem.budget})" for best in instance.best) or "none"
        raise HcpError(f"instance {instance.name!r} has no budget of {budget} bytes; there are {known}")
    return found


def _joined(plan: Plan, bound: Bound) -> Plan:
    """The schedule of a plan with one bound, judged anew."""
    kept = () if isinstance(bound.certificate, EveryNodeOnce) else (bound,)
    solution = Solution(plan.schedule, Status.FEASIBLE, kept, plan.planner, round(plan.seconds, 1))
    return with_shown_status(replayed(Problem(plan.graph, plan.problem.budget), solution))


def _with(instance: Instance, best: Best) -> Instance:
    others = [other for other in instance.best if other.budget != best.budget]
    ordered = sorted([*others, best], key=lambda each: -each.plan.problem.budget)
    found = replace(instance, best=tuple(ordered))
    # What is better for one budget may be so for others.
    spread = (_known(found, each.budget, each.plan.problem.budget) or each for each in ordered)
    return replace(found, best=tuple(spread))
