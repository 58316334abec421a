"""Blocks, tree, checkpoints and policies of height-compressed replay."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hcp.analysis.frontier_width import frontier_profile
from hcp.graph.errors import HcpError
from hcp.graph.instances import instance, training_chain
from hcp.heuristics.interval_plan import (
    build_balanced_interval_tree,
    build_replay_plan,
    make_interval_plan,
    partition_into_blocks,
)
from hcp.heuristics.interval_policy import BlockFigures, select_checkpoints
from hcp.heuristics.interval_tree import IntervalTree
from hcp.planning.problem import Problem
from hcp.schedule.actions import Schedule, keep_everything
from hcp.schedule.replay import replay
from hcp.schedule.validate import validate_plan
from tests.effort import examples
from tests.strategies import problems


@given(st.integers(1, 60), st.integers(1, 80))
def test_blocks_partition_the_positions(length, count):
    blocks = partition_into_blocks(length, count)
    assert [i for block in blocks for i in block] == list(range(length))
    assert len(blocks) == min(count, length)
    sizes = [len(block) for block in blocks]
    assert max(sizes) - min(sizes) <= 1


def test_the_tree_is_balanced():
    tree = build_balanced_interval_tree(5)
    assert (tree.low, tree.middle, tree.high, tree.height) == (0, 2, 5, 3)
    assert (tree.left.height, tree.right.left.height, tree.right.right.height) == (1, 0, 1)
    assert [build_balanced_interval_tree(n).height for n in (1, 2, 8, 1000)] == [0, 1, 3, 10]


def test_a_chain_of_a_thousand_keeps_to_its_predicted_bound():
    graph = training_chain(1000)
    base = replay(graph, keep_everything(graph))
    for block_size in (1, 4, "sqrt", "tuned", 200):
        plan = make_interval_plan(graph, block_size=block_size)
        usage = replay(graph, build_replay_plan(plan))
        assert usage.peak <= 1.1 * plan.predicted_peak
        # The bound says something, too.
        assert plan.predicted_peak <= 3 * usage.peak
        assert usage.peak < base.peak / 4
        assert plan.tree.height == max(len(held) for held in plan.held)
        assert 1 + max(usage.recomputed.values()) <= 2 + plan.tree.height


def test_the_budget_tunes_the_blocks():
    graph = training_chain(200)
    for budget in (20, 40, 110):
        plan = make_interval_plan(graph, budget=budget)
        assert plan.predicted_peak <= budget
        verdict = validate_plan(graph, build_replay_plan(plan), budget, graph.order)
        assert verdict.valid
        if len(plan.blocks) > 1:
            size = -(-200 // (len(plan.blocks) - 1))
            assert make_interval_plan(graph, block_size=size + 1).predicted_peak > budget
    # None fits four values; the least is taken.
    assert make_interval_plan(graph, budget=4).predicted_peak == make_interval_plan(graph).predicted_peak


def test_checkpoints_are_frontiers():
    graph = instance("residual-net:6")
    plan = make_interval_plan(graph, block_size=3)
    assert plan.walk.rise == len([i for block in plan.blocks for i in block])
    snapshots = frontier_profile(graph)
    for checkpoint in plan.checkpoints:
        assert checkpoint.position == plan.blocks[checkpoint.block].start
        assert checkpoint.bytes == sum(graph.values[name].bytes for name in checkpoint.values)
        # The rise's frontier is part of what keep-everything has live there.
        assert set(checkpoint.values) <= snapshots[checkpoint.position - 1].live


def test_bad_requests_are_refused():
    graph = training_chain(5)
    with pytest.raises(HcpError, match="block size 0 is not positive"):
        make_interval_plan(graph, block_size=0)
    with pytest.raises(HcpError, match="'dp' chooses checkpoints for a budget"):
        make_interval_plan(graph, policy="dp")


FIGURES = BlockFigures(cost=(5, 5, 5, 5), frontier=(0, 2, 2, 2), widest=(1, 2, 2, 2), made=(3, 3, 3, 3), fixed=4)


def test_the_programme_on_four_blocks():
    """Each block needs 5 bytes beside the fixed 4, each checkpoint 2; blocks 0..1 and 2..3 are the tree's parts.

    A checkpoint before block 2 saves block 2 the way from the start: 5 instead of 15. One before block 1 or 3 saves
    nothing: 1 is reached once and served; 3 is where the sweep ends.
    """
    assert select_checkpoints(FIGURES, 4 + 5 + 4) == [(), (), (2,), (2,)]
    assert select_checkpoints(FIGURES, 4 + 5 + 2) == [(), (), (2,), (2,)]
    assert select_checkpoints(FIGURES, 4 + 5 + 1) == [(), (), (), ()]
    assert select_checkpoints(FIGURES, 4 + 4) is None
    assert select_checkpoints(FIGURES, 3) is None


@settings(max_examples=examples(150), deadline=None)
@given(problems())
def test_the_programme_is_never_worse_than_balanced(drawn):
    graph, budget = drawn
    problem = Problem(graph, budget)
    balanced, chosen = IntervalTree(policy="balanced")(problem), IntervalTree(policy="dp")(problem)
    if balanced.schedule is not None:
        assert replay(graph, chosen.schedule).cost <= replay(graph, balanced.schedule).cost


def test_the_programme_finds_schedules_where_balanced_does_not():
    graph = training_chain(64)
    budget = 7
    assert IntervalTree(policy="balanced")(Problem(graph, budget)).schedule is None
    usage = replay(graph, IntervalTree(policy="dp")(Problem(graph, budget)).schedule)
    assert usage.peak <= budget


def test_validation_names_the_faults():
    graph = training_chain(3)
    keep = keep_everything(graph)
    peak = replay(graph, keep).peak
    assert validate_plan(graph, keep, peak, graph.order).valid
    over = validate_plan(graph, keep, peak - 1)
    assert not over.valid
    assert f"exceeds the budget of {peak - 1} bytes" in over.faults[0]
    assert over.usage.peak == peak
    illegal = validate_plan(graph, Schedule.from_computes(graph, ("v0",)))
    assert illegal.usage is None
    assert "never runs node" in illegal.faults[0]
    other = instance("binary-tree:1")
    turned = Schedule.from_computes(other, (other.order[1], other.order[0], other.order[2]))
    assert "first executions" in validate_plan(other, turned, order=other.order).faults[0]
