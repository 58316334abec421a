"""The exact planners on graphs beyond the oracle, and what they do when stopped."""

import subprocess
import sys

import pytest

import hcp
from hcp.graph.errors import HcpError
from hcp.graph.instances import instance, training_chain
from hcp.graph.ir import Graph, Node, Value
from hcp.schedule.replay import replay
from hcp.solvers.cpsat import CpSat
from hcp.solvers.milp import Milp
from hcp.solvers.root import Root
from tests.effort import slow, some
from tests.interrupts import solve_and_interrupt

EXACT = ["cpsat", "milp"]


@pytest.mark.parametrize("solver", EXACT)
@pytest.mark.parametrize("name", some(["transformer:2", "unet:3", "residual-net:3"], 1))
def test_exact_planners_prove_an_optimum_and_agree(name, solver):
    graph = instance(name)
    plan = hcp.solve(graph, "80%", solver, time_limit=30)
    other = hcp.solve(graph, "80%", EXACT[1 - EXACT.index(solver)], time_limit=30)
    assert plan.status is hcp.Status.OPTIMAL
    assert plan.cost == other.cost
    assert plan.gap == 0


@pytest.mark.parametrize("solver", [*EXACT, "auto"])
@pytest.mark.parametrize("seed", some(range(8), 1))
def test_a_dear_node_makes_nothing_optimal_that_is_not(solver, seed):
    """A node that runs once in every good schedule: its cost must not hide what the others cost."""
    chain = training_chain(12, uniform=False, seed=seed)
    nodes = [Node(n.name, n.op, n.inputs, n.outputs, n.cost) for n in chain.nodes]
    plans = {}
    for cost in (1, 10**9):
        last = Node(nodes[-1].name, nodes[-1].op, nodes[-1].inputs, nodes[-1].outputs, cost)
        plans[cost] = hcp.solve(Graph((*nodes[:-1], last)), "60%", solver, time_limit=30)
    cheap, dear = (plan.cost - plan.graph.base_cost for plan in plans.values())
    assert plans[1].status is hcp.Status.OPTIMAL
    assert plans[10**9].status is hcp.Status.OPTIMAL
    assert dear == cheap


@slow
def test_lifted_schedules_are_told_of_before_they_are_polished():
    graph = instance("transformer:4")
    told = []
    plan = hcp.solve(graph, "50%", CpSat(on_lifted=told.append), time_limit=30)
    assert told
    costs = [replay(graph, schedule).cost for schedule in told]
    assert plan.status is hcp.Status.OPTIMAL
    # The last one stands for a proved optimum of a relaxation, so it costs no more than a schedule that fits.
    assert costs[-1] <= plan.cost


def test_the_auto_portfolio_is_no_worse_than_its_members():
    graph = instance("transformer:2")
    plan = hcp.solve(graph, "75%", "auto", time_limit=10)
    for member in ("keep_all", "sqrt_n", "chen_greedy", "interval_tree"):
        other = hcp.solve(graph, "75%", member)
        assert other.cost is None or plan.cost <= other.cost
    assert plan.best_bound().value > graph.base_cost


@pytest.mark.parametrize("solver", [*EXACT, "lp", "auto", "anneal"])
def test_an_interrupt_returns_the_best_so_far(solver):
    graph = instance("unet:4")
    start = hcp.solve(graph, "75%", "chen_greedy")
    plan = hcp.solve(graph, "75%", solver, time_limit=20, incumbent=start.schedule, stop=lambda: True)
    assert plan.interrupted
    if solver != "lp":
        assert plan.cost <= start.cost


@pytest.mark.parametrize("solver", some([*EXACT, "lp", "auto", "anneal"], 3))
def test_a_signal_reaches_a_solver_inside_native_code(solver):
    found = solve_and_interrupt("transformer:12", "45%", solver)
    assert found["interrupted"]
    assert found["seconds"] < 150


@pytest.mark.parametrize("solver", EXACT)
def test_infeasible_budgets_are_proved(solver):
    graph = instance("unet:3")
    least = int(graph.index.floor.max())
    with pytest.raises(hcp.InfeasibleBudget, match=r"alone holds .* smallest budget known to work"):
        hcp.solve(graph, least - 1, solver)


@pytest.mark.parametrize("solver", [*EXACT, "auto"])
def test_a_conflict_bound_above_the_relaxations_optimum_makes_nothing_infeasible(solver):
    # Within 4 bytes n0 has to run twice, which the cut relaxation does not see: its optimum is 1, the conflict bound 2.
    graph = Graph(
        (
            Node("n0", inputs=("in",), outputs=(Value("a", 0, resident=True), Value("b", 1)), cost=1),
            Node("n1", inputs=("in",), outputs=(Value("c", 4),)),
            Node("n2", inputs=("b",), outputs=(Value("d", 1, resident=True),)),
            Node("n3", inputs=("c", "a"), outputs=(Value("e", 0),)),
        ),
        (Value("in", 0, "input"),),
    )
    plan = hcp.solve(graph, 4, solver, time_limit=10)
    assert (plan.status, plan.cost) == (hcp.Status.OPTIMAL, 2)


@pytest.mark.parametrize("solver", ["cpsat", "milp"])
def test_without_a_relaxation_there_is_an_incumbent_all_the_same(solver, monkeypatch):
    """On large graphs the relaxation may not be solved in its share of the time."""
    monkeypatch.setattr("hcp.solvers.exact.solve_root", lambda *_: Root())
    plan = hcp.solve(instance("unet:2"), "80%", solver, work_limit=5)
    assert plan.schedule is not None
    assert plan.note == "the linear relaxation did not finish"


def test_a_missing_pulp_solver_is_named():
    with pytest.raises(HcpError, match=r"'NO_SUCH_SOLVER'.*choose one of.*HiGHS"):
        Milp(backend="NO_SUCH_SOLVER")


@pytest.mark.parametrize("order", ["highspy, ortools.sat.python.cp_model", "ortools.sat.python.cp_model, highspy"])
def test_both_solvers_live_in_one_process_in_either_import_order(order):
    code = f"""
import {order}
import hcp
from hcp.graph.instances import instance, training_chain
graph = instance("training-chain:9")
for solver in ("cpsat", "milp", "lp"):
    assert hcp.solve(graph, "60%", solver, time_limit=10).best_bound().value > 0
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
