"""The command line. Bad input gives one line on stderr and exit code 2."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

import hcp
from hcp.analysis.report import analyze_graph
from hcp.bounds import solved_bounds
from hcp.compare import Comparison, compare
from hcp.graph.builders import load_graph
from hcp.graph.errors import HcpError
from hcp.graph.files import read_json, write_atomically
from hcp.graph.instances import INSTANCES, instance
from hcp.graph.ir import Graph
from hcp.graph.visualize import to_dot, to_svg
from hcp.planfile import SCHEMA, load_plan, save_plan, verify_plan
from hcp.planners import PLANNERS, planner_named, solve
from hcp.progress import live_progress
from hcp.report.show import graph_table, plan_marks, planners_table
from hcp.report.tables import Table, comparison_table, plan_table
from hcp.schedule.actions import keep_everything
from hcp.schedule.solution import DEFAULT_WORKERS

app = typer.Typer(
    help="Find provably near-optimal activation-checkpointing schedules.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

GRAPH_HELP = (
    "A graph file (hcp-graph/1, networkx node-link JSON, or ONNX), or a generator and its size such as unet:4 "
    f"({', '.join(INSTANCES)})."
)
SOLVER_HELP = "A planner; `hcp planners` lists them."
BUDGET_HELP = "Bytes, a size such as 8GiB, or a percentage of the keep-everything peak such as 80%."

Budget = Annotated[str, typer.Option("--budget", "-b", help=BUDGET_HELP)]
TimeLimit = Annotated[float, typer.Option("--time-limit", "-t", help="Seconds for each planner.")]
Seed = Annotated[int, typer.Option(help="Seed for planners that draw random numbers.")]
Workers = Annotated[int, typer.Option(help="Threads for solvers that have a choice.", min=1)]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"hcp {hcp.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None: ...


@app.command("solve")
def solve_command(
    graph: Annotated[str, typer.Argument(help=GRAPH_HELP)],
    budget: Budget,
    solver: Annotated[str, typer.Option("--solver", "-s", help=SOLVER_HELP)] = "auto",
    time_limit: TimeLimit = 60.0,
    seed: Seed = 0,
    workers: Workers = DEFAULT_WORKERS,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
    out: Annotated[Path | None, typer.Option(help="Write the plan to this file (hcp-plan/1).")] = None,
    quiet: Quiet = False,
) -> None:
    """Plan one graph within a budget."""
    planner_named(solver)
    loaded = _graph(graph)
    _check_target(out)
    with live_progress(time_limit, quiet) as monitor:
        plan = solve(loaded, budget, solver, time_limit=time_limit, workers=workers, seed=seed, monitor=monitor)
    if as_json:
        _print_json(plan.to_dict())
    else:
        _print(plan_table(plan))
    if out is not None:
        save_plan(plan, out)


@app.command("compare")
def compare_command(
    graphs: Annotated[list[str], typer.Argument(help=GRAPH_HELP)],
    budget: Annotated[list[str], typer.Option("--budget", "-b", help=f"{BUDGET_HELP} Repeat for several.")],
    solver: Annotated[list[str], typer.Option("--solver", "-s", help=f"{SOLVER_HELP} Repeat for several.")],
    time_limit: TimeLimit = 60.0,
    seed: Seed = 0,
    workers: Workers = DEFAULT_WORKERS,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the rows to this JSON file.")] = None,
    csv_file: Annotated[Path | None, typer.Option("--csv", help="Write the table to this CSV file.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write the table to this Markdown file.")] = None,
    latex: Annotated[Path | None, typer.Option(help="Write the table to this LaTeX file (booktabs).")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw cost against budget into this image file.")] = None,
    quiet: Quiet = False,
) -> None:
    """Compare planners on graphs and budgets; every gap uses the best bound that any of them proved."""
    for name in solver:
        planner_named(name)
    loaded = [_graph(text) for text in graphs]
    for target in (json_file, csv_file, markdown, latex, plot):
        _check_target(target)
    if plot is not None:
        from hcp.report.figures import pyplot

        pyplot()
    with live_progress(time_limit, quiet) as monitor:
        comparison = compare(loaded, budget, solver, time_limit=time_limit, workers=workers, seed=seed, monitor=monitor)
    table = comparison_table(comparison)
    _print(table)
    for message in dict.fromkeys(row.message for row in comparison.rows if row.message and row.plan is None):
        typer.echo(message, err=True)
    texts = {csv_file: table.to_csv, markdown: table.to_markdown, latex: table.to_latex}
    for target, render in texts.items():
        if target is not None:
            write_atomically(target, render())
    _write_results(comparison, json_file, plot)


@app.command()
def show(
    target: Annotated[str, typer.Argument(help=f"{GRAPH_HELP} Or a plan file.")],
    dot: Annotated[Path | None, typer.Option(help="Write the graph to this DOT file.")] = None,
    svg: Annotated[Path | None, typer.Option(help="Draw the graph into this SVG file.")] = None,
) -> None:
    """Show a graph, or a plan judged again by replay."""
    for file in (dot, svg):
        _check_target(file)
    if _is_plan(target):
        plan = load_plan(target)
        graph, schedule = plan.graph, plan.schedule
        _print(plan_table(plan))
    else:
        graph, schedule = _graph(target), None
        _print(graph_table(graph))
    marks = plan_marks(graph, keep_everything(graph) if schedule is None else schedule)
    for file, draw in ((dot, to_dot), (svg, to_svg)):
        if file is not None:
            write_atomically(file, draw(graph, marks))


@app.command()
def verify(plan: Annotated[str, typer.Argument(help="A plan file (hcp-plan/1).")]) -> None:
    """Check a plan and its bounds in exact integer arithmetic, with no solver."""
    _print(plan_table(verify_plan(plan)))


@app.command()
def analyze(
    graph: Annotated[str, typer.Argument(help=GRAPH_HELP)],
    budget: Annotated[str | None, typer.Option("--budget", "-b", help=f"{BUDGET_HELP} Adds LP bounds.")] = None,
    time_limit: TimeLimit = 30.0,
    seed: Seed = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Analyse a graph: frontier, orders, height-compressibility, lower bounds."""
    loaded = _graph(graph)
    solved = () if budget is None else solved_bounds(loaded, budget, time_limit)
    report = analyze_graph(loaded, seed, solved)
    if as_json:
        _print_json(report.to_dict())
    else:
        _print(Table(("", "value"), report.rows(), (False, False)))


@app.command()
def planners() -> None:
    """List the planners."""
    _print(planners_table(PLANNERS))


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for demo.json, demo.md and demo.png.")] = Path("results"),
    quiet: Quiet = False,
) -> None:
    """Plan and run a GPT-style model's training step within half its memory; needs the extras torch and plot."""
    _check_extras()
    from hcp.integrations.torch.demo import run

    run(out=out, quiet=quiet)


def main() -> None:
    """The entry point: errors of hcp become one line on stderr and exit code 2."""
    try:
        app()
    except HcpError as error:
        typer.echo(f"hcp: error: {' '.join(str(error).split())}", err=True)
        sys.exit(2)


def _graph(text: str) -> Graph:
    name = text.partition(":")[0]
    if ":" in text and name in INSTANCES and not Path(text).exists():
        return instance(text)
    return load_graph(text)


def _is_plan(text: str) -> bool:
    if not Path(text).is_file():
        return False
    data = read_json(text, "file")
    return isinstance(data, dict) and data.get("schema") == SCHEMA


def _check_target(path: Path | None) -> None:
    """Refuses a file that cannot be written, before the work that it is for."""
    if path is not None and (path.is_dir() or not path.absolute().parent.is_dir()):
        raise HcpError(f"cannot write {str(path)!r}; give a file in an existing folder")


def _check_extras() -> None:
    from importlib.util import find_spec

    for module, extra in (("torch", "torch"), ("matplotlib", "plot")):
        if find_spec(module) is None:
            raise HcpError(f"{module} is not installed; pip install 'hcp-checkpointing[{extra}]'")


def _print(table: Table) -> None:
    """A drawn table on a terminal, plain aligned text elsewhere."""
    from rich.console import Console

    console = Console()
    if console.is_terminal:
        console.print(table.to_rich())
    else:
        typer.echo(table.to_text())


def _print_json(data: dict[str, object]) -> None:
    typer.echo(json.dumps(data, allow_nan=False))


def _write_results(comparison: Comparison, json_file: Path | None, plot: Path | None) -> None:
    if json_file is not None:
        write_atomically(json_file, json.dumps(comparison.to_dict(), indent=2) + "\n")
    if plot is not None:
        from hcp.report.figures import plot_comparison

        plot_comparison(comparison, plot)


if __name__ == "__main__":
    main()
