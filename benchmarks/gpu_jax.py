"""hcp's JAX plans on a GPU: does the compiled program keep the budget there, and what does a step take?

Run as ``python -m benchmarks.gpu_jax [--model mlp] [--seconds 90] [--out FOLDER]`` where JAX sees a GPU; elsewhere it
says so and exits with 1. ``--device cpu --tiny`` rehearses it. Each way runs in a process of its own, as in
``executed_jax``, whose models these are; no compiler option is passed on a GPU, since barriers stay there until after
scheduling. The table holds the compiler's account of each program against its budget and what the allocator saw.

A JAX that hcp was not tested with is refused, and this then exits with 77; ``HCP_UNTESTED_JAX=1`` tries it.
"""

import argparse
import os
import sys
from collections.abc import Mapping
from functools import partial
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from benchmarks.apart import Row, add_options, answer, compare, piece
from benchmarks.harness import alone
from benchmarks.options import executed_options
from benchmarks.pieces import SKIPPED, Piece
from hcp.graph.errors import HcpError

MODELS: Final = ("mlp", "transformer", "conv")
PLATFORMS: Final = ("gpu", "cuda", "rocm")
WAYS: Final = ("hcp at 60%", "checkpoint, each", "hcp at 40%", "plain")
SECONDS: Final = 90.0
EACH: Final = 60.0
PLANNING: Final = 8.0
ROUNDS: Final = 11
# Gradients relative to the largest entry of each array; products may be in TensorFloat32.
TOLERANCE: Final = 2e-2
SHOWN: Final = ("budget_bytes", "planned_bytes", "bytes", "allocated_bytes", "step_ms", "x_plain", "difference")


def _parser() -> argparse.ArgumentParser:
    parser = executed_options(__doc__, MODELS, profile=None)
    add_options(parser, ("gpu", "cpu"), SECONDS, EACH, WAYS)
    return parser


def main() -> int:
    """Runs on the first GPU; 0 where no way failed."""
    options = _parser().parse_args()
    # A process takes most of a GPU's memory otherwise, and the allocator's peak says nothing.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    try:
        import_module("hcp.integrations.jax")
    except HcpError as error:
        print(error)
        return SKIPPED
    if options.answer is not None:
        return _answer(options)
    # Asked in another process, which then gives the device back.
    platform = alone(_platform)
    if platform not in (PLATFORMS if options.device == "gpu" else ("cpu",)):
        print(f"JAX sees no {options.device} here but {platform!r}; --device cpu --tiny rehearses it")
        return 1
    return compare(
        "gpu_jax",
        # Where time runs out, every model has the first ways.
        [(model, way) for way in options.way or WAYS for model in options.model or MODELS],
        partial(_piece, options),
        SHOWN,
        seconds=options.seconds,
        out=options.out,
        at_once=options.at_once,
        jax=version("jax"),
        tiny=options.tiny,
    )


def _platform() -> str:
    import jax

    return jax.default_backend()


def _answer(options: argparse.Namespace) -> int:
    """Measures one way of one model in this process, and writes what it finds."""
    import jax

    row = measured(options) | {"device": jax.devices()[0].device_kind}
    row["error"] = _wrong(row)
    return answer(options.answer, row)


def measured(options: argparse.Namespace) -> Row:
    """What ``executed_jax`` measures of a way, with plain beside it."""
    from benchmarks import executed_jax
    from benchmarks.jax_peers import peers

    (model,), (way,) = options.model, options.way
    build, chains = executed_jax.works("small" if options.tiny else "large")[model], peers()
    plain = partial(executed_jax.by_hand, build, chains["plain"])
    if way in chains:
        make = partial(executed_jax.by_hand, build, chains[way])
    else:
        make = partial(executed_jax.planned, build, chains["plain"], way.split()[-1], options.time_limit)
    return executed_jax.measured(make, plain, options.rounds)


def _wrong(row: Mapping[str, Any]) -> str | None:
    """What a measurement refutes of what was promised; None for nothing."""
    if not row["difference"] <= TOLERANCE:
        return f"gradients differ from plain's by {row['difference']:.2g} of their largest entry"
    if row["budget_bytes"] is not None and row["bytes"] > row["budget_bytes"]:
        return f"the compiled program takes {row['bytes']:,} bytes, over the budget of {row['budget_bytes']:,}"
    return None


def _piece(options: argparse.Namespace, model: str, way: str, path: Path) -> Piece:
    given = {
        "--model": model,
        "--way": way,
        "--time-limit": options.time_limit or PLANNING,
        "--rounds": options.rounds or ROUNDS,
        "--answer": path,
    }
    return piece(options, "benchmarks.gpu_jax", f"jax {model} {way}", given)


if __name__ == "__main__":
    sys.exit(main())
