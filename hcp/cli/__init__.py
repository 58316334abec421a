"""The command line. Bad input gives one line on stderr and exit code 2."""

import os
import sys
from typing import Annotated, NoReturn

import typer

from hcp import command
from hcp.cli import (
    commands,
    compare_command,
    export_command,
    fit_command,
    grade_command,
    instances_command,
    plan_commands,
)
from hcp.graph.errors import HcpError
from hcp.planning.native import left_alone
from hcp.version import __version__

HELP = """Find provably near-optimal activation-checkpointing schedules.

\b
  hcp solve unet:4 --budget 70%                  plan one graph
  hcp compare unet:4 -b 80% -b 60% -s sqrt_n -s auto
  hcp show plan.json --plot plan.pdf             what a plan does
  hcp demo                                       plan and run a PyTorch model
  hcp fit train.py:make --device h100-80gb       whether training fits a device

A graph is a file (hcp-graph/1, networkx node-link JSON, ONNX) or a generator such as unet:4. A budget is bytes, a
size such as 8GiB, or a percentage of the peak without recomputation.

Exit codes: 0 done; 1 a defect of hcp; 2 bad input, or a budget that no schedule meets; 130 stopped by Ctrl-C.
"""

app = typer.Typer(
    help=HELP,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    # Plain help fits a screen.
    rich_markup_mode=None,
    context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 110},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"hcp {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None: ...


app.command("solve")(plan_commands.solve_command)
app.command("minimize")(plan_commands.minimize)
app.command("grade")(grade_command.grade_command)
app.command("compare")(compare_command.compare_command)
app.command("show")(commands.show)
app.command("verify")(commands.verify)
app.command("analyze")(commands.analyze)
app.command("export")(export_command.export_command)
app.add_typer(instances_command.app, name="instances")
app.command("planners")(commands.planners)
app.command("compile")(commands.compile_command)
app.command("fit")(fit_command.fit_command)
app.command("demo")(commands.demo)


def main() -> None:
    """The entry point: errors of hcp become one line on stderr and exit code 2, Ctrl-C one line and exit code 130."""
    command.take_interrupts()
    try:
        app()
    except BaseException as error:
        if command.interrupted() or (isinstance(error, SystemExit) and error.code == command.EXIT_CODE):
            typer.echo(command.STOPPED, err=True)
            _exit(command.EXIT_CODE)
        if isinstance(error, HcpError):
            typer.echo(f"hcp: error: {' '.join(str(error).split())}", err=True)
            _exit(2)
        if isinstance(error, SystemExit):
            _exit(error.code)
        raise


def _exit(code: int | str | None) -> NoReturn:
    """Exits, without waiting for a solver that did not halt in time.

    Nor after Ctrl-C: where it fell into code that Python made from a text, Python would end as killed by the signal.
    """
    if (left_alone() or command.interrupted()) and not isinstance(code, str):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code or 0)
    sys.exit(code)
