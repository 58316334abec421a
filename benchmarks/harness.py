"""What the benchmarks share: processes of their own, paired times, the machine's description, files and graphs."""

import json
import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from itertools import count
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median, quantiles
from textwrap import shorten
from typing import Final, TypeVar

from hcp.graph.builders import load_graph
from hcp.graph.errors import HcpError
from hcp.graph.files import write_atomically
from hcp.graph.ir import Graph
from hcp.planning.plan import Plan, judge
from hcp.planning.problem import Problem
from hcp.planning.solution import Solution
from hcp.report.tables import Table

T = TypeVar("T")
_CELL: Final = 80
# A step this much slower is within what the clock can tell.
TOLERANCE: Final = 0.01
PACKAGES = ("hcp-checkpointing", "numpy", "numba", "ortools", "highspy", "pulp", "torch", "jax")


@dataclass(frozen=True)
class Pace:
    """How long a step takes beside a reference's.

    Attributes:
        step_ms: Median of its times.
        ratio: Median of the paired ratios of its time to the reference's.
        quartiles: Of these ratios, the lower and the upper.
    """

    step_ms: float
    ratio: float
    quartiles: tuple[float, float]


def milliseconds(step: Callable[[], object]) -> float:
    """What a call takes, by this machine's clock."""
    start = time.perf_counter()
    step()
    return 1e3 * (time.perf_counter() - start)


def paired(
    step: Callable[[], object],
    reference: Callable[[], object],
    rounds: int,
    clock: Callable[[Callable[[], object]], float] = milliseconds,
) -> Pace:
    """Times two steps that take turns, each of them first in every other round.

    Args:
        step: The one.
        reference: The other.
        rounds: How often each is timed.
        clock: Runs a step and says how many milliseconds it took.
    """
    times: dict[bool, list[float]] = {True: [], False: []}
    for turn in range(rounds + 1):
        for mine in (turn % 2 == 0, turn % 2 == 1):
            took = clock(step if mine else reference)
            # The first round warms up.
            if turn:
                times[mine].append(took)
    ratios = [mine / theirs for mine, theirs in zip(times[True], times[False], strict=True)]
    low, middle, high = quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else ratios * 3
    return Pace(median(times[True]), middle, (low, high))


def in_turn(plan: Plan) -> Plan:
    """The same actions as a plan's over a link without overlap."""
    problem = plan.problem
    assert problem.host is not None
    link = replace(problem.host, overlap=False)
    return judge(Problem(plan.graph, problem.budget, host=link), Solution(plan.schedule, plan.status))


def alone(task: Callable[[], T], seconds: float | None = None) -> T:
    """Calls a function in a Python process of its own, which starts afresh and ends with the call.

    What compilers and frameworks keep for a whole process so never reaches another measurement.

    Args:
        task: Like its result, something that can be pickled.
        seconds: After which the process is killed; None waits for ever.

    Raises:
        HcpError: If the function raises, or its process ends without an answer, or has none in time.
    """
    context = get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(sender, task))
    process.start()
    sender.close()
    if not receiver.poll(seconds):
        process.kill()
        process.join()
        raise HcpError(f"its process had no answer after {seconds:,.0f} s; run it by itself to see why")
    try:
        answer, error = receiver.recv()
    except EOFError:
        process.join()
        raise HcpError(
            f"its process ended with exit code {process.exitcode} and no answer; "
            "run it by itself to see why, and with more memory if the code is -9"
        ) from None
    process.join()
    if error is not None:
        raise HcpError(error)
    return answer  # type: ignore[no-any-return]


def _answer(sender: Connection, task: Callable[[], object]) -> None:
    try:
        sender.send((task(), None))
    except Exception as error:  # noqa: BLE001 - whatever it is becomes a row of a table
        first = next(iter(str(error).splitlines()), "")
        sender.send((None, first if isinstance(error, HcpError) else f"{type(error).__name__}: {first}"))


@contextmanager
def busy(cores: int | None) -> Iterator[None]:
    """Keeps cores busy elsewhere while the block runs, each with a process that only counts; none for None."""
    context = get_context("spawn")
    processes = [context.Process(target=_count_for_ever, daemon=True) for _ in range(cores or 0)]
    try:
        for process in processes:
            process.start()
        yield
    finally:
        for process in processes:
            process.kill()
            process.join()


def _count_for_ever() -> None:
    for _ in count():
        pass


def state_of_cores(loaded: bool) -> str:
    """What else the cores have to do when a benchmark begins: its own busy processes, and the load that was there."""
    load = f"load average {os.getloadavg()[0]:.1f} at the start"
    return f"{load}, and a busy process for each core during each solve" if loaded else load


def failure(error: str | None) -> str:
    """A table's cell for why a measurement is missing; the result file has the whole of it."""
    return "" if error is None else shorten(error, _CELL, placeholder=" ...")


def machine() -> dict[str, object]:
    """Where the figures were measured."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "packages": versions,
    }


def graphs_in(folder: Path, names: list[str] | None = None) -> list[Graph]:
    """The graphs of a folder, in the order of their names; those named only, where names are given.

    Raises:
        HcpError: If there are none, or a name is not among them.
    """
    files = {path.stem: path for path in sorted(folder.glob("*.json"))}
    if not files:
        raise HcpError(f"no graphs in {str(folder)!r}; give a folder of graph files by --data")
    unknown = next((name for name in names or () if name not in files), None)
    if unknown is not None:
        raise HcpError(f"no graph {unknown!r} in {str(folder)!r}; choose from {', '.join(files)}")
    return [load_graph(path) for name, path in files.items() if names is None or name in names]


def publish(
    name: str, table: Table, rows: list[dict[str, object]], out: Path | None, state: str = "", **settings: object
) -> None:
    """Prints a table and writes it as Markdown and JSON into a folder.

    Args:
        name: Of the benchmark and the files.
        table: The rows, for people.
        rows: What was measured.
        out: The folder; None only prints.
        state: What else the machine had to do, where that was noted.
        settings: What the benchmark was asked for.
    """
    print(table.to_text())
    if out is None:
        return
    out.mkdir(parents=True, exist_ok=True)
    data: dict[str, object] = {
        "benchmark": name,
        "machine": machine(),
        "state": state,
        "settings": settings,
        "rows": rows,
    }
    write_atomically(out / f"{name}.json", json.dumps(data, indent=1) + "\n")
    write_atomically(out / f"{name}.md", f"# {name}\n\n{_described(data)}\n\n{table.to_markdown()}")


def _described(data: dict[str, object]) -> str:
    here = machine()
    settings = ", ".join(f"{key} {value}" for key, value in dict(data["settings"]).items())  # type: ignore[call-overload]
    where = f"{here['processor']}, {here['cores']} cores, {here['memory_gib']} GiB"
    return f"{'; '.join(filter(None, (where, str(data['state']), settings)))}."


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
