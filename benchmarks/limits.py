"""Whether time limits hold: seconds asked and taken by every planner on large graphs, as whole commands.

Run as ``python -m benchmarks.limits [--data FILE]``. Each planner runs as ``hcp solve`` in a process of its own,
loading and printing included. *Warm* finds the compiled searches on disk, *cold* has an empty cache for them, as on a
new installation. A limit is kept where a command takes at most the limit, a tenth of it and a second.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from benchmarks.harness import publish
from hcp.graph.builders import save_graph
from hcp.graph.random_graphs import random_layered
from hcp.planners import PLANNERS
from hcp.report.tables import Table

HEADERS: Final = ("graph", "solver", "cache", "asked s", "taken s", "kept", "overhead %", "outcome")
CHAIN: Final = "training-chain:5000"
LAYERED_NODES: Final = 2_000
# Kills a command that would go on for ever.
MOST: Final = 20


def main() -> None:
    """Runs every planner on every graph and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="one more graph, in a file")
    parser.add_argument("--budget", default="50%")
    parser.add_argument("--time-limit", type=float, default=10.0, help="seconds a command")
    parser.add_argument("--solver", action="append", help="repeat for several; all by default")
    parser.add_argument("--cold", action="append", help="planners to run cold as well; auto and anneal by default")
    parser.add_argument("--out", type=Path, help="folder for limits.json and limits.md")
    options = parser.parse_args()
    solvers = options.solver or [name for name in PLANNERS if name != "exhaustive"]
    cold = ["auto", "anneal"] if options.cold is None else options.cold
    rows = []
    # Compilation may still write there.
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        layered = Path(folder) / "layered.json"
        save_graph(random_layered(LAYERED_NODES), layered)
        for graph in (CHAIN, str(layered), *([] if options.data is None else [str(options.data)])):
            runs = [(solver, {}) for solver in solvers]
            runs += [(solver, {"NUMBA_CACHE_DIR": f"{folder}/{solver}-{len(rows)}"}) for solver in cold]
            for solver, environment in runs:
                rows.append(measured(graph, solver, options.budget, options.time_limit, environment))
                print(*_cells(rows[-1]), sep=" | ", flush=True)
    numeric = tuple(header.endswith((" s", "%")) for header in HEADERS)
    table = Table(HEADERS, tuple(map(_cells, rows)), numeric)
    publish("limits", table, rows, options.out, time_limit=options.time_limit, budget=options.budget)


def measured(graph: str, solver: str, budget: str, seconds: float, environment: Mapping[str, str]) -> dict[str, object]:
    """One command: how long it took, and what came of it."""
    words = ["solve", graph, "-b", budget, "-s", solver, "-t", str(seconds), "--json"]
    command = [sys.executable, "-m", "hcp.cli", *words]
    began = time.perf_counter()
    try:
        done = subprocess.run(
            command, env=os.environ | environment, capture_output=True, text=True, check=False, timeout=MOST * seconds
        )
        out, error = done.stdout, done.stderr
    except subprocess.TimeoutExpired:
        out, error = "", f"killed after {MOST * seconds:g} s"
    taken = time.perf_counter() - began
    plan = json.loads(out) if out else {}
    return {
        "graph": Path(graph).stem,
        "solver": solver,
        "cache": "cold" if environment else "warm",
        "asked_seconds": seconds,
        "taken_seconds": taken,
        "kept": taken <= 1.1 * seconds + 1,
        "overhead": plan.get("overhead"),
        "outcome": plan.get("status") or next(iter(error.strip().splitlines()), ""),
    }


def _cells(row: Mapping[str, object]) -> tuple[str, ...]:
    overhead = row["overhead"]
    return (
        str(row["graph"]),
        str(row["solver"]),
        str(row["cache"]),
        f"{row['asked_seconds']:g}",
        f"{row['taken_seconds']:.1f}",
        "yes" if row["kept"] else "NO",
        f"{100 * overhead:.2f}" if isinstance(overhead, float) else "-",
        str(row["outcome"])[:60],
    )


if __name__ == "__main__":
    main()
