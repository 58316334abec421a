"""Options that several commands share, and what they are given."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from hcp.graph.builders import load_graph
from hcp.graph.errors import HcpError
from hcp.graph.files import read_json
from hcp.graph.instances import INSTANCES, instance
from hcp.graph.ir import Graph
from hcp.planners import PLANNERS

GRAPH_HELP = f"A graph file, or a generator and its size ({', '.join(INSTANCES)})."
BUDGET_HELP = "Bytes, a size such as 8GiB, or a percentage such as 80%."


def _planner_names(incomplete: str) -> Iterator[tuple[str, str]]:
    return ((name, what) for name, (_, what) in PLANNERS.items() if name.startswith(incomplete))


GraphText = Annotated[str, typer.Argument(help=GRAPH_HELP)]
Budget = Annotated[str, typer.Option("--budget", "-b", help=BUDGET_HELP)]
Solver = Annotated[
    str, typer.Option("--solver", "-s", help="A planner; `hcp planners` lists them.", autocompletion=_planner_names)
]
Solvers = Annotated[
    list[str], typer.Option("--solver", "-s", help="A planner; repeat for several.", autocompletion=_planner_names)
]
TimeLimit = Annotated[float, typer.Option("--time-limit", "-t", help="Seconds for each planner.")]
Seed = Annotated[int, typer.Option(help="Seed for planners that draw random numbers.")]
Workers = Annotated[int, typer.Option(help="Threads for solvers that have a choice.", min=1)]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Tell every step of the search on stderr.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


def graph_from(text: str) -> Graph:
    """The graph of a file or a generator."""
    name = text.partition(":")[0]
    if ":" in text and name in INSTANCES and not Path(text).exists():
        return instance(text)
    return load_graph(text)


def json_of(text: str) -> dict[str, object] | None:
    """The JSON object in a file; None where it is no such file, which graph readers have more to say about."""
    if not Path(text).is_file() or Path(text).suffix == ".onnx":
        return None
    data = read_json(text, "file")
    return data if isinstance(data, dict) else None


def check_target(*paths: Path | None) -> None:
    """Refuses files that cannot be written, before the work that they are for."""
    for path in paths:
        if path is not None and (path.is_dir() or not path.absolute().parent.is_dir()):
            raise HcpError(f"cannot write {str(path)!r}; give a file in an existing folder")


def check_plot(path: Path | None) -> None:
    """Refuses an image file that cannot be drawn, before the work that it is for."""
    check_target(path)
    if path is None:
        return
    from hcp.report.drawing import check_format

    check_format(path)
