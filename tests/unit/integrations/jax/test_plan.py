"""Plans for what compiled programs may take: for less until one keeps the budget, and for more where it can."""

from dataclasses import dataclass, field, replace

import jax
import jax.numpy as jnp
import pytest

from hcp import InfeasibleBudget, NotApplicable, keep_everything, replay
from hcp.heuristics.eviction import Eviction
from hcp.integrations.jax import ExecutionError
from hcp.integrations.jax.errors import UnreachableBudget
from hcp.integrations.jax.jaxpr import flatten
from hcp.integrations.jax.lower import Lowered, lower
from hcp.integrations.jax.plan import CLOSE, SHARES, fit, plain_plan, take
from hcp.integrations.jax.request import JaxRequest
from hcp.planning.deadline import Deadline

X = jnp.ones((8, 8))


def loss(x):
    for _ in range(8):
        x = jnp.sin(x @ x)
    return x.sum()


LOWERED = lower(flatten(jax.make_jaxpr(jax.grad(loss))(X)), name="loss", calibrate=False)
WHOLE = replay(LOWERED.graph, keep_everything(LOWERED.graph)).peak


def request(**options):
    return JaxRequest(**{"budget": WHOLE * 8 // 10, "solver": "eviction", "cache": False, "quiet": True} | options)


@dataclass
class Counted:
    """Programs that take some bytes more, or less, than their plans."""

    beyond: list[int] = field(default_factory=list)
    lowered: Lowered = LOWERED
    known: dict = field(default_factory=dict)
    seconds: float = 0.0

    def taken(self, schedule):
        if schedule not in self.known:
            extra = self.beyond.pop(0) if len(self.beyond) > 1 else self.beyond[0] if self.beyond else 0
            self.known[schedule] = replay(self.lowered.graph, schedule).peak + extra
        return self.known[schedule]

    def as_it_is(self):
        return WHOLE // 2

    def within(self, budget):
        return [(schedule, taken) for schedule, taken in self.known.items() if taken <= budget]


def fitted(programs, asked, plain=None):
    return fit(programs, asked, Deadline(asked.time_limit), plain)


def test_a_program_that_keeps_the_budget_is_taken():
    plan = fitted(Counted(), request(), 2 * WHOLE)
    assert plan.measured_bytes == plan.memory_bytes <= plan.budget_bytes == WHOLE * 8 // 10
    assert (plan.keep_everything_bytes, plan.plain_bytes, plan.plain) == (WHOLE, 2 * WHOLE, False)
    assert "planned, measured" in str(plan)
    assert f"of plain jit's {2 * WHOLE:,}" in str(plan)


def test_a_program_that_takes_more_is_planned_for_less(capsys):
    asked = request(budget=WHOLE * 9 // 10, quiet=False, time_limit=11)
    plan = fitted(Counted([500, 0]), asked)
    # One for the budget asked for, with the bounds of that.
    assert plan.budget_bytes == plan.plan.problem.budget == WHOLE * 9 // 10
    assert plan.measured_bytes <= plan.budget_bytes
    assert plan.gap is not None
    again = [line for line in capsys.readouterr().err.splitlines() if "again, as the compiled program takes" in line]
    assert again


def test_a_program_that_takes_less_is_planned_for_more():
    tight = fitted(Counted(), request())
    roomy = fitted(Counted([-(WHOLE // 8)]), request())
    assert roomy.overhead < tight.overhead
    assert roomy.measured_bytes <= roomy.budget_bytes == WHOLE * 8 // 10
    assert roomy.memory_bytes > roomy.budget_bytes
    # The bounds are for what the plan was made for.
    assert roomy.plan.problem.budget >= roomy.memory_bytes


def test_a_program_that_was_measured_before_is_never_refused():
    programs = Counted([-(WHOLE // 8)])
    first = fitted(programs, request())
    programs.beyond = [10 * WHOLE]
    again = fitted(programs, request(budget=first.measured_bytes + 1))
    assert (again.schedule, again.measured_bytes) == (first.schedule, first.measured_bytes)


def test_attempts_end():
    programs = Counted([10_000])
    with pytest.raises(UnreachableBudget, match=r"whose compiled program keeps .*the smallest one takes [\d,]+ bytes"):
        fitted(programs, request())
    assert 1 <= len(programs.known) <= len(SHARES)


def test_one_limit_holds_for_all_attempts():
    programs, asked = Counted([-(WHOLE // 8)]), request()
    fit(programs, asked, Deadline(0), None)
    assert len(programs.known) == 1


def test_without_measuring_the_plan_is_believed():
    plan = fitted(Counted([10_000]), request(measure=False))
    assert plan.measured_bytes is None
    assert "not measured" in str(plan)
    assert f"of keep-everything's {WHOLE:,}" in str(plan)


def test_the_program_as_it_is_needs_no_plan():
    plan = plain_plan(LOWERED, WHOLE // 2, WHOLE // 2, WHOLE // 2)
    assert plan.plain
    assert plan.measured_bytes == plan.plain_bytes == plan.budget_bytes == WHOLE // 2
    assert (plan.overhead, plan.gap) == (0, 0)
    assert "as JAX compiles it" in str(plan)
    taken = take(Counted(), request(budget=None, plan=plan), WHOLE // 2)
    assert (taken.plain, taken.measured_bytes) == (True, WHOLE // 2)
    again = replace(plain_plan(LOWERED, WHOLE, WHOLE, WHOLE // 3), again=True)
    assert (again.measured_bytes, again.gap) == (WHOLE // 3, None)
    assert "computes again by itself" in str(again)


def test_a_plan_that_was_given_is_held_to_the_budget():
    programs = Counted()
    kept = keep_everything(LOWERED.graph)
    assert take(programs, request(budget=WHOLE, plan=kept), None).measured_bytes == WHOLE
    with pytest.raises(ExecutionError, match="over the budget"):
        take(programs, request(plan=kept), None)
    with pytest.raises(InfeasibleBudget, match="no schedule fits"):
        take(programs, request(budget=10, plan=kept), None)
    # Its program decides.
    assert take(Counted([-WHOLE // 2]), request(plan=kept), None).measured_bytes < WHOLE
    with pytest.raises(ExecutionError, match="peaks at"):
        take(programs, request(plan=kept, measure=False), None)


def test_planners_that_fail():
    with pytest.raises(InfeasibleBudget, match="no schedule fits 10 bytes"):
        fitted(Counted(), request(budget=10))
    with pytest.raises(UnreachableBudget, match="found no plan for loss within"):
        fitted(Counted(), request(solver="keep_all", budget=WHOLE * 6 // 10))
    with pytest.raises(NotApplicable):
        fitted(Counted(), request(solver="revolve", budget=WHOLE * 6 // 10))
    assert fitted(Counted(), replace(request(), solver=Eviction())).overhead >= 0
    assert 0 < CLOSE < 1
