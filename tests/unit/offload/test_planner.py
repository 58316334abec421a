"""Planning with a host link, against an exhaustive search and against planning without."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hcp
from hcp import HostLink, Status
from hcp.graph.errors import HcpError
from hcp.graph.instances import training_chain, transformer, unet
from hcp.graph.ir import Graph, Node, Value
from hcp.offload.planner import HostParams, WithHost
from hcp.planners import planner_named
from hcp.planning.problem import InfeasibleBudget
from hcp.schedule.actions import Fetch, Schedule, keep_everything
from hcp.schedule.host import PER
from tests.effort import examples, slow
from tests.host_oracle import cheapest_with_host
from tests.interrupts import solve_and_interrupt
from tests.strategies import problems

LINKS = st.builds(HostLink, st.sampled_from((PER // 4, PER, 3 * PER)), st.just(2 * PER), st.integers(0, 2))


@settings(max_examples=examples(80), deadline=None)
@given(problems(max_nodes=5), LINKS, st.sampled_from(("exhaustive", "eviction")))
def test_never_below_the_optimum_nor_above_the_plan_without_a_host(problem, host, solver):
    graph, budget = problem[0], max(1, problem[1])
    check_plan(graph, budget, host, solver, cheapest_with_host(graph, budget, host))


def check_plan(graph, budget, host, solver, optimum):
    """A planner's plan, or its proof that there is none, against what a search through all sequences found."""
    try:
        plan = hcp.solve(graph, budget, solver, host=host)
    except InfeasibleBudget:
        assert optimum is None
        return
    if plan.schedule is None:
        return
    assert plan.peak <= budget
    assert plan.cost == plan.usage.makespan >= optimum
    for bound in plan.bounds:
        assert bound.value <= optimum
        assert plan.verified(bound)
    try:
        without = hcp.solve(graph, budget, solver)
    except InfeasibleBudget:
        return
    assert without.cost is None or plan.cost <= without.cost


@settings(max_examples=examples(30), deadline=None)
@given(problems(max_nodes=6), LINKS)
def test_a_given_order_is_kept(problem, host):
    graph, budget = problem[0], max(1, problem[1])
    try:
        plan = hcp.solve(graph, budget, "exhaustive", order=graph.order, host=host)
    except InfeasibleBudget:
        return
    assert plan.schedule is None or plan.schedule.follows(graph.order)


@pytest.mark.parametrize(
    ("graph", "solver"), [pytest.param(unet(3), "cpsat", marks=slow), (transformer(2), "eviction")]
)
def test_a_fast_link_pays_and_a_slow_one_is_left_alone(graph, solver):
    each = sum(node.cost for node in graph.nodes) / sum(value.bytes for value in graph.values.values())
    plain = hcp.solve(graph, "70%", solver, time_limit=20)
    fast = hcp.solve(graph, "70%", solver, time_limit=20, host=HostLink(*[int(PER / each * 1000)] * 2))
    slow = hcp.solve(graph, "70%", solver, time_limit=20, host=HostLink(1, 1))
    assert fast.cost < plain.cost
    assert fast.usage.transferred > 0
    assert slow.usage.transferred == 0
    for plan in (fast, slow):
        assert plan.peak <= plan.problem.budget
        assert plan.gap >= 0


@pytest.mark.parametrize(("params", "bounded"), [(HostParams(), True), (HostParams(rounds=0, bound_share=0.0), False)])
def test_a_planner_with_a_host_may_bring_its_own_parameters(params, bounded):
    phases = set()
    plan = hcp.solve(
        unet(3),
        "60%",
        WithHost(planner_named("cpsat"), params),
        work_limit=2,
        host=HostLink(PER, PER),
        monitor=lambda news: phases.add(news.phase),
    )
    assert plan.schedule is not None
    assert ("bounds with transfers" in phases) is bounded


def test_planning_with_a_host_needs_one():
    with pytest.raises(HcpError, match="the problem has none; give host"):
        hcp.solve(unet(3), "60%", WithHost(planner_named("sqrt_n")))


def test_budgets_that_recomputation_alone_cannot_meet():
    # Both "a" and "b" run once, so that "x" has to go while "big" runs.
    graph = Graph(
        (
            Node("a", outputs=(Value("x", 4),), cost=1, recomputable=False),
            Node("b", inputs=("x",), outputs=(Value("y", 1),), cost=1, recomputable=False),
            Node("big", inputs=("y",), outputs=(Value("z", 9), Value("done", 0)), cost=1),
            Node("c", inputs=("x", "done"), cost=1),
        )
    )
    with pytest.raises(InfeasibleBudget):
        hcp.solve(graph, 12, "auto", time_limit=60)
    plan = hcp.solve(graph, 12, "auto", time_limit=60, host=HostLink(PER, PER))
    assert (plan.cost, plan.status, plan.gap) == (graph.base_cost + 8, Status.OPTIMAL, 0.0)
    with pytest.raises(InfeasibleBudget, match="smallest budget known"):
        hcp.solve(graph, 9, "auto", time_limit=60, host=HostLink(PER, PER))


def test_budgets_that_no_transfer_helps_are_proved_hopeless():
    # "a" runs once and everything else reads it all: no node alone is too large, but all orders are.
    outputs = tuple(Value(f"x{i}", 1, resident=True) for i in range(3))
    graph = Graph(
        (
            Node("a", outputs=(Value("big", 5),)),
            *(Node(f"n{i}", inputs=("big",), outputs=(outputs[i],), workspace=2 - i) for i in range(3)),
            Node("b", inputs=("big",), outputs=(Value("y", 1),)),
            Node("c", inputs=("y", *(v.name for v in outputs)), outputs=(Value("z", 4, resident=True),)),
        )
    )
    host = HostLink(PER, PER)
    for budget in (7, 9):
        optimum = cheapest_with_host(graph, budget, host)
        try:
            plan = hcp.solve(graph, budget, "auto", time_limit=60, host=host)
        except InfeasibleBudget:
            assert optimum is None
        else:
            assert optimum is not None
            assert plan.cost >= optimum


def test_the_hosts_capacity_is_respected():
    graph = unet(3)
    each = sum(node.cost for node in graph.nodes) / sum(value.bytes for value in graph.values.values())
    rate = int(PER / each * 1000)
    free = hcp.solve(graph, "55%", "eviction", host=HostLink(rate, rate))
    for capacity in (0, free.usage.host_peak // 2):
        plan = hcp.solve(graph, "55%", "eviction", host=HostLink(rate, rate, capacity=capacity))
        assert plan.usage.host_peak <= capacity < free.usage.host_peak
        assert plan.cost >= free.cost


def test_an_incumbent_with_transfers_is_never_lost():
    graph = training_chain(10)
    host = HostLink(100 * PER, 100 * PER)
    good = hcp.solve(graph, "50%", "eviction", host=host)
    assert Fetch in map(type, good.schedule.steps)
    again = hcp.solve(graph, "50%", "keep_all", host=host, incumbent=good.schedule)
    assert again.cost <= good.cost
    # One that is illegal, or was made for something else, is passed over.
    other = Schedule.from_computes(training_chain(10), training_chain(10).order[:3])
    assert hcp.solve(graph, "100%", "keep_all", host=host, incumbent=other).schedule == keep_everything(graph)


def test_progress_shows_costs_of_the_graph_itself():
    graph = unet(3)
    seen = []
    plan = hcp.solve(graph, "60%", "cpsat", time_limit=3, host=HostLink(PER, PER), monitor=seen.append)
    costs = [progress.incumbent for progress in seen if progress.incumbent is not None]
    assert costs
    assert min(costs) >= graph.base_cost
    assert all(progress.bound <= plan.cost for progress in seen if progress.bound is not None)
    assert [point.incumbent for point in plan.trace][-1] == plan.cost


def test_bad_links_are_refused():
    with pytest.raises(HcpError, match="bandwidth"):
        hcp.solve(training_chain(4), "80%", "keep_all", host="fast")


def test_ctrl_c_returns_the_best_so_far():
    result = solve_and_interrupt("transformer:3", "60%", "anneal", host="1000000")
    assert result["interrupted"]
    assert result["seconds"] < 200
