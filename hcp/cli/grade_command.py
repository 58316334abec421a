"""``hcp grade``."""

from pathlib import Path
from typing import Annotated

import typer

from hcp.cli.options import (
    AsJson,
    EngineNames,
    GraphText,
    InputShapes,
    Quiet,
    Seed,
    Solver,
    TrainingText,
    Verbose,
    Workers,
    check_target,
    graph_from,
    limited,
    planner_from,
    with_engines,
)
from hcp.cli.output import print_json, print_table
from hcp.grading import grade, read_schedule
from hcp.planning.problem import DEFAULT_WORKERS, LEAST_PART, Limits
from hcp.plans.file import save_plan
from hcp.progress import live_progress
from hcp.report.tables import grade_table


def grade_command(
    graph: GraphText,
    schedule: Annotated[Path, typer.Argument(help="A plan file, or JSON with the executed nodes as 'computes'.")],
    solver: Solver = "auto",
    time_limit: Annotated[float, typer.Option("--time-limit", "-t", help="Seconds for the whole call.")] = 60.0,
    seed: Seed = 0,
    workers: Workers = DEFAULT_WORKERS,
    engines: EngineNames = None,
    input_shapes: InputShapes = None,
    training: TrainingText = None,
    as_json: AsJson = False,
    out: Annotated[Path | None, typer.Option(help="Write hcp's plan to this file (hcp-plan/1).")] = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Grade another system's schedule: its distance to the bound, and to hcp's plan, at its own peak.

    \b
      hcp grade unet:4 plan.json      (after: hcp solve unet:4 -b 70% -s sqrt_n --out plan.json)
    """
    deadline = Limits(time_limit).deadline()
    planner = planner_from(solver)
    with limited(deadline, f"reading {graph}"):
        loaded = with_engines(graph_from(graph, input_shapes, training), engines)
        theirs = read_schedule(schedule, loaded)
    check_target(out, given=(graph, schedule))
    with live_progress(time_limit, quiet, verbose) as monitor:
        found = grade(
            loaded,
            theirs,
            name=schedule.stem,
            solver=planner,
            time_limit=max(LEAST_PART, deadline.left),
            workers=workers,
            seed=seed,
            monitor=monitor,
        )
    if as_json:
        print_json(found.to_dict())
    else:
        print_table(grade_table(found))
    if out is not None:
        save_plan(found.plan, out)
