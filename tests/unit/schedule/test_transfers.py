"""Offload and fetch: replay by hand and against a second machine, the link's costs, and plans in files."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hcp
from hcp import Compute, Fetch, Free, HostLink, Offload, Schedule, ScheduleError
from hcp.graph.errors import HcpError
from hcp.graph.instances import training_chain
from hcp.graph.ir import Graph, Node, Value
from hcp.planning.plan import judge
from hcp.plans.file import PlanFileError, load_plan, save_plan
from hcp.plans.verify import verify_plan
from hcp.report.tables import plan_table
from hcp.schedule.bandwidth import parse_link
from hcp.schedule.host import PER
from hcp.schedule.replay import replay
from hcp.schedule.validate import validate_plan
from tests.effort import examples
from tests.strategies import graphs
from tests.transfers import random_transfers

GRAPH = Graph(
    (
        Node("a", inputs=("i",), outputs=(Value("x", 10), Value("s", 1, resident=True)), cost=2, workspace=5),
        Node("b", inputs=(), outputs=(Value("y", 20),), cost=3, recomputable=False),
        Node("c", inputs=("x", "y"), outputs=(), cost=4, recomputable=False),
    ),
    (Value("i", 100, "input"),),
)
# Two bytes out and five bytes back in a unit of cost, and one for each transfer.
LINK = HostLink(2 * PER, 5 * PER, latency=1)


def test_a_transfer_costs_its_latency_and_its_bytes_rounded_up():
    assert [LINK.offload_cost(size) for size in (0, 1, 2, 3)] == [1, 2, 2, 3]
    assert [LINK.fetch_cost(size) for size in (0, 5, 6)] == [1, 2, 3]


def test_a_fetch_counts_when_it_arrives():
    actions = (
        *(Compute("a"), Offload("x"), Free("x"), Compute("b"), Fetch("x"), Compute("c")),
        *(Free("x"), Free("y")),
    )
    usage = replay(GRAPH, Schedule(actions), LINK)
    assert usage.profile == (116, 111, 121, 131, 131)
    assert (usage.cost, usage.transfer_cost, usage.transferred) == (9 + 6 + 3, 9, 20)
    assert (usage.peak, usage.peak_step, usage.host_peak, usage.final) == (131, 3, 10, 101)
    assert usage.recomputed == {}


def test_a_copy_stays_to_the_last_fetch_before_the_next_offload():
    steps = (
        *(Compute("a"), Compute("b"), Offload("x"), Offload("y"), Fetch("x"), Offload("x")),
        *(Fetch("y"), Fetch("x"), Compute("c")),
    )
    usage = replay(GRAPH, Schedule.from_steps(GRAPH, steps), LINK)
    assert usage.host_peak == 30
    # Nothing is fetched of this one, so it goes at once: the host never holds both.
    vain = Schedule.from_steps(GRAPH, (Compute("a"), Offload("x"), Compute("b"), Offload("y"), Compute("c")))
    assert replay(GRAPH, vain, LINK).host_peak == 20


@pytest.mark.parametrize(
    ("actions", "text"),
    [
        ((Compute("a"), Fetch("x")), "fetches value 'x', which is live"),
        ((Compute("a"), Free("x"), Fetch("x")), "the host has no copy"),
        ((Compute("a"), Free("x"), Offload("x")), "offloads value 'x', which is not live"),
        ((Compute("a"), Offload("s")), "offloads value 's', which is resident"),
        ((Compute("a"), Fetch("i")), "fetches value 'i', which is resident"),
        ((Offload("q"),), "offloads unknown value 'q'"),
        ((Compute("a"), Offload("x"), Compute("b"), Offload("y"), Free("y"), Fetch("y"), Free("x"), Fetch("x")), "25"),
    ],
)
def test_illegal_transfers_are_refused(actions, text):
    with pytest.raises(ScheduleError, match=text):
        replay(GRAPH, Schedule(actions), HostLink(PER, PER, capacity=25))


def test_nothing_moves_without_a_link():
    schedule = Schedule((Compute("a"), Offload("x"), Compute("b"), Compute("c")))
    with pytest.raises(ScheduleError, match="there is no host link"):
        replay(GRAPH, schedule)
    assert validate_plan(GRAPH, schedule, host=LINK).valid
    assert "no host link" in validate_plan(GRAPH, schedule).faults[0]


def by_definition(graph, steps, link):
    """Peaks on device and host, and cost, from each instance's and each copy's first and last step."""
    device, host = [0] * len(steps), [0] * len(steps)
    cost = 0
    for value in graph.values.values():
        makes, reads, copies, fetches = [], [], [], []
        for i, step in enumerate(steps):
            if isinstance(step, Compute):
                node = graph.node[step.node]
                makes += [i] if value.name in {v.name for v in node.outputs} else []
                reads += [i] if value.name in node.inputs else []
            elif step.value == value.name:
                (fetches if isinstance(step, Fetch) else copies).append(i)
        cost += len(copies) * link.offload_cost(value.bytes) + len(fetches) * link.fetch_cost(value.bytes)
        made = sorted(makes + fetches)
        spans = [
            (i, max([i, *(r for r in reads + copies if i < r < end)]))
            for i, end in zip(made, [*made[1:], len(steps)][: len(made)], strict=True)
        ]
        if value.name not in graph.producer:
            spans = [(0, len(steps) - 1)]
        elif value.resident:
            spans = [(makes[0], len(steps) - 1), *((i, i) for i in makes[1:])]
        ends = [*copies[1:], len(steps)][: len(copies)]
        kept = [(i, max([i, *(f for f in fetches if i < f < e)])) for i, e in zip(copies, ends, strict=True)]
        for memory, lives in ((device, spans), (host, kept)):
            for first, last in lives:
                for i in range(first, last + 1):
                    memory[i] += value.bytes
    runs = [graph.node[step.node] if isinstance(step, Compute) else None for step in steps]
    peak = max(m + (node.workspace if node else 0) for m, node in zip(device, runs, strict=True))
    return peak, max(host), cost + sum(node.cost for node in runs if node)


@settings(max_examples=examples(200), deadline=None)
@given(graphs(), st.integers(0, 10**6))
def test_replay_agrees_with_the_definition(graph, seed):
    schedule = random_transfers(graph, seed)
    usage = replay(graph, schedule, LINK)
    assert (usage.peak, usage.host_peak, usage.cost) == by_definition(graph, schedule.steps, LINK)
    assert len(usage.profile) == len(schedule.steps)


def test_bandwidths_as_people_write_them():
    assert parse_link("12GiB/s", GRAPH) == HostLink(12 * 2**30, 12 * 2**30)
    assert parse_link("0.5", GRAPH).offload_cost(3) == 6
    assert parse_link(LINK, GRAPH) is LINK


@pytest.mark.parametrize("text", ["", "12GiB", "-1GB/s", "12 parsecs/s", "0", "0GB/s", 5, None])
def test_other_bandwidths_are_refused(text):
    with pytest.raises(HcpError, match="bandwidth"):
        parse_link(text, GRAPH)


def test_seconds_mean_nothing_to_a_graph_that_counts_something_else():
    with pytest.raises(HcpError, match="are in units"):
        parse_link("12GiB/s", training_chain(3))


@pytest.mark.parametrize(
    ("change", "name"),
    [({"offload_rate": 0}, "offload_rate 0"), ({"latency": -1}, "latency -1"), ({"capacity": 1.5}, "capacity 1.5")],
)
def test_impossible_links_are_refused(change, name):
    with pytest.raises(HcpError, match=name):
        HostLink(**{"offload_rate": 1, "fetch_rate": 1, **change})


@pytest.fixture
def plan():
    graph = training_chain(6)
    found = (random_transfers(graph, seed) for seed in range(100))
    schedule = next(schedule for schedule in found if Fetch in map(type, schedule.steps))
    problem = hcp.Problem(graph, 100, host=HostLink(PER, PER, 1, 50))
    return judge(problem, hcp.Solution(schedule, hcp.Status.FEASIBLE, planner="test"))


def test_plan_files_keep_transfers_and_their_link(plan, tmp_path):
    save_plan(plan, tmp_path / "p.json")
    again = verify_plan(tmp_path / "p.json")
    assert again.schedule == plan.schedule
    assert again.problem.host == plan.problem.host
    assert (again.usage, again.to_dict()) == (plan.usage, plan.to_dict())
    assert plan.to_dict()["transferred_bytes"] == plan.usage.transferred > 0


def test_what_moved_is_told(plan):
    rows = dict(plan_table(plan).rows)
    assert rows["host"].startswith(f"{plan.usage.transferred} B moved, which costs {plan.usage.transfer_cost} units")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda d: d.pop("host"), "there is no host link"),
        (lambda d: d["host"].update(capacity=0), "over its capacity of 0"),
        (lambda d: d["host"].update(latency=5), "claims cost"),
        (lambda d: d["host"].update(fetch_rate="fast"), "fetch_rate 'fast'"),
        (lambda d: d["host"].pop("latency"), "no attribute 'latency'"),
        (lambda d: d.update(host=3), "host is 3"),
    ],
)
def test_changed_links_are_refused(plan, tmp_path, change, text):
    save_plan(plan, tmp_path / "p.json")
    data = json.loads((tmp_path / "p.json").read_text())
    change(data)
    (tmp_path / "p.json").write_text(json.dumps(data))
    with pytest.raises(PlanFileError, match=text):
        load_plan(tmp_path / "p.json")


def test_bounds_on_recomputation_prove_nothing_where_values_can_be_fetched(tmp_path):
    graph = training_chain(6)
    plain = hcp.solve(graph, 6, "lp")
    bound = plain.best_bound()
    assert plain.verified(bound)
    moved = judge(
        hcp.Problem(graph, 100, host=HostLink(PER, PER)),
        # One that the bound does not contradict.
        hcp.Solution(hcp.solve(graph, 6, "sqrt_n").schedule, hcp.Status.FEASIBLE, (bound,), "test"),
    )
    assert bound in moved.bounds
    assert not moved.verified(bound)
    save_plan(moved, tmp_path / "p.json")
    with pytest.raises(PlanFileError, match="its certificate proves 0"):
        verify_plan(tmp_path / "p.json")
