"""The portfolio's turns: who is asked, when it ends, and that nothing found is lost."""

import pytest

from hcp import portfolio
from hcp.graph.instances import training_chain
from hcp.planning.problem import Control, Limits, NotApplicable, Problem
from hcp.planning.solution import Bound, Solution, Status
from hcp.portfolio import Auto, AutoParams
from hcp.schedule.actions import Schedule, keep_everything
from hcp.schedule.replay import replay
from hcp.schedule.scopes import ORDER_FREE
from hcp.solvers.exhaustive import Exhaustive
from hcp.solvers.search import SearchParams

GRAPH = training_chain(5)
PROBLEM = Problem(GRAPH, replay(GRAPH, keep_everything(GRAPH)).peak - 2)
OPTIMAL = Exhaustive()(PROBLEM).schedule
NOTHING = Solution(None, Status.NO_SOLUTION)
# The heuristics alone, and what is left of the limit for the search that ends it.
QUICK_ONLY = AutoParams(least_search=0, proof_share=0, search=SearchParams(root_share=0))


class Member:
    """A planner that notes when it is asked and answers what it is told."""

    def __init__(self, answer, asked):
        self.answer, self.asked = answer, asked

    def __call__(self, problem, limits, control, /):
        self.asked.append(self)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def ask(monkeypatch):
    """Runs the portfolio with these answers of its quick members; gives the solution and who was asked."""

    def run(*answers, params=QUICK_ONLY, incumbent=None):
        asked = []
        members = tuple(Member(answer, asked) for answer in answers)
        monkeypatch.setattr(portfolio, "QUICK", members)
        # The memetic search beside them must not answer for them.
        monkeypatch.setattr(portfolio, "Evolution", lambda params: Member(NOTHING, []))
        solution = Auto(params)(PROBLEM, Limits(20, workers=1), Control(incumbent=incumbent))
        return solution, [members.index(member) for member in asked]

    return run


def feasible(schedule, *bounds):
    return Solution(schedule, Status.FEASIBLE, bounds)


def dear():
    """Within the budget and dearer than needed."""
    return Schedule.from_computes(GRAPH, [*OPTIMAL.computes[:2], OPTIMAL.computes[1], *OPTIMAL.computes[2:]])


@pytest.mark.parametrize("first", [NotApplicable("not for chains"), NOTHING])
def test_who_has_nothing_leaves_the_turn_to_the_next(ask, first):
    solution, asked = ask(first, feasible(OPTIMAL), feasible(dear()))
    assert asked == [0, 1, 2]
    assert solution.schedule == OPTIMAL


def test_a_schedule_that_meets_a_bound_ends_it(ask):
    bound = Bound(replay(GRAPH, OPTIMAL).cost, "cost", ORDER_FREE)
    solution, asked = ask(feasible(OPTIMAL, bound), feasible(dear()))
    assert asked == [0]
    assert solution.status is Status.OPTIMAL


def test_bounds_and_schedules_of_different_members_meet(ask):
    bound = Bound(replay(GRAPH, OPTIMAL).cost, "cost", ORDER_FREE)
    solution, asked = ask(Solution(None, Status.NO_SOLUTION, (bound,)), feasible(OPTIMAL), NOTHING)
    assert asked == [0, 1]
    assert solution.status is Status.OPTIMAL


def test_a_proof_that_nothing_fits_ends_it(ask):
    proof = Bound(PROBLEM.budget + 1, "peak", ORDER_FREE)
    solution, asked = ask(Solution(None, Status.INFEASIBLE, (proof,), note="too small"), feasible(OPTIMAL))
    assert asked == [0]
    assert (solution.status, solution.schedule) == (Status.INFEASIBLE, None)


def test_a_schedule_over_the_budget_counts_for_nothing(ask):
    solution, _ = ask(feasible(keep_everything(GRAPH)), feasible(OPTIMAL))
    assert solution.schedule == OPTIMAL


def test_the_incumbent_is_never_lost(ask):
    solution, _ = ask(feasible(dear()), incumbent=OPTIMAL)
    assert solution.schedule == OPTIMAL


def test_shares_of_zero_leave_members_out(ask):
    names = ("quick_share", "first_share", "compiling_share")
    params = AutoParams(**dict.fromkeys(names, 0), least_search=0, proof_share=0, search=SearchParams(root_share=0))
    _, asked = ask(feasible(OPTIMAL), params=params)
    assert asked == []
