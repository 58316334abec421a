"""hcp's JAX plans on a GPU: does the compiled program keep the budget there, and what does a step take?

Run as ``python -m benchmarks.gpu_jax [--profile small|medium|large] [--model mlp] [--out FOLDER]`` where JAX sees a
GPU; elsewhere it says so and exits with 1. The comparison is that of ``executed_jax``, without a compiler option, since
GPUs keep barriers until after scheduling; the first table holds the compiler's account of each hcp plan against what
the allocator saw at its peak.
"""

import sys
from typing import Final

import jax

from benchmarks.executed_jax import SECONDS, Way, run, ways_of, works
from benchmarks.harness import publish
from benchmarks.jax_report import Row
from benchmarks.options import executed_options
from hcp.report.tables import Table

MODELS: Final = ("mlp", "transformer", "conv")
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
    options = executed_options(__doc__, MODELS, profile="large").parse_args()
    if jax.default_backend() not in PLATFORMS:
        sys.exit(f"JAX sees no GPU here but {jax.default_backend()!r}; install its GPU build, or use executed_jax")
    time_limit = options.time_limit or SECONDS[options.profile]
    chosen = {name: work for name, work in works(options.profile).items() if name in (options.model or MODELS)}
    rows = [row for name, work in chosen.items() for row in check(name, ways_of(work, time_limit))]
    headers = ("model", "way", "budget_bytes", "planned_bytes", "compiled_bytes", "allocated_bytes", "kept")
    body = tuple(tuple(str(row[header]) for header in headers) for row in rows)
    publish("gpu_jax_memory", Table(headers, body, (False, False, True, True, True, True, False)), rows, options.out)
    run(chosen, options.out, time_limit=time_limit, rounds=options.rounds)


if __name__ == "__main__":
    main()
