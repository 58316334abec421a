"""Options that several commands share, and what they are given."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from hcp.cli.parameters import with_params
from hcp.graph.builders import load_graph
from hcp.graph.cancellation import Cancelled
from hcp.graph.engines import on_engines
from hcp.graph.errors import HcpError
from hcp.graph.files import read_json
from hcp.graph.instances import INSTANCES, instance
from hcp.graph.ir import Graph
from hcp.graph.mirror import trained
from hcp.instances.library import load
from hcp.planners import PLANNERS, planner_named
from hcp.planning.deadline import Deadline
from hcp.planning.planner import AnyPlanner
from hcp.schedule.bandwidth import parse_link
from hcp.schedule.budget import parse_budget
from hcp.schedule.host import HostLink

if TYPE_CHECKING:
    from hcp.report.drawing import Size

# What names of the library of instances begin with, as in instances:llama3-8b-8l.
LIBRARY = "instances"
GRAPH_HELP = f"A graph file, {LIBRARY}:NAME, or a generator and its size ({', '.join(INSTANCES)})."
BUDGET_HELP = "Bytes, a size such as 8GiB, or a percentage such as 80%."


def planner_names(incomplete: str) -> Iterator[tuple[str, str]]:
    """The planners whose names begin so, with what they are: for shell completion."""
    return ((name, what) for name, (_, what) in PLANNERS.items() if name.startswith(incomplete))


GraphText = Annotated[str, typer.Argument(help=GRAPH_HELP)]
Budget = Annotated[str, typer.Option("--budget", "-b", help=BUDGET_HELP)]
Solver = Annotated[
    str,
    typer.Option(
        "--solver",
        "-s",
        help="A planner (`hcp planners` lists them), or your own as package.module:Class.",
        autocompletion=planner_names,
    ),
]
Solvers = Annotated[
    list[str], typer.Option("--solver", "-s", help="A planner; repeat for several.", autocompletion=planner_names)
]
TimeLimit = Annotated[
    float, typer.Option("--time-limit", "-t", help="Seconds for the whole call, or for each planner of a comparison.")
]
WorkLimit = Annotated[
    float | None,
    typer.Option(
        help="Units of work, each about a second of one core; with the same seed the plan is the same on every machine."
    ),
]
Order = Annotated[
    str,
    typer.Option(help="'free', or 'given' to follow the graph's own.", metavar="free|given"),
]
Backend = Annotated[
    str | None,
    typer.Option(
        help="Back end of milp or checkmate (a PuLP solver, such as HiGHS or SCIP_PY) or staged (highs, cpsat)."
    ),
]
ParamsFile = Annotated[
    Path | None,
    typer.Option("--params", metavar="FILE", help="TOML file, as `hcp planners NAME` prints it."),
]
Seed = Annotated[int, typer.Option(help="Seed of the random numbers.")]
Workers = Annotated[int, typer.Option(help="Threads for solvers that can use several.", min=1)]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Print every step of the search on stderr.")]
HostBandwidth = Annotated[
    str | None,
    typer.Option(help="Allow transfers to the host: 12GiB/s, or bytes moved per unit of cost, such as 2."),
]
HostLatency = Annotated[int, typer.Option(help="Cost of each transfer.", min=0)]
HostMemory = Annotated[str | None, typer.Option(help="Capacity of the host, such as 8GiB.")]
HostOverlap = Annotated[bool, typer.Option(help="Transfers overlap the computation.")]
EngineNames = Annotated[
    list[str] | None,
    typer.Option(
        "--engine",
        metavar="PATTERN=NAME",
        help="Beside the computation: '*gather*=network'.",
    ),
]
InputShapes = Annotated[
    list[str] | None,
    typer.Option("--input-shape", metavar="NAME:SIZES", help="Of an ONNX model: x:1,3,48,320."),
]
TrainingText = Annotated[
    str | None, typer.Option("--training", metavar="mirror", help="Mirror a forward graph's backward.")
]
FigureSize = Annotated[
    str | None,
    typer.Option(metavar="SIZE", help="Of a picture: column, page, or inches: 5x3.5."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


def host_from(graph: Graph, bandwidth: str | None, latency: int, memory: str | None, overlap: bool) -> HostLink | None:
    """The host link that the options describe, if they do."""
    if bandwidth is None:
        if latency or memory is not None or overlap:
            raise HcpError("a host link needs a bandwidth; give --host-bandwidth, such as 12GiB/s")
        return None
    capacity = None if memory is None else parse_budget(memory, graph)
    return replace(parse_link(bandwidth, graph), latency=latency, capacity=capacity, overlap=overlap)


def with_engines(graph: Graph, texts: Sequence[str] | None) -> Graph:
    """The graph with what options say of engines."""
    engines = {}
    for text in texts or ():
        pattern, _, name = text.rpartition("=")
        if not pattern or not name:
            raise HcpError(f"engine {text!r} is not understood; give PATTERN=NAME, such as '*all_gather*=network'")
        engines[pattern] = name
    return on_engines(graph, engines) if engines else graph


@contextmanager
def limited(deadline: Deadline, what: str) -> Iterator[None]:
    """Ends work at a time limit with a sentence that names it."""
    try:
        with deadline.enforced():
            yield
    except Cancelled:
        raise HcpError(f"{what} takes longer than the time limit of {deadline.limit:g} s; raise it") from None


def planner_from(name: str, backend: str | None = None, params: Path | None = None) -> AnyPlanner:
    """The planner of this name, or of this module and class.

    Args:
        name: As for ``hcp.planners.planner_named``.
        backend: Where given, the solver behind it.
        params: Where given, a TOML file with parameters in place of its own.

    Raises:
        HcpError: If there is no such planner, or it has no such choice.
    """
    if ":" in name and "" not in sys.path:
        # The current folder, where Python itself looks for modules.
        sys.path.insert(0, "")
    planner: Any = planner_named(name)
    if backend is not None:
        names = [field.name for field in fields(planner)] if is_dataclass(planner) else []
        if "backend" not in names:
            raise HcpError(f"solver {name!r} has no back end to choose; leave out --backend")
        planner = replace(planner, backend=backend)
    return cast(AnyPlanner, planner if params is None else with_params(planner, name, params))


def order_from(text: str, graph: Graph) -> tuple[str, ...] | None:
    """The order that first executions follow, if any."""
    if text not in ("free", "given"):
        raise HcpError(f"order {text!r} is not understood; give 'free', or 'given' for the graph's own")
    return graph.order if text == "given" else None


def graph_from(text: str, shapes: Sequence[str] | None = None, training: str | None = None) -> Graph:
    """The graph of a file, a generator or the library of instances.

    Args:
        text: Of the command line.
        shapes: Of an ONNX model's inputs, as ``InputShapes`` has them.
        training: As ``hcp.load_graph`` takes it.
    """
    name = text.partition(":")[0]
    given = dict(map(_input_shape, shapes or ()))
    if ":" in text and name in (LIBRARY, *INSTANCES) and not _is_there(text):
        if given:
            raise HcpError(f"{text!r} is no ONNX model, and --input-shape is for these; leave it out")
        return trained(load(text[len(LIBRARY) + 1 :]).graph if name == LIBRARY else instance(text), training)
    return load_graph(text, input_shapes=given, training=training)


def _is_there(text: str) -> bool:
    """Whether there is a file of this name; ``Path.exists`` raises an error for one that is too long."""
    return os.path.exists(text)  # noqa: PTH110


def _input_shape(text: str) -> tuple[str, list[int]]:
    """An input's name, which may have colons, and its sizes."""
    name, _, sizes = text.rpartition(":")
    try:
        return name, [int(size) for size in sizes.split(",") if size.strip()]
    except ValueError:
        raise HcpError(f"input shape {text!r} is not understood; give NAME:SIZES, such as x:1,3,48,320") from None


def json_of(text: str) -> dict[str, object] | None:
    """The JSON object in a file; None where it is no such file, which graph readers have more to say about."""
    if not _is_there(text) or Path(text).is_dir() or Path(text).suffix == ".onnx":
        return None
    data = read_json(text, "file")
    return data if isinstance(data, dict) else None


def check_target(*paths: Path | None, given: Sequence[str | Path | None] = ()) -> None:
    """Refuses files that cannot be written, before the work that they are for.

    Args:
        *paths: What is to be written; each a file of its own.
        given: What is read, which stays as it is.
    """
    taken = {Path(path).absolute() for path in given if path is not None and _is_there(str(path))}
    for path in paths:
        if path is not None and path.absolute() in taken:
            raise HcpError(f"{str(path)!r} is read, or written twice, by one command; give each a file of its own")
        taken.update({path.absolute()} if path is not None and str(path) != os.devnull else ())
        if path is not None and (path.is_dir() or not path.absolute().parent.is_dir()):
            raise HcpError(f"cannot write {str(path)!r}; give a file in an existing folder")


def check_plot(path: Path | None, figures: Sequence[str] | None = None, size: str | None = None) -> "Size | None":
    """Refuses an image file that cannot be drawn, before the work that it is for; the size that is asked for."""
    check_target(path)
    if path is None:
        if figures or size is not None:
            raise HcpError("--figure and --figure-size are about a picture; give its file with --plot")
        return None
    from hcp.report.drawing import check_format, size_from

    check_format(path)
    return None if size is None else size_from(size)


def check_page(path: Path | None) -> None:
    """Refuses a page that cannot be written, before the work that it is for."""
    check_target(path)
    if path is None:
        return
    from hcp.report.explorer import plotly_library

    plotly_library()
