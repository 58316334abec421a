"""Runs the demo: plans a GPT-style training step, trains by the plans, and writes what it found."""

import copy
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch

from hcp.compare import compare
from hcp.graph.errors import HcpError
from hcp.graph.files import write_atomically
from hcp.graph.ir import Graph
from hcp.integrations.torch.checkpoint import capture_graph, checkpoint
from hcp.integrations.torch.demo.models import GPT, CheckpointedGPT
from hcp.integrations.torch.demo.picture import Executed, plot_execution
from hcp.integrations.torch.demo.report import BLOCKS, EAGER, HALF, TIGHT, Result
from hcp.integrations.torch.demo.trial import Trainer, step_times, train_beside
from hcp.integrations.torch.measure import Memory
from hcp.planners import solve
from hcp.planning.plan import Plan
from hcp.progress import live_progress

SOLVERS: Final = ("keep_all", "sqrt_n", "chen_greedy", "interval_tree", "anneal", "milp", "cpsat")
BUDGET: Final = "50%"
TIGHT_SOLVERS: Final = ("anneal", "lp")
CURVE: Final = ("80%", "65%", "35%")


@dataclass(frozen=True)
class Settings:
    """Sizes and times; the defaults fit two cores and four minutes.

    Attributes:
        planning_seconds: For each planner of the comparison, and for the tight plan.
        curve_seconds: For each further point of cost against budget.
        rounds: Timed steps of each way of running.
        training_steps: Optimiser steps beside eager.
        seed: For weights, data and planners.
    """

    layers: int = 8
    width: int = 64
    heads: int = 4
    length: int = 128
    batch: int = 8
    vocabulary: int = 256
    dropout: float = 0.1
    planning_seconds: float = 22.0
    curve_seconds: float = 5.0
    rounds: int = 15
    training_steps: int = 3
    seed: int = 0


def run(out: Path | str = "results", *, quiet: bool = False, settings: Settings | None = None) -> Result:
    """Runs the demo, prints what it finds, and writes ``demo.json``, ``demo.md`` and ``demo.png``.

    Everything runs on one thread of the CPU, eager and planned alike, so that results and times repeat.

    Args:
        out: Folder to write to; made where it is missing.
        quiet: Show no progress.
        settings: Sizes and times.

    Raises:
        HcpError: If matplotlib is missing, or the folder cannot be written to.
    """
    settings = settings or Settings()
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        result, memory, curve = _measure(settings, quiet)
    finally:
        torch.set_num_threads(threads)
    print(result.to_text())
    write_atomically(folder / "demo.json", json.dumps(result.to_dict(), indent=2) + "\n")
    write_atomically(folder / "demo.md", result.to_markdown())
    plot_execution(
        folder / "demo.png",
        plan=result.half,
        measured=memory,
        curve=curve,
        rows={
            row.solver: (row.plan.peak, row.plan.overhead)
            for row in result.comparison.rows
            if row.plan is not None and row.plan.peak is not None and row.plan.overhead is not None
        },
        executed=result.executed,
    )
    return result


def _measure(settings: Settings, quiet: bool) -> tuple[Result, Memory, list[tuple[int, float]]]:
    """The result, the memory of a step within the budget, and the curve of cost against peak."""
    eager, batch = _training(settings)
    ways = {EAGER: Trainer(eager, batch), BLOCKS: Trainer(CheckpointedGPT(copy.deepcopy(eager)), batch)}
    memories = {name: _warm(way).memory() for name, way in ways.items()}
    graph = capture_graph(eager, batch, cost="measured")
    with live_progress(settings.planning_seconds, quiet) as monitor:
        comparison = compare(
            graph, BUDGET, SOLVERS, time_limit=settings.planning_seconds, seed=settings.seed, monitor=monitor
        )
        tightly = compare(
            graph,
            memories[BLOCKS].peak,
            TIGHT_SOLVERS,
            time_limit=settings.planning_seconds,
            seed=settings.seed,
            monitor=monitor,
        )
    half, tight = (next((row.plan for row in each.rows if row.winner), None) for each in (comparison, tightly))
    if half is None or tight is None:
        raise HcpError(
            "no planner met the demo's budgets in time; give planning_seconds more, or run on an idle machine"
        )
    curve = _curve(graph, settings, half, tight)
    for name, plan in ((HALF, half), (TIGHT, tight)):
        ways[name] = Trainer(_planned(copy.deepcopy(eager), plan), batch)
        memories[name] = _warm(ways[name]).memory()
    times = step_times({name: way.step for name, way in ways.items()}, rounds=settings.rounds)
    # Training changes the weights, so it comes last, each plan beside an eager copy of its own.
    equality = {
        name: train_beside(
            Trainer(copy.deepcopy(eager), batch), ways[name], steps=settings.training_steps, seed=settings.seed
        )
        for name in (HALF, TIGHT)
    }
    executed = {name: Executed(memories[name].peak, times[name]) for name in ways}
    return Result(graph, comparison, tightly, half, tight, equality, executed), memories[HALF], curve


def _training(settings: Settings) -> tuple[GPT, tuple[torch.Tensor, torch.Tensor]]:
    torch.manual_seed(settings.seed)
    model = GPT(
        layers=settings.layers,
        width=settings.width,
        heads=settings.heads,
        context=settings.length,
        vocabulary=settings.vocabulary,
        dropout=settings.dropout,
    )
    tokens = torch.randint(0, settings.vocabulary, (settings.batch, settings.length + 1))
    return model, (tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous())


def _planned(model: GPT, plan: Plan) -> GPT:
    """A model that runs a plan; its graph has the costs of the plan's, so that the plan recognises it."""
    nodes = plan.graph.node
    return checkpoint(model, plan=plan, cost=lambda operation: nodes[operation.name].cost)


def _warm(way: Trainer) -> Trainer:
    """The first step compiles, and prepares libraries."""
    way.step()
    return way


def _curve(graph: Graph, settings: Settings, *known: Plan) -> list[tuple[int, float]]:
    """Peak and extra cost of good plans at several budgets, by falling peak."""
    found = [solve(graph, budget, "anneal", time_limit=settings.curve_seconds, seed=settings.seed) for budget in CURVE]
    points = [
        (plan.peak, plan.overhead) for plan in (*known, *found) if plan.peak is not None and plan.overhead is not None
    ]
    return sorted([*points, (known[0].base.peak, 0.0)], reverse=True)
