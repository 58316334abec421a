"""The picture of an executed plan: memory over time as planned and as measured, and what memory costs."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hcp.graph.errors import HcpError
from hcp.integrations.torch.measure import Memory
from hcp.report.figures import pyplot
from hcp.schedule.plan import Plan

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
    for name, (peak, extra) in rows.items():
        cost.plot(peak / MIB, 100 * extra, "o", label=name, alpha=0.8)
    cost.plot([peak / MIB for peak, _ in curve], [100 * extra for _, extra in curve], "k.--", lw=1, label="best plans")
    cost.set(title="What memory costs, as planned", xlabel="peak [MiB]", ylabel="extra cost [%]")
    cost.set_ylim(bottom=-1)
    cost.legend()
    for name, point in executed.items():
        time.plot(point.peak_bytes / MIB, 1e3 * point.step_seconds, "o", ms=8, label=name)
    time.set(title="What memory costs, as measured", xlabel="measured peak [MiB]", ylabel="median step [ms]")
    time.set_xlim(left=0)
    time.legend()
    temporary = Path(path).with_name(f".{os.getpid()}.{Path(path).name}")
    try:
        figure.savefig(temporary, dpi=110)
        temporary.replace(path)
    except (OSError, ValueError) as error:
        raise HcpError(f"cannot write {os.fspath(path)!r} ({error}); give an image file such as 'demo.png'") from None
    finally:
        temporary.unlink(missing_ok=True)
        plt.close(figure)


def _memory(axes: object, plan: Plan, measured: Memory) -> None:
    """Both curves over their own progress: a plan counts operations, a measurement allocations."""
    assert plan.usage is not None
    profile = plan.usage.profile
    nodes = plan.graph.node
    computes = plan.schedule.computes if plan.schedule is not None else ()
    clock = [0.0]
    for name in computes:
        clock.append(clock[-1] + max(1, nodes[name].cost))
    planned_x = [100 * at / clock[-1] for at in clock[:-1]]
    start, end = measured.times[0], measured.times[-1]
    measured_x = [100 * (at - start) / (end - start) for at in measured.times]
    draw = axes.step  # type: ignore[attr-defined]
    draw(measured_x, [held / MIB for held in measured.held], where="post", lw=0.8, label="measured")
    draw(planned_x, [held / MIB for held in profile], where="post", lw=0.8, alpha=0.8, label="planned")
    axes.axhline(plan.problem.budget / MIB, color="k", ls="--", lw=1, label="budget")  # type: ignore[attr-defined]
    axes.axhline(plan.base.peak / MIB, color="gray", ls=":", lw=1, label="keep everything")  # type: ignore[attr-defined]
    axes.set(  # type: ignore[attr-defined]
        title=f"Memory over one step: planned peak {plan.usage.peak:,} B, measured {measured.peak:,} B",
        xlabel="time [% of the step]",
        ylabel="held above the start [MiB]",
    )
    axes.legend(loc="lower center")  # type: ignore[attr-defined]
