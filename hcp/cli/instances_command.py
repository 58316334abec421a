"""``hcp instances``: list, show, get, check and submit."""

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from hcp.cli.options import AsJson, check_target
from hcp.cli.output import print_json, print_table, tell
from hcp.graph.builders import save_graph
from hcp.graph.errors import HcpError
from hcp.instances.checking import WORK, check_instance
from hcp.instances.library import Summary, load, misplaced, names, save, summaries, summary
from hcp.instances.submission import submitted
from hcp.planning.plan import Plan
from hcp.plans.file import load_plan, save_plan
from hcp.report.instances import best_table, instances_table, provenance_table
from hcp.report.show import graph_table

app = typer.Typer(
    help="""A library of graphs of real models, with the best schedules and certified bounds that are known.

\b
  hcp instances list --family llama
  hcp solve instances:llama3-8b-8l --budget 50% -t 60""",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Names = Annotated[list[str] | None, typer.Argument(help="Names of instances; all where not given.")]
Name = Annotated[str, typer.Argument(help="The name of an instance.", autocompletion=lambda: list(names()))]


@app.command("list")
def list_command(
    family: Annotated[str | None, typer.Option(help="Only those of this family, such as llama.")] = None,
    level: Annotated[str | None, typer.Option(help="Only of this level: aten, inductor, jaxpr, generated.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the instances with their best known gaps.

    \b
      hcp instances list --level aten
    """
    found = [each for each in summaries() if family in (None, each.family) and level in (None, each.level)]
    if not found:
        families, levels = ({getattr(each, key) for each in summaries()} for key in ("family", "level"))
        raise HcpError(
            f"no instance has family {family!r} and level {level!r}; families are {', '.join(sorted(families))}, "
            f"levels {', '.join(sorted(levels))}"
        )
    if as_json:
        print_json({"instances": [each.to_dict() for each in found]})
    else:
        print_table(instances_table(found))


@app.command("show")
def show_command(name: Name, as_json: AsJson = False) -> None:
    """Show an instance: its graph, where it comes from, and the best that is known of it.

    \b
      hcp instances show llama3-8b-8l
    """
    found = load(name)
    if as_json:
        print_json(Summary.of(found).to_dict() | {"provenance": dict(found.provenance)})
        return
    print_table(graph_table(found.graph))
    print_table(provenance_table(found))
    print_table(best_table(found))


@app.command("get")
def get_command(
    name: Name,
    out: Annotated[Path, typer.Option(help="The file to write.")],
    budget: Annotated[
        str | None, typer.Option("--budget", "-b", help="Write the best plan of this budget, not the graph alone.")
    ] = None,
) -> None:
    """Write an instance's graph to a file (hcp-graph/1), or its best plan (hcp-plan/1).

    \b
      hcp instances get vit-base-4l -b 50% --out plan.json
    """
    check_target(out)
    found = load(name)
    if budget is None:
        save_graph(found.graph, out)
    else:
        save_plan(found.best_at(budget).plan, out)
    typer.echo(out)


@app.command("check")
def check_command(
    chosen: Names = None,
    work: Annotated[int, typer.Option(help="Most steps of the standalone checker for a plan.")] = WORK,
    as_json: AsJson = False,
) -> None:
    """Check every schedule and certificate of instances, twice: by hcp and by the standalone checker.

    What the index says is compared with the files. Exits with 1 where anything does not hold or is not proved.

    \b
      hcp instances check vit-base-4l
    """
    rows, wrong = [], [] if chosen else misplaced()
    for name in chosen or names():
        instance = load(name)
        if Summary.of(instance).to_dict() != summary(name).to_dict():
            wrong.append(f"the index says something else of {name} than its file; save it again")
        found = list(check_instance(instance, work))
        rows += found
        if not as_json:
            for row in found:
                typer.echo(f"{'PASS' if row.passed else 'FAIL'}: {row}")
            if not found:
                typer.echo(f"{name}: no plans yet")
    if as_json:
        print_json({"checks": [row.to_dict() for row in rows], "wrong": wrong})
    else:
        for text in wrong:
            typer.echo(f"FAIL: {text}")
    if wrong or not all(row.passed for row in rows):
        raise typer.Exit(1)


@app.command("submit")
def submit_command(
    name: Name,
    plan: Annotated[Path, typer.Argument(help="A plan of the instance (hcp-plan/1), from any program.")],
    by: Annotated[str, typer.Option(help="Whose it is: a name, a paper, a program and its version.")],
    budget: Annotated[
        str | None, typer.Option("--budget", "-b", help="The share that the plan's budget is, where it is a new one.")
    ] = None,
) -> None:
    """Take over what of a plan is better than the best known: a cheaper schedule, a larger certified bound, or both.

    Both are checked here. It changes the library's own files, in a checkout or in the folder $HCP_INSTANCES.

    \b
      hcp instances submit vit-base-4l plan.json --by "A. Author, arXiv:0000.00000"
    """
    if not by.strip():
        raise HcpError("--by is empty; say whose the plan is")
    handed: Plan = load_plan(plan)
    change = submitted(load(name), handed, by, date.today().isoformat(), budget)
    if change.unproved is not None:
        tell(f"{plan} claims a bound of {change.unproved}, which no certificate of it proves; it was not taken")
    if not change.any:
        tell(f"{plan} is no better than what is known of {name} at {change.budget}; nothing was changed")
        raise typer.Exit(1)
    save(change.instance)
    parts = [f"cost {change.cost}" if change.cost is not None else ""]
    parts.append(f"certified bound {change.bound}" if change.bound is not None else "")
    typer.echo(f"{name} at {change.budget}: {', '.join(filter(None, parts))}")
