"""Checks every claim of a plan file, with no solver and no floating-point number."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from hcp.graph.fields import Record
from hcp.planning.checks import CHECK_SECONDS
from hcp.planning.plan import Plan
from hcp.planning.solution import Bound, Status
from hcp.plans.file import PlanFileError, plan_in, read_plan_file


class Verdict(Enum):
    """What a check of one claim found."""

    PASS = "PASS"
    FAIL = "FAIL"
    UNPROVED = "UNPROVED"


@dataclass(frozen=True)
class Check:
    """One claim of a plan.

    Attributes:
        claim: What the plan says.
        verdict: ``UNPROVED`` where nothing contradicts it, and a solver claims it without a certificate, or its
            certificate is of a kind that this hcp does not know, or beyond the limits of a check.
        reason: How it was checked, or what is wrong.
    """

    claim: str
    verdict: Verdict
    reason: str


@dataclass(frozen=True)
class Verification:
    """The checks of one plan file.

    Attributes:
        checks: One for each claim; a file that cannot be read as a plan has only the one that failed.
        plan: The plan, where the file holds one that does not contradict itself.
    """

    checks: tuple[Check, ...]
    plan: Plan | None = None

    @property
    def passed(self) -> bool:
        """Whether no claim failed."""
        return all(check.verdict is not Verdict.FAIL for check in self.checks)

    @property
    def certified(self) -> bool:
        """Whether every claim is proved."""
        return all(check.verdict is Verdict.PASS for check in self.checks)

    def to_dict(self) -> dict[str, object]:
        """The checks, ready for JSON."""
        return {
            "passed": self.passed,
            "certified": self.certified,
            "checks": [
                {"claim": check.claim, "verdict": check.verdict.value, "reason": check.reason} for check in self.checks
            ],
        }


def check_plan(path: str | os.PathLike[str], seconds: float = CHECK_SECONDS) -> Verification:
    """Checks everything that a plan file claims: the schedule by replay, every certificate in integers.

    Args:
        path: Of the file.
        seconds: For all certificates together; what takes longer is ``UNPROVED`` and says so.

    Raises:
        GraphError: If the file cannot be read, is not JSON or is too large.
    """
    data = read_plan_file(path)
    try:
        plan = plan_in(data, path, unknown=True)
    except PlanFileError as error:
        return Verification((Check("the file holds a plan", Verdict.FAIL, str(error)),))
    plan.check_within(seconds)
    return Verification(tuple(_checks(plan, Record(data, "the plan"))), plan)


def verify_plan(path: str | os.PathLike[str]) -> Plan:
    """The plan in a file of which every claim that has a proof was checked; see ``check_plan``.

    Bounds without a certificate are still claimed by a solver: ``Plan.verified`` tells them apart.

    Raises:
        GraphError: If the file cannot be read or is not JSON.
        PlanFileError: Where a claim does not hold; says which.
    """
    found = check_plan(path)
    failed = next((check for check in found.checks if check.verdict is Verdict.FAIL), None)
    if found.plan is None or failed is not None:
        assert failed is not None
        where = "" if found.plan is None else f"plan file {os.fspath(path)!r}: "
        raise PlanFileError(f"{where}{failed.reason}")
    return found.plan


def _checks(plan: Plan, record: Record) -> Iterator[Check]:
    if plan.usage is not None:
        yield Check(
            f"a schedule of cost {plan.cost} within {plan.problem.budget} bytes", Verdict.PASS, f"peak {plan.peak}"
        )
    for position, bound in enumerate(plan.bounds):
        yield _check_bound(plan, position, bound)
    # A file may say less than its bounds show.
    if record.get("status") == Status.OPTIMAL.name:
        yield _check_optimum(plan, record.get("optimality") == "claimed")


def _check_bound(plan: Plan, position: int, bound: Bound) -> Check:
    claim = f"{bound.of} at least {bound.value} ({bound.scope}, {bound.source or 'without a source'})"
    if bound.certificate is None:
        return Check(claim, Verdict.UNPROVED, "no certificate")
    proven = plan.proven(bound)
    if plan.checks.beyond(bound):
        return Check(claim, Verdict.UNPROVED, f"its certificate was not checked: {plan.checks.beyond(bound)}")
    if proven >= bound.value:
        return Check(claim, Verdict.PASS, f"its certificate proves {proven}")
    reason = (
        f"bound {position} claims a {bound.of} of at least {bound.value}, but its certificate proves {proven}; "
        "the file was changed: plan again"
    )
    return Check(claim, Verdict.FAIL, reason)


def _check_optimum(plan: Plan, only_claimed: bool) -> Check:
    claim = f"{Status.OPTIMAL.name}: no schedule within {plan.problem.budget} bytes costs less"
    if plan.problem.order is not None:
        claim += ", in the order given"
    bound = plan.best_bound(*plan.problem.scopes)
    assert bound is not None
    if plan.optimality == "certified":
        return Check(claim, Verdict.PASS, f"its certificate proves {plan.proven(bound)}")
    reaching = (b for b in plan.bounds if b.of == "cost" and b.scope in plan.problem.scopes and b.value >= bound.value)
    if any(plan.checks.beyond(each) for each in reaching):
        return Check(claim, Verdict.UNPROVED, "it rests on a certificate that was not checked")
    word = f"it rests on a bound without a proof ({bound.source or 'without a source'})"
    if only_claimed:
        return Check(claim, Verdict.UNPROVED, word)
    return Check(claim, Verdict.FAIL, f"the plan claims to be {Status.OPTIMAL.name} without a reserve, but {word}")
