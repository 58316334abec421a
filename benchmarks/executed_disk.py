"""Copies to the host's memory and to disk beside the computation, executed by ``hcp.runtime`` on NumPy arrays.

Run as ``python -m benchmarks.executed_disk [--folder F] [--rounds 7] [--out benchmarks/results]``, on two idle cores:
one computes, the other copies. The step is a chain of layers ``tanh(x W)`` and its backward. A layer, and a copy each
way while layers run, are timed first; the plan is made for those times. All ways are in one process and take turns:

- *keep*: everything is kept;
- *beside*: planned for copies that overlap the computation;
- *the same in turn*: the very same actions, but the computation waits for each copy;
- *again*: nothing moves.

The codec is the runtime's own: files are written whole, with a checksum, and synchronized.
"""

# ruff: noqa: E402 - threads are chosen before NumPy is loaded
import os

# One core computes.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import argparse
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import in_turn, publish
from hcp.graph.ir import Graph, Node, Value
from hcp.planners import solve
from hcp.report.tables import Table
from hcp.report.units import bytes_text
from hcp.runtime import CheckpointStorage, ExecutionCallbacks, HeightCompressedExecutor
from hcp.runtime.storage import TierName
from hcp.schedule.host import PER, HostLink

Array = NDArray[np.float32]

HEADERS: Final = ("tier", "way", "peak", "step ms", "x keep", "planned x keep", "moved", "gradient equal")


@dataclass(frozen=True)
class Net(ExecutionCallbacks):
    """A chain of layers.

    Attributes:
        weights: One matrix a layer.
        rows: Of the batch.
    """

    weights: tuple[Array, ...]
    rows: int

    @classmethod
    def of(cls, layers: int, width: int, rows: int) -> "Net":
        """One with random weights."""
        luck = np.random.default_rng(0)
        scale = np.float32(1 / np.sqrt(width))
        return cls(tuple(scale * luck.standard_normal((width, width), np.float32) for _ in range(layers)), rows)

    def graph(self, forward: int, backward: int) -> Graph:
        """The step, for costs of a layer each way."""
        size = 4 * self.rows * len(self.weights[0])
        count = len(self.weights)
        start = Node("start", "start", (), (Value("x0", size),), 0, recomputable=False)
        forwards = [Node(f"f{i}", "layer", (f"x{i}",), (Value(f"x{i + 1}", size),), forward) for i in range(count)]
        loss = Node("loss", "loss", (f"x{count}",), (Value(f"g{count}", size),), forward // 10)
        backwards = [
            Node(f"b{i}", "backward", (f"x{i + 1}", f"g{i + 1}"), (Value(f"g{i}", size, resident=not i),), backward)
            for i in reversed(range(count))
        ]
        return Graph((start, *forwards, loss, *backwards), name=f"{count} layers")

    def compute(self, node: Node, inputs: Mapping[str, Any], *, again: bool) -> Mapping[str, Any]:  # noqa: ARG002
        """Runs a layer, or its backward."""
        (made,) = (value.name for value in node.outputs)
        if node.op == "start":
            return {made: np.random.default_rng(1).standard_normal((self.rows, len(self.weights[0])), np.float32)}
        if node.op == "loss":
            return {made: 2 * inputs[node.inputs[0]]}
        place = int(node.name[1:])
        if node.op == "layer":
            return {made: np.tanh(inputs[f"x{place}"] @ self.weights[place])}
        x, g = inputs[f"x{place + 1}"], inputs[f"g{place + 1}"]
        return {made: (g * (1 - x * x)) @ self.weights[place].T}


def timed(net: Net, graph: Graph, name: str) -> int:
    """Nanoseconds of a node: the median of some runs."""
    node = graph.node[name]
    luck = np.random.default_rng(2)
    inputs = {each: luck.standard_normal((net.rows, len(net.weights[0])), np.float32) for each in node.inputs}
    times = []
    for _ in range(9):
        begun = time.perf_counter_ns()
        net.compute(node, inputs, again=False)
        times.append(time.perf_counter_ns() - begun)
    return int(median(times))


def measured_link(net: Net, graph: Graph, tier: TierName, folder: Path) -> HostLink:
    """What copies take while layers run."""
    value = np.random.default_rng(3).standard_normal((net.rows, len(net.weights[0])), np.float32)
    done = threading.Event()

    def layers() -> None:
        while not done.is_set():
            net.compute(graph.node["f0"], {"x0": value}, again=False)

    busy = threading.Thread(target=layers)
    busy.start()
    times: dict[str, list[int]] = {"out": [], "back": []}
    with CheckpointStorage(folder, background=("host", "disk")) as storage:
        for turn in range(8):
            begun = time.perf_counter_ns()
            storage.put(f"v{turn}", value, tier)
            storage.wait(f"v{turn}")
            times["out"].append(time.perf_counter_ns() - begun)
            begun = time.perf_counter_ns()
            storage.begin(f"v{turn}")()
            times["back"].append(time.perf_counter_ns() - begun)
            storage.delete(f"v{turn}")
    done.set()
    busy.join()
    out, back = (max(1, value.nbytes * PER // int(median(each))) for each in times.values())
    return HostLink(out, back, overlap=True)


def rows_of(net: Net, tier: TierName, folder: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Measures every way on a tier, in turns."""
    budget, rounds, time_limit = options.budget, options.rounds, options.time_limit
    rough = net.graph(1000, 1000)
    graph = net.graph(timed(net, rough, "f0"), timed(net, rough, "b0"))
    link = measured_link(net, graph, tier, folder / "link")
    plans = {
        "keep": solve(graph, "100%", "keep_all"),
        "beside": solve(graph, budget, time_limit=time_limit, host=link),
        "again": solve(graph, budget, time_limit=time_limit),
    }
    plans["the same in turn"] = in_turn(plans["beside"])
    times: dict[str, list[int]] = {way: [] for way in plans}
    found: dict[str, Any] = {}
    for turn in range(rounds + 1):
        for way, plan in plans.items():
            background: tuple[TierName, ...] = ("host", "disk") if way == "beside" else ()
            with CheckpointStorage(folder / way.replace(" ", "_"), background=background) as storage:
                executor = HeightCompressedExecutor(storage, tier)
                executor.configure(plan=plan, checkpoints=None if plan.schedule and plan.schedule.transfers else ())
                begun = time.perf_counter_ns()
                done = executor.run(net)
                # The first one warms up.
                times[way] += [time.perf_counter_ns() - begun] if turn else []
                found[way] = done.results["g0"], done.profile
    kept = plans["keep"].cost
    assert kept
    rows = []
    for way, plan in plans.items():
        gradient, profile = found[way]
        assert plan.usage is not None
        assert plan.cost is not None
        ratios = [mine / theirs for mine, theirs in zip(times[way], times["keep"], strict=True)]
        rows.append({
            "tier": tier, "way": way, "peak": profile.peak_bytes, "planned_peak": plan.peak,
            "ms": median(times[way]) / 1e6, "ratio": median(ratios), "planned_ratio": plan.cost / kept,
            "moved": plan.usage.transferred, "equal": bool(np.array_equal(gradient, found["keep"][0])),
            "link": None if plan.problem.host is None else plan.problem.host.to_dict(),
        })  # fmt: skip
    return rows


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    same = "" if row["peak"] == row["planned_peak"] else f" (planned {row['planned_peak']})"
    return (
        row["tier"],
        row["way"],
        f"{row['peak']}{same}",
        f"{row['ms']:.1f}",
        f"{row['ratio']:.3f}",
        f"{row['planned_ratio']:.3f}",
        bytes_text(row["moved"]),
        "yes" if row["equal"] else "NO",
    )


def main() -> None:
    """Measures, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tier", action="append", choices=("host", "disk"), help="repeat for several; both by default")
    parser.add_argument("--folder", type=Path, help="on the disk to use; a temporary folder by default")
    parser.add_argument("--budget", default="50%", help="of keep-everything")
    parser.add_argument("--layers", type=int, default=24)
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--rows", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--time-limit", type=float, default=15.0, help="seconds a plan")
    parser.add_argument("--out", type=Path, help="folder for executed_disk.json and executed_disk.md")
    options = parser.parse_args()
    net = Net.of(options.layers, options.width, options.rows)
    rows = []
    for tier in options.tier or ("host", "disk"):
        with TemporaryDirectory(dir=options.folder) as folder:
            rows += rows_of(net, tier, Path(folder), options)
    table = Table(HEADERS, tuple(map(_cells, rows)), (False, False, True, True, True, True, True, False))
    publish("executed_disk", table, rows, options.out, budget=options.budget, time_limit=options.time_limit)


if __name__ == "__main__":
    main()
