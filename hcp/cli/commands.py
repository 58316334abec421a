"""``hcp show``, ``verify``, ``analyze``, ``planners`` and ``demo``."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hcp.analysis.lower_bounds import lower_bound_report
from hcp.analysis.report import analyze_graph
from hcp.bounds import solved_bounds
from hcp.cli.options import (
    AsJson,
    FigureSize,
    GraphText,
    InputShapes,
    Quiet,
    Seed,
    TrainingText,
    check_page,
    check_plot,
    check_target,
    graph_from,
    json_of,
    limited,
    planner_from,
    planner_names,
)
from hcp.cli.output import print_json, print_table
from hcp.cli.planner_text import planner_text
from hcp.graph.errors import HcpError
from hcp.graph.files import write_atomically
from hcp.graph.visualize import to_dot, to_svg
from hcp.planners import PLANNERS
from hcp.planning.checks import CHECK_SECONDS
from hcp.planning.compilation import compile_parts
from hcp.planning.plan import Plan
from hcp.planning.problem import LEAST_PART, Limits
from hcp.plans.file import SCHEMA, load_plan
from hcp.plans.verify import check_plan
from hcp.report.show import graph_table, plan_marks, planners_table
from hcp.report.snapshot import save_snapshot
from hcp.report.tables import Table, plan_table, verification_table
from hcp.report.trace import save_trace
from hcp.schedule.actions import keep_everything

if TYPE_CHECKING:
    from hcp.report.drawing import Size


def show(
    target: Annotated[str, typer.Argument(help="A graph, a plan file, or an executed benchmark's results.")],
    dot: Annotated[Path | None, typer.Option(help="Write the graph to this DOT file.")] = None,
    svg: Annotated[Path | None, typer.Option(help="Draw the graph into this SVG file.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw a plan or results into this file (pdf, svg, png).")] = None,
    figure: Annotated[
        list[str] | None, typer.Option(help="What to draw: memory, schedule, graph, search; repeat for several.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write a plan as a page to explore it in the browser.")] = None,
    trace: Annotated[Path | None, typer.Option(help="Write a plan as a trace for ui.perfetto.dev (JSON).")] = None,
    snapshot: Annotated[
        Path | None, typer.Option(help="Write a plan as a snapshot for pytorch.org/memory_viz (pickle).")
    ] = None,
    figure_size: FigureSize = None,
    input_shapes: InputShapes = None,
    training: TrainingText = None,
) -> None:
    """Show a graph, a plan (replayed again), or measured runs.

    \b
      hcp show unet:4
      hcp show plan.json --plot plan.pdf --figure memory
      hcp show plan.json --html plan.html
    """
    check_target(dot, svg, trace, snapshot, html, plot, given=(target,))
    size = check_plot(plot, figure, figure_size)
    check_page(html)
    data = json_of(target) or {}
    views = {"--html": html, "--trace": trace, "--snapshot": snapshot}
    if data.get("schema") != SCHEMA:
        _refuse_views(target, views)
    if "benchmark" in data:
        _show_runs(data, plot, figure, size)
        return
    if data.get("schema") == SCHEMA:
        plan = load_plan(target)
        graph, schedule, host = plan.graph, plan.schedule, plan.problem.host
        print_table(plan_table(plan))
        if plot is not None:
            from hcp.report.plan_figures import plot_plan

            plot_plan(plan, plot, figure or (), size)
        _write_views(plan, html, trace, snapshot)
    else:
        if plot is not None:
            raise HcpError(f"{target!r} is a graph, and only plans can be plotted; give a plan file, or use --svg")
        graph, schedule, host = graph_from(target, input_shapes, training), None, None
        print_table(graph_table(graph))
    marks = plan_marks(graph, keep_everything(graph) if schedule is None else schedule, host)
    for file, draw in ((dot, to_dot), (svg, to_svg)):
        if file is not None:
            write_atomically(file, draw(graph, marks))


def _refuse_views(target: str, views: Mapping[str, Path | None]) -> None:
    for option, path in views.items():
        if path is not None:
            raise HcpError(
                f"{target!r} is no plan, and {option} writes plans; give a plan file, as hcp solve --out does"
            )


def _write_views(plan: Plan, html: Path | None, trace: Path | None, snapshot: Path | None) -> None:
    if html is not None:
        from hcp.report.explorer import save_page

        save_page(plan, html)
    if trace is not None:
        save_trace(plan, trace)
    if snapshot is not None:
        save_snapshot(plan, snapshot)


def _show_runs(data: dict[str, object], plot: Path | None, figure: Sequence[str] | None, size: "Size | None") -> None:
    if figure:
        raise HcpError(f"there is no figure {figure[0]!r} of measured runs, which have one figure; leave out --figure")
    from hcp.report.runs import executed_runs, plot_executed, runs_table

    runs = executed_runs(data)
    print_table(runs_table(runs))
    if plot is not None:
        plot_executed(runs, plot, size)


def verify(
    plan: Annotated[str, typer.Argument(help="A plan file (hcp-plan/1).")],
    certified_only: Annotated[
        bool, typer.Option("--certified-only", help="Fail also where a claim has no certificate.")
    ] = False,
    time_limit: Annotated[
        float, typer.Option("--time-limit", "-t", help="Seconds for all certificates; what is beyond is unproved.")
    ] = CHECK_SECONDS,
    as_json: AsJson = False,
) -> None:
    """Check every claim of a plan in exact integer arithmetic, with no solver: PASS or FAIL.

    A bound without a certificate is UNPROVED: a solver claimed it, and nothing in the file contradicts it. So is one
    whose certificate is beyond the time limit. Exits with 1 where a claim fails.

    \b
      hcp verify plan.json        (after: hcp solve unet:4 -b 70% -t 10 --out plan.json)
    """
    found = check_plan(plan, Limits(time_limit).time_limit)
    passed = found.certified if certified_only else found.passed
    if as_json:
        print_json(found.to_dict() | {"passed": passed})
    else:
        if found.plan is not None:
            print_table(plan_table(found.plan))
        print_table(verification_table(found))
        typer.echo("PASS" if passed else "FAIL")
    if not passed:
        raise typer.Exit(1)


def analyze(
    graph: GraphText,
    budget: Annotated[
        str | None, typer.Option("--budget", "-b", help="Add bounds on the cost within this budget.")
    ] = None,
    time_limit: Annotated[float, typer.Option("--time-limit", "-t", help="Seconds for the whole call.")] = 60.0,
    seed: Seed = 0,
    input_shapes: InputShapes = None,
    training: TrainingText = None,
    as_json: AsJson = False,
) -> None:
    """Analyse a graph: frontier, orders, height-compressibility, lower bounds.

    \b
      hcp analyze training-chain:100 --budget 50%
    """
    deadline = Limits(time_limit).deadline()
    with limited(deadline, f"analysing {graph}"):
        loaded = graph_from(graph, input_shapes, training)
        report = analyze_graph(loaded, seed)
    if budget is not None:
        # Two solvers share what is left.
        solved = solved_bounds(loaded, budget, max(LEAST_PART, deadline.left / 2))
        report = replace(report, bounds=lower_bound_report(loaded, solved))
    if as_json:
        print_json(report.to_dict())
    else:
        print_table(Table(("", "value"), report.rows(), (False, False)))


def planners(
    name: Annotated[
        str | None,
        typer.Argument(help="Show the options and parameters of this planner.", autocompletion=planner_names),
    ] = None,
) -> None:
    """List the planners, or print one's options and parameters, as a file for hcp solve --params.

    \b
      hcp planners
      hcp planners auto
    """
    if name is None:
        print_table(planners_table(PLANNERS))
    else:
        planner = planner_from(name)
        summary = PLANNERS[name][1] if name in PLANNERS else "a planner of your own"
        typer.echo(planner_text(planner, name, summary), nl=False)


def compile_command() -> None:
    """Compile the searches now, so that the first plan on this installation does not have to wait for it.

    \b
      hcp compile
    """
    compile_parts()


def demo(
    out: Annotated[Path, typer.Option(help="Folder for demo.json, demo.md and demo.png.")] = Path("results"),
    quiet: Quiet = False,
) -> None:
    """Plan and run a GPT-style model's training step within half its memory; needs the extras torch and plot.

    \b
      hcp demo --out results
    """
    _check_extras()
    from hcp.integrations.torch.demo import run

    run(out=out, quiet=quiet)


def _check_extras() -> None:
    from importlib.util import find_spec

    for module, extra in (("torch", "torch"), ("matplotlib", "plot")):
        if find_spec(module) is None:
            raise HcpError(f"{module} is not installed; pip install 'hcp-checkpointing[{extra}]'")
