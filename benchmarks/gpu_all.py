"""Every check that needs a GPU, each in a process of its own with a limit of its own; ``gpu_all.sh`` starts it.

The pieces, in the order of their turns: ``device`` says what is there, ``compile`` makes the searches' machine code
while ``tests`` runs the tests that are skipped elsewhere, then ``gpu_torch`` and ``gpu_jax`` measure. What each finds
is in the folder as soon as it ends, and ``summary.md`` and ``summary.json`` say how all of them ended.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from io import StringIO
from pathlib import Path
from typing import Any, Final

from benchmarks.harness import publish
from benchmarks.pieces import Outcome, Piece, python_module, run_pieces
from hcp.graph.files import write_atomically
from hcp.report.tables import Table

NAMES: Final = ("device", "compile", "tests", "gpu_torch", "gpu_jax")
# In eight minutes all of it is over; those that run at the same time have one limit.
SECONDS: Final = 460.0
LIMITS: Final = {"device": 30.0, "compile": 90.0, "tests": 90.0, "gpu_torch": 245.0, "gpu_jax": 85.0}
# A rehearsal may take so many times as long: compiling for a CPU does, and its machine may be busy.
PATIENCE: Final = 3
# What a comparison leaves of its limit to start and to write its last table.
MARGIN: Final = 8.0
TESTS: Final = (
    "tests/integration/test_torch_gpu.py",
    "tests/integration/test_torch_runtime.py",
    "tests/unit/integrations/torch/test_rng.py",
)
# Searches that take no solver.
COMPILED: Final = "from hcp.planning.compilation import compile_parts; compile_parts('sequences', 'annealing')"
PACKAGES: Final = ("torch", "triton", "jax", "jaxlib", "numba", "numpy", "ortools", "highspy")


def describe(out: Path, device: str) -> int:
    """Writes what is there; 1 where PyTorch sees no GPU and one is asked for."""
    import torch

    there = torch.cuda.is_available()
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    found: dict[str, object] = {
        "device": torch.cuda.get_device_name() if there else "none",
        "memory_bytes": torch.cuda.get_device_properties(0).total_memory if there else None,
        "cuda": torch.version.cuda,
        "python": sys.version.split()[0],
        "packages": versions,
    }
    write_atomically(out / "device.json", json.dumps(found, indent=1) + "\n")
    print(found["device"] if there or device == "cpu" else "PyTorch sees no GPU here; --device cpu --tiny rehearses it")
    return 0 if there or device == "cpu" else 1


def pieces(options: argparse.Namespace) -> dict[str, Piece]:
    """The pieces by name."""
    on_cpu, out = options.device == "cpu", options.out.resolve()
    tiny = ["--tiny"] if options.tiny else []
    # Of a rehearsal, the quickest of each.
    torch_ways = ["--model", "llama", "--way", "hcp, aot_eager, 80%", "--way", "hcp, inductor, 85%"] if tiny else []
    jax_ways = ["--model", "mlp", "--way", "hcp at 60%"] if tiny else []
    short = ["--rounds", 1, "--time-limit", 1] if tiny else []
    whole = {name: (PATIENCE if on_cpu else 1) * seconds for name, seconds in LIMITS.items()}
    limits = {name: seconds - MARGIN for name, seconds in whole.items()}
    # Of a process that measures one way; a rehearsal has few.
    each_way = ["--each", limits["gpu_torch"] / 2] if on_cpu else []
    # Compiling takes most of the time, and each process has two models and their activations on the device.
    at_once = 1 if on_cpu else max(1, min(3, (os.cpu_count() or 1) // 4))
    commands = {
        "device": python_module("benchmarks.gpu_all", "--out", out, "--device", options.device, "--describe"),
        "compile": (sys.executable, "-c", COMPILED),
        "tests": python_module(
            "pytest", "-p", "no:cacheprovider", f"--junitxml={out / 'tests.xml'}", *(TESTS[-1:] if tiny else TESTS)
        ),
        "gpu_torch": python_module(
            "benchmarks.gpu_torch", "--device", options.device, "--out", out, "--seconds", limits["gpu_torch"],
            "--at-once", at_once, *each_way, *tiny, *torch_ways, *short,
        ),
        "gpu_jax": python_module(
            "benchmarks.gpu_jax", "--device", "cpu" if on_cpu else "gpu", "--out", out, "--seconds", limits["gpu_jax"],
            "--at-once", at_once, *each_way, *tiny, *jax_ways, *short,
        ),
    }  # fmt: skip
    # JAX is newer than what hcp was tested with on some machines: what it does there is worth knowing.
    environment = {"gpu_jax": {"HCP_UNTESTED_JAX": "1"} | ({"JAX_PLATFORMS": "cpu"} if on_cpu else {})}
    return {name: Piece(name, each, whole[name], environment.get(name, {})) for name, each in commands.items()}


def run(options: argparse.Namespace) -> int:
    """Runs the pieces asked for; 0 where none failed."""
    deadline = time.monotonic() + (options.seconds or (PATIENCE if options.device == "cpu" else 1) * SECONDS)
    options.out.mkdir(parents=True, exist_ok=True)
    chosen = {name: piece for name, piece in pieces(options).items() if name in (options.only or NAMES)}
    outcomes: list[Outcome] = []

    def ended(outcome: Outcome) -> None:
        outcomes.append(outcome)
        print(f"{outcome.name}: {outcome.status} in {outcome.seconds:.0f} s, {outcome.detail}", flush=True)
        with redirect_stdout(StringIO()):
            _summarize(outcomes, options)

    # Neither of the second turn takes times.
    for turn in (("device",), ("compile", "tests"), ("gpu_torch",), ("gpu_jax",)):
        at_hand = [chosen[name] for name in turn if name in chosen]
        if at_hand:
            run_pieces(at_hand, options.out / "logs", deadline, at_once=len(at_hand), ended=ended)
    _summarize(outcomes, options)
    return 1 if any(outcome.status == "fail" for outcome in outcomes) else 0


def _summarize(outcomes: Sequence[Outcome], options: argparse.Namespace) -> None:
    file = options.out / "device.json"
    there: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    body = tuple((each.name, each.status, f"{each.seconds:.0f}", each.detail) for each in outcomes)
    table = Table(("piece", "outcome", "seconds", "detail"), body, (False, False, True, False))
    settings = {"device": there.get("device", "unknown"), "rehearsal": options.tiny or options.device == "cpu"}
    settings |= there.get("packages", {})
    publish("summary", table, [asdict(each) for each in outcomes], options.out, **settings)


def main() -> int:
    """Runs every check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("results/gpu"), help="folder for tables, JSON and logs")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu rehearses")
    parser.add_argument("--tiny", action="store_true", help="small models, and few of the ways, as a rehearsal")
    parser.add_argument("--only", action="append", choices=NAMES, help="a piece; repeat for several; all by default")
    parser.add_argument("--seconds", type=float, help=f"for all of it; {SECONDS:g} by default, on a CPU more")
    parser.add_argument("--describe", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    return describe(options.out, options.device) if options.describe else run(options)


if __name__ == "__main__":
    sys.exit(main())
