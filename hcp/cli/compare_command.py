"""``hcp compare``."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from hcp.cli.config import read_config
from hcp.cli.options import (
    GRAPH_HELP,
    FigureSize,
    InputShapes,
    Quiet,
    Seed,
    Solvers,
    TimeLimit,
    TrainingText,
    Verbose,
    Workers,
    check_plot,
    check_target,
    graph_from,
    planner_from,
)
from hcp.cli.output import print_table, tell
from hcp.compare import compare
from hcp.grading import read_schedule
from hcp.graph.errors import HcpError
from hcp.graph.files import write_atomically
from hcp.graph.ir import Graph
from hcp.planning.compilation import STILL_COMPILING
from hcp.planning.problem import DEFAULT_WORKERS
from hcp.progress import sweep_progress
from hcp.report.comparison import front_table, latex_comparison, latex_front
from hcp.report.latex import check_label
from hcp.report.tables import comparison_numbers, comparison_table
from hcp.schedule.actions import Schedule
from hcp.sweeps.engines import ENGINES, engine_named
from hcp.sweeps.front import pareto as front_of
from hcp.sweeps.results import Comparison

_PARETO_BUDGETS = "grid:8"


def _load_config(context: typer.Context, path: Path | None) -> Path | None:
    if path is not None:
        context.default_map = read_config(path)
    return path


def _target(what: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(metavar="FILE", help=what)
    return option


def compare_command(
    graphs: Annotated[list[str], typer.Argument(help=GRAPH_HELP)],
    solver: Solvers,
    budget: Annotated[
        list[str] | None, typer.Option("--budget", "-b", help="A budget, or grid:8 for eight; repeat for several.")
    ] = None,
    schedule: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=FILE", help="Another system's schedule; repeat for several."),
    ] = None,
    time_limit: TimeLimit = 60.0,
    seed: Seed = 0,
    seeds: Annotated[int, typer.Option(help="Runs of each planner, each with a seed of its own.", min=1)] = 1,
    workers: Workers = DEFAULT_WORKERS,
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", callback=_load_config, is_eager=True, help="TOML with any of these options."),
    ] = None,
    store: Annotated[Path | None, _target("SQLite file to keep results in and resume from.")] = None,
    engine: Annotated[str, typer.Option(help=f"What runs the planners: {' or '.join(ENGINES)}.")] = "local",
    address: Annotated[
        str | None, typer.Option(help="Address of a Ray cluster; by default one starts on this machine.")
    ] = None,
    processes: Annotated[int | None, typer.Option(help="Worker processes of a Ray cluster on this machine.")] = None,
    pareto: Annotated[bool, typer.Option("--pareto", help="Print the front of cost and memory.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the rows as JSON.")] = None,
    csv_file: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write the table as CSV.")] = None,
    markdown: Annotated[Path | None, _target("Write the table as Markdown.")] = None,
    latex: Annotated[Path | None, _target("Write the table as LaTeX (booktabs).")] = None,
    caption: Annotated[str, typer.Option(help="Caption of the LaTeX table.")] = "",
    label: Annotated[str, typer.Option(help="Label of the LaTeX table.")] = "tab:hcp",
    input_shapes: InputShapes = None,
    training: TrainingText = None,
    html: Annotated[Path | None, _target("Write one page with tables and figures.")] = None,
    plot: Annotated[Path | None, _target("Draw the comparison (pdf, svg, png).")] = None,
    figure: Annotated[
        list[str] | None,
        typer.Option(metavar="cost|gap|front", help="What to draw; repeat for several."),
    ] = None,
    figure_size: FigureSize = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Compare planners on graphs and budgets; every gap uses the best bound that any of them proved.

    \b
      hcp compare unet:4 transformer:4 -b 80% -b 60% -s sqrt_n -s auto --latex table.tex --plot cost.pdf
      hcp compare unet:6 -b grid:8 -s auto -s rotor --store sweep.db      (run again after Ctrl-C, it resumes)
      hcp compare --config sweep.toml --engine ray
    """
    for name in solver:
        planner_from(name)
    loaded = [graph_from(text, input_shapes, training) for text in graphs]
    check_target(json_file, csv_file, markdown, latex, html, plot, given=(*graphs, *_files(schedule), store, config))
    size = check_plot(plot, figure, figure_size)
    _check_names(figure, label)
    budgets = budget or ([_PARETO_BUDGETS] if pareto else [])
    given = _schedules(schedule or [], loaded)
    with sweep_progress(time_limit, quiet, verbose) as (monitor, counter):
        comparison = compare(
            loaded,
            budgets,
            solver,
            time_limit=time_limit,
            workers=workers,
            seed=seed,
            seeds=seeds,
            store=store,
            engine=engine_named(engine, address, processes),
            monitor=monitor,
            notice=tell,
            counter=counter,
            schedules=given,
        )
    table = comparison_table(comparison)
    print_table(front_table(front_of(comparison.rows)) if pareto else table)
    for message in dict.fromkeys(row.message for row in comparison.rows if row.message and row.plan is None):
        tell(message)
    if any(STILL_COMPILING in row.message for row in comparison.rows):
        tell(STILL_COMPILING)
    _write(
        {
            json_file: lambda: json.dumps(_data(comparison, pareto), indent=2) + "\n",
            csv_file: lambda: comparison_numbers(comparison).to_csv(),
            markdown: lambda: comparison_numbers(comparison).to_markdown(),
            latex: lambda: _latex(comparison, pareto, caption, label),
            html: lambda: _page(comparison),
        }
    )
    if plot is not None:
        from hcp.report.figures import plot_comparison

        plot_comparison(comparison, plot, figure or (["cost", "front"] if pareto else []), size)


def _write(texts: dict[Path | None, Callable[[], str]]) -> None:
    """Writes the files that are asked for."""
    for target, render in texts.items():
        if target is not None:
            write_atomically(target, render())


def _check_names(figures: Sequence[str] | None, label: str) -> None:
    """Refuses what nothing can be drawn or written for, before hours of solving."""
    from hcp.report.drawing import check_figures
    from hcp.report.figures import FIGURES

    check_figures(figures or (), FIGURES, "a comparison")
    check_label(label)


def _latex(comparison: Comparison, pareto: bool, caption: str, label: str) -> str:
    """The table of the rows and, where it is asked for, that of the front."""
    front = latex_front(front_of(comparison.rows), label=f"{label}-front") if pareto else ""
    return latex_comparison(comparison, caption, label) + front


def _schedules(given: Sequence[str], graphs: Sequence[Graph]) -> dict[str, Schedule]:
    """The schedules of ``--schedule``, by name."""
    found: dict[str, Schedule] = {}
    for text in given:
        name, _, path = text.partition("=")
        if not name or not path or name in found:
            twice = " a second time" if name in found else ""
            raise HcpError(
                f"--schedule got {text!r}{twice}; give each a name of its own and a file, as in blocks=plan.json"
            )
        found[name] = read_schedule(path, graphs[0])
    return found


def _files(schedules: list[str] | None) -> list[str]:
    return [text.partition("=")[2] for text in schedules or ()]


def _data(comparison: Comparison, pareto: bool) -> dict[str, object]:
    front = {"front": [point.to_dict() for point in front_of(comparison.rows)]} if pareto else {}
    return comparison.to_dict() | front


def _page(comparison: Comparison) -> str:
    from hcp.report.page import to_html

    return to_html(comparison)
