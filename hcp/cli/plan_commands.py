"""``hcp solve`` and ``hcp minimize``."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from hcp.cli.options import (
    AsJson,
    Backend,
    Budget,
    EngineNames,
    GraphText,
    HostBandwidth,
    HostLatency,
    HostMemory,
    HostOverlap,
    InputShapes,
    Order,
    ParamsFile,
    Quiet,
    Seed,
    Solver,
    TimeLimit,
    TrainingText,
    Verbose,
    Workers,
    WorkLimit,
    check_target,
    graph_from,
    host_from,
    limited,
    order_from,
    planner_from,
    with_engines,
)
from hcp.cli.output import print_json, print_table
from hcp.graph.errors import HcpError
from hcp.least_peak import minimize_peak
from hcp.planners import solve
from hcp.planning.problem import DEFAULT_WORKERS, LEAST_PART, Limits
from hcp.plans.file import save_plan
from hcp.progress import live_progress
from hcp.report.tables import least_peak_table, plan_table


def solve_command(
    graph: GraphText,
    budget: Budget,
    solver: Solver = "auto",
    time_limit: TimeLimit = 60.0,
    seed: Seed = 0,
    workers: Workers = DEFAULT_WORKERS,
    work_limit: WorkLimit = None,
    order: Order = "free",
    backend: Backend = None,
    params: ParamsFile = None,
    host_bandwidth: HostBandwidth = None,
    host_latency: HostLatency = 0,
    host_memory: HostMemory = None,
    host_overlap: HostOverlap = False,
    engines: EngineNames = None,
    input_shapes: InputShapes = None,
    training: TrainingText = None,
    as_json: AsJson = False,
    out: Annotated[Path | None, typer.Option(help="Write the plan to this file (hcp-plan/1).")] = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Plan one graph within a budget.

    \b
      hcp solve unet:4 --budget 70% --time-limit 10
      hcp solve graph.json -b 8GiB -s cpsat --out plan.json
      hcp solve unet:4 -b 60% --host-bandwidth 100 --host-overlap
      hcp solve unet:4 -b 60% --params auto.toml      (after: hcp planners auto > auto.toml)
    """
    deadline = Limits(time_limit).deadline()
    planner = planner_from(solver, backend, params)
    with limited(deadline, f"reading {graph}"):
        loaded = with_engines(graph_from(graph, input_shapes, training), engines)
    host = host_from(loaded, host_bandwidth, host_latency, host_memory, host_overlap)
    check_target(out, given=(graph,))
    with live_progress(time_limit, quiet, verbose) as monitor:
        plan = solve(
            loaded,
            budget,
            planner,
            # Loading counts as well.
            time_limit=max(LEAST_PART, deadline.left),
            order=order_from(order, loaded),
            workers=workers,
            seed=seed,
            monitor=monitor,
            host=host,
            work_limit=work_limit,
        )
    plan = replace(plan, planner=solver)
    if as_json:
        print_json(plan.to_dict())
    else:
        print_table(plan_table(plan))
    if out is not None:
        save_plan(plan, out)


def minimize(
    graph: GraphText,
    overhead: Annotated[str, typer.Option("--overhead", "-o", help="Extra cost that is allowed, such as 10%.")] = "0%",
    solver: Solver = "auto",
    time_limit: Annotated[float, typer.Option("--time-limit", "-t", help="Seconds for the whole call.")] = 60.0,
    seed: Seed = 0,
    workers: Workers = DEFAULT_WORKERS,
    backend: Backend = None,
    params: ParamsFile = None,
    input_shapes: InputShapes = None,
    training: TrainingText = None,
    as_json: AsJson = False,
    out: Annotated[Path | None, typer.Option(help="Write the plan to this file (hcp-plan/1).")] = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Find the smallest peak for a limit on the extra cost, with a lower bound.

    \b
      hcp minimize unet:4 --overhead 10% --time-limit 20
    """
    deadline = Limits(time_limit).deadline()
    planner = planner_from(solver, backend, params)
    allowed = _fraction(overhead)
    with limited(deadline, f"reading {graph}"):
        loaded = graph_from(graph, input_shapes, training)
    check_target(out, given=(graph,))
    with live_progress(time_limit, quiet, verbose) as monitor:
        found = minimize_peak(
            loaded,
            allowed,
            planner,
            time_limit=max(LEAST_PART, deadline.left),
            workers=workers,
            seed=seed,
            monitor=monitor,
        )
    if as_json:
        print_json(found.to_dict())
    else:
        print_table(least_peak_table(found))
    if out is not None:
        save_plan(found.plan, out)


def _fraction(text: str) -> float:
    number, percent, rest = text.strip().partition("%")
    try:
        value = float(number)
    except ValueError:
        rest = text
        value = 0.0
    if rest:
        raise HcpError(f"overhead {text!r} is not understood; give a percentage such as 10%, or a fraction such as 0.1")
    return value / 100 if percent else value
