"""hcp's JAX plans on a GPU: does the compiled program keep the budget there, and what does a step take?

Run as ``python -m benchmarks.gpu_jax [--profile small|medium|large] [--model mlp] [--out FOLDER]`` where JAX sees a
GPU; elsewhere it says so and exits with 1. The comparison is that of ``executed_jax``, without a compiler option, since
GPUs keep barriers until after scheduling; a last table holds the compiler's account of each hcp plan against what
the allocator saw at its peak.
"""

import sys
from typing import Final

import jax

from benchmarks.executed_jax import SECONDS, run, works
from benchmarks.harness import alone, publish
from benchmarks.options import ROUNDS, executed_options
from hcp.report.tables import Table

MODELS: Final = ("mlp", "transformer", "conv")
PLATFORMS: Final = ("gpu", "cuda", "rocm")
HEADERS: Final = ("model", "way", "budget_bytes", "planned_bytes", "bytes", "allocated_bytes")


def main() -> None:
    """Runs on the first GPU."""
    options = executed_options(__doc__, MODELS, profile="large").parse_args()
    # Asked in another process, since JAX takes most of a GPU's memory for the process that looks.
    platform = alone(jax.default_backend)
    if platform not in PLATFORMS:
        sys.exit(f"JAX sees no GPU here but {platform!r}; install its GPU build, or use executed_jax")
    time_limit = options.time_limit or SECONDS[options.profile]
    chosen = {name: build for name, build in works(options.profile).items() if name in (options.model or MODELS)}
    found = run(chosen, options.out, time_limit=time_limit, rounds=options.rounds or ROUNDS[options.profile])
    rows = [row | {"kept": row["bytes"] <= row["budget_bytes"]} for row in found if row.get("budget_bytes")]
    headers = (*HEADERS, "kept")
    body = tuple(tuple(str(row[header]) for header in headers) for row in rows)
    publish("gpu_jax_memory", Table(headers, body, (False, False, True, True, True, True, False)), rows, options.out)


if __name__ == "__main__":
    main()
