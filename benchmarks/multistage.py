"""Chains with slots in memory and on disk: hcp's plans beside the schedules of the ``checkpoint_schedules`` package.

Run as ``python -m benchmarks.multistage [--time-limit 20] [--out benchmarks/results]``. The peers are Revolve,
DiskRevolve, PeriodicDiskRevolve, HRevolve and MixedCheckpointSchedule. Each of their schedules is replayed on the graph
of its chain, and hcp plans that graph within the peak of the peer's schedule, and with as much of the disk: a state is
of one byte, and the link writes and reads one for what the peer was told. A step's costs, and what the working storage
holds besides, are the same for both.
"""

import argparse
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import checkpoint_schedules as peers

from benchmarks.harness import publish
from hcp import Compute, Fetch, HostLink, Offload, Schedule, replay, solve
from hcp.graph.ir import Graph, Node, Value
from hcp.report.tables import Table
from hcp.schedule.actions import Step
from hcp.schedule.host import PER


class Case(NamedTuple):
    """What a peer is asked.

    Attributes:
        steps: Of the chain.
        memory: Slots in memory.
        disk: Slots on disk, for peers that limit them.
        write: Cost of writing a state to disk, in steps.
        read: Cost of reading it.
    """

    steps: int
    memory: int
    disk: int
    write: int = 2
    read: int = 2


CHAINS: Final = ((10, 2, 3), (20, 2, 4), (30, 3, 4), (50, 3, 6), (100, 5, 10))
DISKS: Final = ((2, 2), (5, 5), (1, 3))

Peer = Callable[[], Iterable[Any]]


def steps_graph(steps: int) -> Graph:
    """Steps whose adjoints read what a run of the step recorded: states, records and adjoints are one byte each."""
    forward = [
        Node(f"step {i}", "step", (f"x{i}",), (Value(f"x{i + 1}", 1), Value(f"record {i}", 1)), 1) for i in range(steps)
    ]
    backward = [
        Node(f"adjoint {i}", "adjoint", (f"record {i}", f"g{i + 1}"), (Value(f"g{i}", 1),), 1, recomputable=False)
        for i in reversed(range(steps))
    ]
    start = Node("start", "start", (), (Value("x0", 1),), 0, recomputable=False)
    loss = Node("loss", "loss", (f"x{steps}",), (Value(f"g{steps}", 1),), 0, recomputable=False)
    return Graph((start, *forward, loss, *backward), name=f"{steps} steps")


def steps_of(schedule: Iterable[Any]) -> Iterator[Step]:
    """What a schedule of the package does, as steps of ``steps_graph``."""
    disk, nowhere = peers.StorageType.DISK, peers.StorageType.NONE
    yield Compute("start")
    for action in schedule:
        if isinstance(action, peers.Forward):
            if action.write_ics and action.storage == disk:
                yield Offload(f"x{action.n0}")
            yield from (Compute(f"step {i}") for i in range(action.n0, action.n1))
        elif isinstance(action, peers.EndForward):
            yield Compute("loss")
        elif isinstance(action, peers.Reverse):
            yield from (Compute(f"adjoint {i}") for i in reversed(range(action.n0, action.n1)))
        elif isinstance(action, peers.Copy | peers.Move) and action.from_storage == disk != nowhere:
            if action.to_storage != nowhere:
                yield Fetch(f"x{action.n}")
        elif isinstance(action, peers.EndReverse):
            return


def peers_of(case: Case) -> Mapping[str, Peer]:
    """The package's schedules for a chain."""
    steps, memory, disk, write, read = case
    costs = {"wd": write, "rd": read}
    return {
        "Revolve": partial(peers.Revolve, steps, memory),
        "DiskRevolve": partial(peers.DiskRevolve, steps, memory, **costs),
        "PeriodicDiskRevolve": partial(peers.PeriodicDiskRevolve, steps, memory, **costs),
        "HRevolve": partial(peers.HRevolve, steps, memory, disk, **costs),
        "MixedCheckpointSchedule": partial(peers.MixedCheckpointSchedule, steps, memory, storage=peers.StorageType.RAM),
    }


def compared(case: Case, name: str, **options: Any) -> dict[str, Any]:  # noqa: ANN401 - as hcp.solve takes them
    """A peer's schedule and hcp's plan within its peak and its part of the disk.

    Args:
        case: What both are asked.
        name: The peer's.
        options: Of ``hcp.solve``.
    """
    graph, link = steps_graph(case.steps), HostLink(PER // case.write, PER // case.read)
    theirs = Schedule.from_steps(graph, steps_of(peers_of(case)[name]()))
    usage = replay(graph, theirs, link)
    plan = solve(graph, usage.peak, host=replace(link, capacity=usage.host_peak), **options)
    return {
        "chain": f"{case.steps} steps, {case.memory} slots",
        "disk": f"{case.write} to write, {case.read} to read",
        "peer": name,
        "peak": usage.peak,
        "on disk": usage.host_peak,
        "peer's cost": usage.cost,
        "hcp's cost": plan.cost,
        "bound": None if (bound := plan.best_bound()) is None else bound.value,
        "dearer": plan.cost is None or plan.cost > usage.cost,
    }


def main() -> None:
    """Runs the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--time-limit", type=float, default=20.0, help="seconds for each plan")
    parser.add_argument("--out", type=Path, help="folder for the table and its JSON")
    options = parser.parse_args()
    rows = []
    for chain in CHAINS:
        for costs in DISKS:
            for name in peers_of(case := Case(*chain, *costs)):
                rows.append(compared(case, name, time_limit=options.time_limit))
                print(rows[-1], flush=True)
    headers = tuple(rows[0])
    cells = tuple(tuple(_cell(row[header]) for header in headers) for row in rows)
    table = Table(headers, cells, tuple(isinstance(rows[0][header], int) for header in headers))
    publish("multistage", table, rows, options.out, time_limit=options.time_limit)


def _cell(found: object) -> str:
    if isinstance(found, bool):
        return "DEARER" if found else ""
    return "-" if found is None else str(found)


if __name__ == "__main__":
    main()
