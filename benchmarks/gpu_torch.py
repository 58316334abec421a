"""hcp beside torch.compile on a GPU: a Llama of a billion parameters in bfloat16, a vision transformer, a U-Net.

Run as ``python -m benchmarks.gpu_torch [--model llama] [--way compile] [--seconds 240] [--out FOLDER]`` on a machine
with a GPU and a PyTorch that knows it; elsewhere it says so and exits with 1. ``--device cpu --tiny`` rehearses it.
``--host`` compares plans that move values to the host beside the computation with those that do not.

Each way is measured in a process of its own with a limit of its own, with eager beside it there: the peak by
``torch.cuda.max_memory_allocated`` and what was reserved for it, both above what is allocated when a step starts; times
by CUDA events, the two in turn; gradients against eager's. Several processes compile at once, one of them takes times.
A compiled plan over its budget is a failure. A plan run operation by operation promises sizes of tensors, which the
allocator rounds up, and libraries keep workspaces of their own: it may take ``ROUNDED`` more.
"""

import argparse
import fcntl
import gc
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from benchmarks.apart import Row, add_options, answer, compare, piece
from benchmarks.gpu_ways import Asked, Choice, ways
from benchmarks.harness import milliseconds, paired
from benchmarks.options import executed_options
from benchmarks.pieces import Piece
from benchmarks.torch_peers import Way, eager, way_of
from benchmarks.torch_works import Build, Precision, Work, works
from hcp.integrations.torch import plan_of
from hcp.integrations.torch.errors import TorchError

MODELS: Final = ("llama", "vit", "unet")
SECONDS: Final = 240.0
EACH: Final = 120.0
PLANNING: Final = 15.0
ROUNDS: Final = 11
# By how much a step that runs operation by operation may exceed its budget: blocks rounded up, and workspaces.
ROUNDED: Final = 0.05
# By how much a way's gradients may differ from eager's, as norms of all of them: the order of sums is another one.
TOLERANCES: Final[Mapping[Precision, float]] = {"float32": 2e-3, "bfloat16": 5e-2, "autocast": 5e-2}
SHOWN: Final = ("peak_bytes", "reserved_bytes", "budget_bytes", "planned_bytes", "step_ms", "x_eager", "first_s")


def peaks(way: Way) -> tuple[int, int | None]:
    """Most bytes allocated above a step's start, and most that were reserved then, where the device reserves any."""
    if way.work.device == "cpu":
        return way.peak(), None
    way.model.zero_grad(set_to_none=True)
    gc.collect()
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    start = torch.cuda.memory_allocated()
    way.step()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - start, torch.cuda.max_memory_reserved() - start


def gradients(way: Way) -> list[Tensor]:
    """What a step gives, on the CPU."""
    way.step()
    return [each.grad.cpu() for each in way.model.parameters() if each.grad is not None]


def device_milliseconds(step: Callable[[], object]) -> float:
    """What a step takes, by the GPU's clock."""
    first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    first.record()
    step()
    last.record()
    torch.cuda.synchronize()
    return float(first.elapsed_time(last))


def measured(build: Build, choice: Choice, *, time_limit: float, solver: str, rounds: int, lock: Path) -> Row:
    """What this process finds of a way."""
    work = build()
    reference = way_of(work, eager)
    expected = gradients(reference)
    whole, _ = peaks(reference)
    wrap, budget = choice(Asked(whole, time_limit, solver))
    way = way_of(work, wrap)
    start = time.perf_counter()
    found = gradients(way)
    first = time.perf_counter() - start
    peak, reserved = peaks(way)
    with turn(lock):
        clock = milliseconds if work.device == "cpu" else device_milliseconds
        pace = paired(way.step, reference.step, rounds, clock)
    row: Row = {
        "precision": work.precision,
        "peak_bytes": peak,
        "reserved_bytes": reserved,
        "eager_peak_bytes": whole,
        "budget_bytes": budget,
        "first_s": first,
        "difference": difference(found, expected),
        "step_ms": pace.step_ms,
        "x_eager": pace.ratio,
        "x_eager_quartiles": pace.quartiles,
    }
    row |= _promise(way.model)
    row["error"] = _wrong(row, work)
    return row


def _promise(model: nn.Module) -> Row:
    """What hcp said of the step, where it planned it."""
    try:
        plan = plan_of(model)[-1]
    except TorchError:
        return {"planned_bytes": None}
    compiled = plan.allowed_bytes is not None
    note = {"solver": plan.plan.planner, "solver_note": plan.plan.note, "overhead": plan.overhead, "compiled": compiled}
    return {"planned_bytes": plan.measured_bytes if compiled else plan.peak_bytes} | note


def _wrong(row: Row, work: Work) -> str | None:
    """What a measurement refutes of what was promised; None for nothing."""
    if not row["difference"] <= TOLERANCES[work.precision]:
        return f"gradients differ from eager's by {row['difference']:.2g} of their norm"
    allowed = row["budget_bytes"]
    if allowed is not None and not row["compiled"] and work.device != "cpu":
        allowed *= 1 + ROUNDED
    if allowed is not None and row["peak_bytes"] > allowed:
        return f"took {row['peak_bytes']:,} bytes, over the budget of {row['budget_bytes']:,}"
    return None


def difference(found: Sequence[Tensor], reference: Sequence[Tensor]) -> float:
    """The norm of the difference between all gradients, relative to theirs.

    Single parameters say less: the gradient of a bias may be nothing but round-off.
    """
    square = sum(float((a.float() - b.float()).square().sum()) for a, b in zip(found, reference, strict=True))
    norm = sum(float(b.float().square().sum()) for b in reference)
    return float((square / norm) ** 0.5)


@contextmanager
def turn(lock: Path) -> Iterator[None]:
    """Lets one process at a time in."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _parser() -> argparse.ArgumentParser:
    parser = executed_options(__doc__, MODELS, profile=None)
    add_options(parser, ("cuda", "cpu"), SECONDS, EACH)
    parser.add_argument("--solver", default="auto", help="hcp's planner")
    parser.add_argument("--host", action="store_true", help="compare ways that move values to the host")
    return parser


def main() -> int:
    """Runs the comparison; 0 where no way failed."""
    parser = _parser()
    options = parser.parse_args()
    known = ways(options.tiny, options.host)
    unknown = next((way for way in options.way or () if way not in known), None)
    if unknown is not None:
        parser.error(f"no way {unknown!r}; choose from {', '.join(map(repr, known))}")
    if options.device == "cuda" and not torch.cuda.is_available():
        print("benchmarks.gpu_torch: PyTorch sees no GPU here; --device cpu --tiny rehearses it", file=sys.stderr)
        return 1
    if options.answer is not None:
        return _answer(options)
    return compare(
        "gpu_torch_host" if options.host else "gpu_torch",
        # Where time runs out, every model has the first ways.
        [(model, way) for way in options.way or known for model in options.model or MODELS],
        partial(_piece, options),
        SHOWN,
        seconds=options.seconds,
        out=options.out,
        at_once=options.at_once,
        device=torch.cuda.get_device_name() if options.device == "cuda" else "cpu",
        torch=torch.__version__,
        tiny=options.tiny,
    )


def _answer(options: argparse.Namespace) -> int:
    """Measures one way of one model in this process, and writes what it finds."""
    (model,), (way,) = options.model, options.way
    if options.device == "cpu":
        torch.set_num_threads(1)
    row = measured(
        works("large, tiny" if options.tiny else "large", options.device)[model],
        ways(options.tiny, options.host)[way],
        time_limit=options.time_limit,
        solver=options.solver,
        rounds=options.rounds,
        lock=options.answer.parent / "lock",
    )
    return answer(options.answer, row)


def _piece(options: argparse.Namespace, model: str, way: str, path: Path) -> Piece:
    given = {
        "--model": model,
        "--way": way,
        "--solver": options.solver,
        "--time-limit": options.time_limit or PLANNING,
        "--rounds": options.rounds or ROUNDS,
        "--answer": path,
    }
    return piece(options, "benchmarks.gpu_torch", f"{model} {way}", given, *(["--host"] if options.host else []))


if __name__ == "__main__":
    sys.exit(main())
