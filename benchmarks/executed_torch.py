"""Peak memory and step time of real training steps: hcp inside Inductor against PyTorch's own ways to need less memory.

Run as ``python -m benchmarks.executed_torch --out benchmarks/results [--model gpt]``, on one thread; all models take
some hours, and the tables and the picture are written again as soon as one is there. ``--model`` adds to what an
earlier run with the same settings wrote.

Each way runs in a process of its own, beside plain Inductor in the same process: what is compiled for one would
otherwise serve the next. The two take turns, so that a busy machine slows both alike; a step is a forward and a
backward from cleared gradients, its time the median, and its ratio to plain Inductor the median of the paired ratios.
That of plain Inductor itself (``activation_memory_budget at 1``) is to another of its kind, and shows what the clock
can tell.

hcp plans as its users get it: at shares of plain Inductor's measured peak, at the measured peak of each point that
PyTorch's compiler reaches, and at the smallest that it reaches itself. Where two budgets get one plan, it is measured
once. The second table asks, for each peer, which hcp way with a peak no higher is the quickest; the third how long the
first call takes in a second start, from caches; the last what is promised of all this. ``standin`` is for the curve
alone: the same shares of the activation memory for ``activation_memory_budget`` and for hcp.
"""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import torch

from benchmarks.harness import alone
from benchmarks.options import executed_options
from benchmarks.torch_checks import budget_checks, checks_of, falling
from benchmarks.torch_measure import Promise, Seen, Task, first_call, gradient_bytes, measure, smallest
from benchmarks.torch_peers import ACTIVATION, BLOCKS, PLAIN, Wrap, peers
from benchmarks.torch_report import Failed, Measured, Start, starts_of, verdicts_of
from benchmarks.torch_results import Results
from benchmarks.torch_works import MODELS, STANDIN, Build, works
from hcp.graph.errors import HcpError
from hcp.integrations.torch.request import Compiler

PROFILES: Final = ("standard", "tiny")
# Per cent of plain Inductor's measured peak, for plans inside Inductor and for such as run operation by operation.
SHARES: Final = (100, 90, 75, 60, 45, 30)
EAGER_SHARES: Final = (100, 60, 30)
# How the names of others begin at whose peaks hcp plans as well.
AT_PEAKS: Final = (ACTIVATION, BLOCKS)
# Shares of the activation memory, for the curve.
CURVE: Final = (1.0, 0.5, 0.35, 0.3, 0.25, 0.2, 0.15, 0.1, 0.05)
# Whose second starts are timed beside plain Inductor's, and how often.
STARTS: Final = (PLAIN, "hcp inductor at 100%", "hcp inductor at 60%")
START_ROUNDS: Final = 3
# Timed steps of each way.
ROUNDS: Final = {"standard": 15, "tiny": 3}
# What takes longer hangs: the longest plans and compiles half a dozen programs.
WAY_SECONDS: Final = 3600.0


@dataclass
class Bench:
    """The measurements of one model.

    Attributes:
        model: Its name.
        task: How its processes measure.
        rows: What was found so far.
        wraps: The ways, by their names in the rows.
    """

    model: str
    task: Task
    rows: list[Measured | Failed] = field(default_factory=list)
    wraps: dict[str, Wrap] = field(default_factory=dict)

    def peer(self, method: str, wrap: Wrap) -> None:
        """Measures a way of others."""
        self._add(method, wrap, None)

    def hcp(self, method: str, budget: int, compiler: Compiler = "inductor") -> None:
        """Measures a plan of hcp's for so many bytes."""
        self._add(method, self.task.hcp(budget, compiler=compiler), budget)

    def _add(self, method: str, wrap: Wrap, budget: int | None) -> None:
        self.wraps[method] = wrap
        known = frozenset(row.plan for row in self.rows if isinstance(row, Measured) and row.plan is not None)
        try:
            promise, seen = alone(partial(measure, self.task, wrap, budget is not None, known), WAY_SECONDS)
            row: Measured | Failed = self._row(method, budget, promise, seen)
        except HcpError as error:
            row = Failed(self.model, method, str(error))
        self.rows.append(row)
        found = row.error if isinstance(row, Failed) else f"{row.peak_bytes:,} bytes, {row.x_inductor:.3f} x Inductor"
        print(f"{self.model}: {method}: {found}", file=sys.stderr, flush=True)

    def _row(self, method: str, budget: int | None, promise: Promise | None, seen: Seen | None) -> Measured:
        if seen is None:
            assert promise is not None
            assert budget is not None
            same = next(row for row in self.rows if isinstance(row, Measured) and row.plan == promise.plan)
            return replace(same, method=method, budget_bytes=budget, kept=same.peak_bytes <= budget)
        row = Measured(
            self.model,
            method,
            seen.peak_bytes,
            seen.pace.step_ms,
            seen.pace.ratio,
            seen.pace.quartiles,
            seen.difference,
            seen.same_random_state,
        )
        if promise is None or budget is None:
            return row
        return replace(
            row,
            budget_bytes=budget,
            kept=seen.peak_bytes <= budget,
            planned_bytes=promise.planned_bytes,
            overhead=promise.overhead,
            gap=promise.gap,
            plan=promise.plan,
        )

    def peak(self, method: str) -> int | None:
        """The measured peak of a way; None where it failed."""
        found = (row.peak_bytes for row in self.rows if isinstance(row, Measured) and row.method == method)
        return next(found, None)


def compare(bench: Bench) -> None:
    """Measures every way of one model: those of others, then hcp at their peaks and at shares of plain Inductor's."""
    for method, wrap in peers().items():
        bench.peer(method, wrap)
    whole = bench.peak(PLAIN)
    if whole is None:
        return
    budgets = {f"hcp inductor at {share}%": share * whole // 100 for share in SHARES}
    for peer in bench.wraps:
        peak = bench.peak(peer)
        if peak is not None and peer.startswith(AT_PEAKS) and peak not in budgets.values():
            budgets[f"hcp inductor at the peak of {peer.replace(' at ', ' ')}"] = peak
    try:
        budgets["hcp inductor at its smallest"] = alone(partial(smallest, bench.task), WAY_SECONDS)
    except HcpError as error:
        bench.rows.append(Failed(bench.model, "hcp inductor at its smallest", str(error)))
    # Upwards: a plan for less is offered for more as well, so that more memory never means a slower step.
    for method, budget in sorted(budgets.items(), key=lambda item: item[1]):
        bench.hcp(method, budget)
    for share in EAGER_SHARES:
        bench.hcp(f"hcp aot_eager at {share}%", share * whole // 100, "aot_eager")


def curve(bench: Bench) -> None:
    """Measures ``activation_memory_budget`` and hcp at the same shares of the activation memory.

    That is what plain Inductor's peak is above the gradients, which every step leaves behind.
    """
    for method, wrap in peers(CURVE).items():
        if method.startswith(ACTIVATION):
            bench.peer(method, wrap)
    whole = bench.peak(PLAIN)
    if whole is None:
        return
    left = alone(partial(gradient_bytes, bench.task.build))
    for share in sorted(CURVE):
        bench.hcp(f"hcp inductor at {share:g}", left + int(share * (whole - left)))


def second_starts(bench: Bench) -> list[Start | Failed]:
    """Times first calls from the caches that the measurements filled, in turns."""
    methods = [method for method in STARTS if bench.peak(method) is not None]
    seconds: dict[str, list[float]] = {method: [] for method in methods}
    failed: list[Start | Failed] = []
    for _, method in product(range(START_ROUNDS), methods):
        if method not in seconds:
            continue
        try:
            seconds[method].append(alone(partial(first_call, bench.task, bench.wraps[method]), WAY_SECONDS))
        except HcpError as error:
            del seconds[method]
            failed.append(Failed(bench.model, method, str(error)))
    return failed + (starts_of(bench.model, PLAIN, seconds) if PLAIN in seconds else [])


@contextmanager
def caches() -> Iterator[Path]:
    """A folder for hcp's plans, and one for Inductor's code unless the user names one, which the processes share."""
    with TemporaryDirectory(prefix="hcp-executed-") as folder:
        given = os.environ.get("TORCHINDUCTOR_CACHE_DIR")
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = given or str(Path(folder) / "inductor")
        try:
            yield Path(folder) / "plans"
        finally:
            if given is None:
                del os.environ["TORCHINDUCTOR_CACHE_DIR"]


def run(
    chosen: Mapping[str, Build], out: Path | None, *, title: str, rounds: int, time_limit: float | None, **more: object
) -> Results:
    """Measures models; prints and writes all tables, and the picture, as soon as one is done.

    Args:
        chosen: What makes each model.
        out: The folder; None only prints.
        title: How the files' names begin.
        rounds: Timed steps of each way.
        time_limit: Seconds for each of hcp's plans; None for its default.
        more: Settings to note with the results.
    """
    results = Results(title, out, {"rounds": rounds, "time_limit": time_limit, **more})
    results.take_up(list(chosen))
    with caches() as folder:
        for name, build in chosen.items():
            bench = Bench(name, Task(build, rounds, torch.get_num_threads(), folder / name, time_limit))
            if name == STANDIN:
                curve(bench)
                results.add(bench.rows, checks=[*budget_checks(bench.rows), falling(bench.rows)])
                continue
            compare(bench)
            verdicts, starts = verdicts_of(bench.rows), second_starts(bench)
            results.add(bench.rows, verdicts, starts, list(checks_of(bench.rows, starts, verdicts)))
    return results


def main() -> None:
    """Runs the comparison on the CPU, on one thread."""
    names = (*MODELS, STANDIN)
    options = executed_options(__doc__, names, profile=PROFILES[0], profiles=PROFILES).parse_args()
    torch.set_num_threads(1)
    run(
        {name: build for name, build in works(options.profile).items() if name in (options.model or names)},
        options.out,
        title="executed_torch",
        rounds=options.rounds or ROUNDS[options.profile],
        time_limit=options.time_limit,
        profile=options.profile,
    )


if __name__ == "__main__":
    main()
