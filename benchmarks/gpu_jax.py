"""hcp's JAX plans on a GPU: does the compiled program keep the budget there, and what does a step take?

Run as ``python -m benchmarks.gpu_jax [--size small|medium|large] [--model mlp] [--out FOLDER]`` where JAX sees a GPU;
elsewhere it says so and exits with 1. The comparison is that of ``executed_jax``, without a compiler option, since GPUs
keep barriers until after scheduling; the first table holds the compiler's account of each hcp plan against what the
allocator saw at its peak.
"""

import argparse
import sys
from pathlib import Path
from typing import Final

import jax

from benchmarks.executed_jax import SECONDS, Row, Way, run, ways_of, works
from benchmarks.harness import publish
from hcp.report.tables import Table

PLATFORMS: Final = ("gpu", "cuda", "rocm")


def allocated(way: Way) -> int | None:
    """Most bytes in use while a step runs, above what was in use before; None where the allocator does not say.

    Allocators report the peak of the whole process, so only a step beyond all former ones shows.
    """
    device = jax.devices()[0]
    before = device.memory_stats() or {}
    way.step()
    after = device.memory_stats() or {}
    if "peak_bytes_in_use" not in after or after["peak_bytes_in_use"] <= before.get("peak_bytes_in_use", 0):
        return None
    return int(after["peak_bytes_in_use"] - before["bytes_in_use"])


def check(model: str, ways: dict[str, Way]) -> list[Row]:
    """Budget, plan, compiler and allocator for each hcp plan, the smallest first."""
    planned = {name: way for name, way in ways.items() if way.plan is not None}
    return [
        {
            "model": model,
            "way": name,
            "budget_bytes": way.plan.budget_bytes,
            "planned_bytes": way.plan.memory_bytes,
            "compiled_bytes": way.memory,
            "allocated_bytes": allocated(way),
            "kept": way.memory <= way.plan.budget_bytes,
        }
        for name, way in sorted(planned.items(), key=lambda item: item[1].memory)
        if way.plan is not None
    ]


def main() -> None:
    """Runs on the first GPU."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=("small", "medium", "large"), default="large", help="of the models")
    parser.add_argument("--model", action="append", help="mlp, transformer or conv; all by default")
    parser.add_argument("--time-limit", type=float, help="seconds for each plan; by the size if not given")
    parser.add_argument("--rounds", type=int, default=21, help="timed steps of each way")
    parser.add_argument("--out", type=Path, help="folder for tables, JSON and pictures")
    options = parser.parse_args()
    if jax.default_backend() not in PLATFORMS:
        sys.exit(f"JAX sees no GPU here but {jax.default_backend()!r}; install its GPU build, or use executed_jax")
    time_limit = options.time_limit or SECONDS[options.size]
    chosen = {name: work for name, work in works(options.size).items() if name in (options.model or [name])}
    rows = [row for name, work in chosen.items() for row in check(name, ways_of(work, time_limit))]
    headers = ("model", "way", "budget_bytes", "planned_bytes", "compiled_bytes", "allocated_bytes", "kept")
    body = tuple(tuple(str(row[header]) for header in headers) for row in rows)
    publish("gpu_jax_memory", Table(headers, body, (False, False, True, True, True, True, False)), rows, options.out)
    run(chosen, options.out, time_limit=time_limit, rounds=options.rounds)


if __name__ == "__main__":
    main()
