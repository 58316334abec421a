"""The names of the original design, where each is imported from, and a use of them all on any graph."""

import json
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

import hcp
from hcp.graph.ir import Graph
from hcp.heuristics.interval_tree import IntervalTree
from hcp.planning.problem import NotApplicable, Problem
from hcp.schedule.actions import keep_everything
from hcp.schedule.replay import replay

NAMES = {
    "hcp.graph.builders": ("from_networkx", "from_onnx", "load_graph", "save_graph"),
    "hcp.graph.topo": ("topological_order", "is_topological", "induced_subgraph"),
    "hcp.graph.visualize": ("Marks", "to_dot", "to_svg"),
    "hcp.analysis.frontier_width": (
        "FrontierSummary",
        "Snapshot",
        "compute_frontier_width",
        "frontier_profile",
        "summarize_frontier",
    ),
    "hcp.analysis.width_heuristics": ("ORDERS", "OrderStats", "best_heuristic_order", "evaluate_orders"),
    "hcp.analysis.hcp_criteria": ("HcpCriteria", "evaluate_hcp"),
    "hcp.analysis.lower_bounds": ("LowerBound", "lower_bound_report"),
    "hcp.analysis.report": ("GraphAnalysisReport", "analyze_graph"),
    "hcp.heuristics.interval_plan": (
        "build_balanced_interval_tree",
        "build_replay_plan",
        "make_interval_plan",
        "partition_into_blocks",
    ),
    "hcp.schedule.validate": ("Verdict", "validate_plan"),
    "hcp.runtime.executor": ("HeightCompressedExecutor",),
    "hcp.runtime.hooks": ("ExecutionCallbacks",),
    "hcp.runtime.registry": ("ActivationRegistry", "CheckpointRegistry"),
    "hcp.runtime.storage": ("CheckpointStorage",),
    "hcp.runtime.profiling": ("Event", "Profile", "Profiler"),
}

HEURISTICS = ("recompute_all", "revolve", "rotor", "lower_sets", "treewidth", "eviction", "knapsack", "interval_tree")

USES: list[Callable[[Graph, Path], None]] = []


def named(name: str) -> Any:
    """What a name of the design stands for."""
    (module,) = (module for module, names in NAMES.items() if name in names)
    return getattr(import_module(module), name)


def use(function: Callable[[Graph, Path], None]) -> Callable[[Graph, Path], None]:
    USES.append(function)
    return function


@use
def the_frontier(graph, folder):
    snapshots = named("frontier_profile")(graph)
    assert all(isinstance(snapshot, named("Snapshot")) for snapshot in snapshots)
    usage = replay(graph, keep_everything(graph))
    assert tuple(snapshot.running for snapshot in snapshots) == usage.profile
    summary = named("summarize_frontier")(snapshots)
    assert isinstance(summary, named("FrontierSummary"))
    assert (summary.peak, summary.tail) == (usage.peak, usage.final)
    assert named("compute_frontier_width")(graph) == summary.width >= summary.average


@use
def the_orders(graph, folder):
    found = named("evaluate_orders")(graph)
    assert all(isinstance(stats, named("OrderStats")) for stats in found)
    assert {stats.rule for stats in found} >= set(named("ORDERS")) - {"tree"}
    best = named("best_heuristic_order")(graph)
    assert named("is_topological")(graph, best)
    peak = replay(graph, keep_everything(graph, best)).peak
    assert peak == min(stats.peak for stats in found) <= replay(graph, keep_everything(graph)).peak


@use
def the_criteria(graph, folder):
    criteria = named("evaluate_hcp")(graph)
    assert isinstance(criteria, named("HcpCriteria"))
    assert 0 <= criteria.frontier_ratio <= 1
    plan = named("make_interval_plan")(graph)
    usage = replay(graph, named("build_replay_plan")(plan))
    assert len(plan.blocks) == criteria.blocks
    # The prediction is a bound where the fall reads the blocks in reverse, and an estimate elsewhere.
    assert usage.peak <= 1.5 * criteria.predicted_peak


@use
def the_lower_bounds(graph, folder):
    bounds = {bound.name: bound for bound in named("lower_bound_report")(graph)}
    assert all(isinstance(bound, named("LowerBound")) for bound in bounds.values())
    assert not bounds["frontier width"].holds
    peak = replay(graph, keep_everything(graph)).peak
    assert all(bound.value <= peak for bound in bounds.values() if bound.of == "peak" and bound.holds)
    assert bounds["every node once"].value == graph.base_cost


@use
def the_report(graph, folder):
    report = named("analyze_graph")(graph)
    assert isinstance(report, named("GraphAnalysisReport"))
    assert json.loads(json.dumps(report.to_dict()))["frontier"]["peak"] == report.frontier.peak
    assert graph.name in str(report)


@use
def the_interval_tree(graph, folder):
    for block_size in ("sqrt", "tuned", 8):
        plan = named("make_interval_plan")(graph, block_size=block_size)
        assert plan.blocks == named("partition_into_blocks")(plan.walk.rise, len(plan.blocks))
        assert plan.tree == named("build_balanced_interval_tree")(len(plan.blocks))
        verdict = named("validate_plan")(graph, named("build_replay_plan")(plan), order=graph.order)
        assert isinstance(verdict, named("Verdict"))
        assert verdict.valid
        for checkpoint in plan.checkpoints:
            assert checkpoint.bytes == sum(graph.values[name].bytes for name in checkpoint.values)
    budget = replay(graph, keep_everything(graph)).peak * 3 // 4
    balanced = IntervalTree(policy="balanced")(Problem(graph, budget)).schedule
    chosen = IntervalTree(policy="dp")(Problem(graph, budget)).schedule
    if balanced is not None:
        assert replay(graph, chosen).cost <= replay(graph, balanced).cost


@use
def the_heuristics(graph, folder):
    budget = replay(graph, keep_everything(graph)).peak * 7 // 10
    budget = max(budget, graph.index.least_bytes)
    refused = set()
    for solver in HEURISTICS:
        try:
            plan = hcp.solve(graph, budget, solver, time_limit=20)
        except NotApplicable:
            refused.add(solver)
        else:
            assert plan.peak is None or plan.peak <= budget
    # Their papers are about chains.
    assert refused <= {"revolve", "rotor"}


@use
def parts_orders_and_pictures(graph, folder):
    assert graph.validate() == graph.order == named("topological_order")(graph)
    part = named("induced_subgraph")(graph, graph.order[: max(1, len(graph.order) // 3)])
    assert part.base_cost <= graph.base_cost
    named("save_graph")(graph, folder / "graph.json")
    assert named("load_graph")(folder / "graph.json").fingerprint == graph.fingerprint
    marks = named("Marks")({graph.order[0]: 2}, graph.values.keys(), graph.values.keys())
    assert 'fill="orange"' in named("to_svg")(graph, marks)
    assert "runs 3 times" in named("to_dot")(graph, marks)


@use
def the_runtime(graph, folder):
    class Counting(named("ExecutionCallbacks")):
        """Every value is the number of its producer's runs, so that only who runs when is seen."""

        def inputs(self, loss):
            return {value.name: np.zeros(2) for value in graph.inputs}

        def compute(self, node, inputs, *, again):
            assert inputs.keys() == set(node.inputs)
            return {value.name: np.ones(2) for value in node.outputs}

    with named("CheckpointStorage")(folder / "checkpoints") as storage:
        executor = named("HeightCompressedExecutor")(storage, "disk")
        configured = executor.configure(graph, block_size=8)
        profile = executor.run(Counting()).profile
    assert isinstance(profile, named("Profile"))
    assert profile.recomputed == configured.usage.recomputed
    assert profile.recomputed_cost == configured.usage.cost - graph.base_cost
    assert profile.peak_bytes <= configured.usage.peak
    assert {event.name for event in profile.events if event.category == "store"} == configured.checkpoints
    profile.save_chrome_trace(folder / "trace.json")
    assert json.loads((folder / "trace.json").read_text())["traceEvents"]


def every_name() -> Iterator[tuple[str, str]]:
    return ((module, name) for module, names in NAMES.items() for name in names)
