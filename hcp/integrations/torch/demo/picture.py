"""The picture of an executed plan: memory over time as planned and as measured, and what memory costs."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

from hcp.graph.errors import HcpError
from hcp.integrations.torch.measure import Memory
from hcp.planning.plan import Plan
from hcp.report.figures import pyplot
from hcp.schedule.actions import Compute

MIB = 2**20


@dataclass(frozen=True)
class Executed:
    """A way of running the step, as it was measured."""

    peak_bytes: int
    step_seconds: float


def plot_execution(
    path: str | os.PathLike[str],
    *,
    plan: Plan,
    measured: Memory,
    curve: Sequence[tuple[int, float]],
    rows: Mapping[str, tuple[int, float]],
    executed: Mapping[str, Executed],
) -> None:
    """Draws three panels into an image file.

    Args:
        path: The file; its ending says the format.
        plan: The plan that ran.
        measured: What it took when it ran.
        curve: Peak in bytes and extra cost (a fraction) of the best plans at several budgets.
        rows: The same for each planner at one budget.
        executed: Ways of running the step, by name.

    Raises:
        HcpError: If matplotlib is missing or the file cannot be written.
    """
    plt = pyplot()
    figure, (memory, cost, time) = plt.subplots(1, 3, figsize=(17, 4.8), layout="constrained")
    _memory(memory, plan, measured)
    # Planners that end at the same point get markers that show through each other.
    for (name, (peak, extra)), marker in zip(rows.items(), cycle("os^Dx+*"), strict=False):
        cost.plot(peak / MIB, 100 * extra, marker, ms=8, mfc="none", label=name)
    cost.plot([peak / MIB for peak, _ in curve], [100 * extra for _, extra in curve], "k.--", lw=1, label="best plans")
    cost.set(title="Cost against budget, as planned", xlabel="peak [MiB]", ylabel="extra cost [%]")
    cost.set_ylim(bottom=-1)
    cost.legend()
    for name, point in executed.items():
        time.plot(point.peak_bytes / MIB, 1e3 * point.step_seconds, "o", ms=8, label=name)
    time.set(title="Step time against peak, as measured", xlabel="measured peak [MiB]", ylabel="median step [ms]")
    time.set_xlim(left=0)
    time.set_ylim(bottom=0)
    time.legend(loc="lower left")
    temporary = Path(path).with_name(f".{os.getpid()}.{Path(path).name}")
    try:
        figure.savefig(temporary, dpi=110)
        temporary.replace(path)
    except (OSError, ValueError) as error:
        raise HcpError(f"cannot write {os.fspath(path)!r} ({error}); give an image file such as 'demo.png'") from None
    finally:
        temporary.unlink(missing_ok=True)
        plt.close(figure)


def _memory(axes: Any, plan: Plan, measured: Memory) -> None:  # noqa: ANN401 - matplotlib comes untyped
    assert plan.usage is not None
    first, last = measured.times[0], measured.times[-1]

    def milliseconds(times: Sequence[float]) -> list[float]:
        return [(time - first) / 1e6 for time in times]

    axes.step(
        milliseconds(measured.times), [held / MIB for held in measured.held], where="post", lw=2.5, label="measured"
    )
    planned = [held / MIB for held in plan.usage.profile]
    axes.step(
        milliseconds([*_starts(plan, measured), last]), [*planned, planned[-1]], where="post", lw=1, label="planned"
    )
    axes.axhline(plan.problem.budget / MIB, color="k", ls="--", lw=1, label="budget")
    axes.axhline(plan.base.peak / MIB, color="gray", ls=":", lw=1, label="keep-everything peak")
    axes.set(
        title=f"One step: peak {plan.usage.peak:,} B planned, {measured.peak:,} B measured",
        xlabel="time under the profiler [ms]",
        ylabel="held above the start [MiB]",
    )
    axes.set_ylim(bottom=0, top=1.25 * plan.base.peak / MIB)
    axes.legend(loc="upper left", ncols=2)


def _starts(plan: Plan, measured: Memory) -> list[float]:
    """When each planned step started, so that both curves share a clock.

    The plan's operations are met in order among those that ran; what is no ATen operation, such as a transfer or saving
    a random state, starts where the one before it did.
    """
    assert plan.schedule is not None
    starts: list[float] = []
    ran = iter(measured.operations)
    known = {name for name, _ in measured.operations}
    at = float(measured.times[0])
    for step in plan.schedule.steps:
        op = plan.graph.node[step.node].op if isinstance(step, Compute) else ""
        operation = op.removeprefix("aten.").partition(".")[0]
        if operation in known:
            at = next((float(start) for found, start in ran if found == operation), at)
        starts.append(at)
    return starts
