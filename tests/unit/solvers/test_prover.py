"""Proofs with more and more stages, and what planners make of them."""

from contextlib import suppress

import pytest

import hcp
from hcp.graph.cancellation import Cancelled
from hcp.graph.instances import instance
from hcp.planning.deadline import Deadline
from hcp.planning.problem import Limits, Problem
from hcp.planning.tracker import Tracker
from hcp.schedule.replay import keep_everything_usage
from hcp.solvers.cut_relaxation.chains import candidate_chains
from hcp.solvers.cut_relaxation.relaxation import RelaxationParams, Relaxer
from hcp.solvers.lifting import Lifter, LiftingParams
from hcp.solvers.prover import SOURCE, Prover
from hcp.solvers.tree.params import TreeParams
from tests.effort import some


def tracker_of(name, percent):
    graph = instance(name)
    return Tracker(Problem(graph, keep_everything_usage(graph).peak * percent // 100), Limits(60))


@pytest.mark.parametrize("name", some(["residual-net:6", "unet:3"], 1))
def test_stages_are_added_until_a_tree_proves_the_optimum(name):
    """The first chain alone is too coarse: its tree ends at a whole point that breaks the budget."""
    tracker = tracker_of(name, 60 if name == "unet:3" else 40)
    problem = tracker.problem
    coarse = Relaxer(problem.graph, problem.budget, Deadline(20)).solve_chain(
        candidate_chains(problem.graph, (4, 8))[1]
    )
    lifter = Lifter(tracker, tracker.deadline, LiftingParams())
    assert Prover(coarse, TreeParams()).prove(lifter, tracker.deadline) is None
    assert tracker.certified
    assert {bound.source for bound in tracker.bounds} == {SOURCE}
    assert len(tracker.bounds) > 1
    assert tracker.cost == hcp.solve(problem.graph, problem.budget, "cpsat", time_limit=60).cost


def test_without_refinement_a_coarse_chain_leaves_a_gap():
    tracker = tracker_of("residual-net:6", 40)
    problem = tracker.problem
    coarse = Relaxer(problem.graph, problem.budget, Deadline(20)).solve_chain(
        candidate_chains(problem.graph, (4, 8))[1]
    )
    lifter = Lifter(tracker, tracker.deadline, LiftingParams(refine_share=0))
    Prover(coarse, TreeParams()).prove(lifter, tracker.deadline)
    (bound,) = tracker.bounds
    assert not tracker.done
    assert bound.certificate.proven(problem.graph, problem.budget) == bound.value > problem.graph.base_cost


def test_a_proof_that_is_cut_short_goes_on_where_it_was():
    """Every turn ends in the middle of something; what the certificates prove never falls behind what is claimed."""
    tracker = tracker_of("transformer:3", 60)
    problem = tracker.problem
    tracker.offer(hcp.solve(problem.graph, problem.budget, "eviction").schedule)
    prover = Prover(
        Relaxer(problem.graph, problem.budget, Deadline(20), RelaxationParams(stages=(4, 8))).best(), TreeParams()
    )
    lifter = Lifter(tracker, tracker.deadline, LiftingParams())
    turns = 0
    while not tracker.done:
        deadline = tracker.deadline.part(0.05)
        with suppress(Cancelled), deadline.enforced():
            prover.prove(lifter, deadline)
        turns += 1
        assert turns < 2_000
    values = [bound.value for bound in tracker.bounds]
    assert turns > 1
    assert [bound.certificate.proven(problem.graph, problem.budget) for bound in tracker.bounds] == values
    assert tracker.cost == tracker.bound == 168_198_144


@pytest.mark.parametrize("solver", ["proof", "auto", "cpsat", "milp"])
def test_exact_planners_certify_what_they_call_optimal(solver):
    plan = hcp.solve(instance("unet:3"), "60%", solver, time_limit=60)
    assert (plan.status, plan.optimality, plan.cost) == (hcp.Status.OPTIMAL, "certified", 20_640)


def test_a_plan_with_a_tree_is_saved_and_verified(tmp_path):
    plan = hcp.solve(instance("residual-net:6"), "60%", "proof", time_limit=60)
    hcp.save_plan(plan, tmp_path / "plan.json")
    assert hcp.verify_plan(tmp_path / "plan.json").optimality == "certified"
