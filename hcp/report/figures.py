"""Pictures of comparisons and of runs: each function draws into an Axes and returns it. Needs the extra ``plot``."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import TYPE_CHECKING, Final

from hcp.compare import Comparison, Row
from hcp.graph.errors import HcpError
from hcp.planning.solution import Status
from hcp.report.drawing import COLOURS, LINES, MARKERS, drawing, legend_below, pyplot, scaled_bytes

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

__all__ = [
    "ExecutedRun",
    "cost_against_budget",
    "pareto_front",
    "plot_comparison",
    "plot_runs",
    "pyplot",
    "runs_pareto",
]

# Planners this many times more expensive than the best at every budget would leave no room for the others.
_OFF_SCALE: Final = 4.0
_MOST_COLUMNS: Final = 2
_BELOW: Final = "below the bound (order-free)"
_TOO_SMALL: Final = "no schedule fits"


@dataclass(frozen=True)
class ExecutedRun:
    """A way of running a step, as it was measured.

    Attributes:
        label: What ran; runs of one label are joined by a line.
        peak_bytes: Most bytes held.
        seconds: Of a step.
    """

    label: str
    peak_bytes: int
    seconds: float


def plot_comparison(comparison: Comparison, path: str | os.PathLike[str]) -> None:
    """Draws overhead against budget into an image file, one panel a graph; its ending says the format.

    Raises:
        HcpError: If matplotlib is missing or cannot write there.
    """
    graphs = list(dict.fromkeys(row.graph for row in comparison.rows))
    columns = min(_MOST_COLUMNS, len(graphs))
    with drawing(path, -(-len(graphs) // columns), columns) as axes:
        for panel, graph in zip(axes, graphs, strict=False):
            cost_against_budget(panel, [row for row in comparison.rows if row.graph == graph], legend=False)
        for panel in axes[len(graphs) :]:
            panel.remove()
        # One legend for all panels, whose planners look alike.
        handles = {label: handle for panel in axes for handle, label in zip(*_legend(panel), strict=True)}
        if _BELOW in handles:
            handles[_BELOW] = handles.pop(_BELOW)
        axes[0].figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=3 * columns)


def plot_runs(runs: Sequence[ExecutedRun], path: str | os.PathLike[str], title: str = "") -> None:
    """Draws step time against peak of executed runs into an image file.

    Raises:
        HcpError: If there are none, matplotlib is missing, or the file cannot be written.
    """
    if not runs:
        raise HcpError("there are no executed runs to draw; give results with 'peak_bytes' and 'seconds'")
    with drawing(path, 1) as (axes,):
        runs_pareto(axes, runs).set_title(title)


def cost_against_budget(axes: "Axes", rows: Sequence[Row], legend: bool = True) -> "Axes":
    """Extra cost of each planner against the budget; what no schedule can reach is shaded.

    Args:
        axes: Where to draw.
        rows: Of one graph, at several budgets.
        legend: Whether to draw one.
    """
    size, unit = scaled_bytes([row.budget_bytes for row in rows])
    bounds = bound_steps(_bounds(rows, size))
    lines = {solver: _points(rows, solver, size) for solver in dict.fromkeys(row.solver for row in rows)}
    costs = [cost for points in lines.values() for _, cost in points]
    best: dict[float, float] = {}
    for points in lines.values():
        for budget, cost in points:
            best[budget] = min(cost, best.get(budget, cost))
    top = max((cost for cost in costs if cost <= _OFF_SCALE * max([1.0, *best.values()])), default=1.0)
    top = 1.08 * max([top, 0.5, *(bound for _, bound in bounds)])
    look = zip(cycle(COLOURS), cycle(MARKERS), cycle([*LINES, *LINES[1:]]), strict=False)
    for (solver, points), (colour, marker, line) in zip(lines.items(), look, strict=False):
        if points:
            axes.plot(*zip(*points, strict=True), marker=marker, ls=line, color=colour, mfc="none", label=solver)
    axes.set(title=rows[0].graph, xlabel=f"budget [{unit}]", ylabel="extra cost [%]")
    axes.set_ylim(0, top)
    axes.margins(x=0.03)
    _mark_infeasible(axes, rows, size)
    shade_below(axes, bounds, _BELOW)
    if legend:
        legend_below(axes)
    return axes


def _mark_infeasible(axes: "Axes", rows: Sequence[Row], size: float) -> None:
    """Crosses at budgets that are proved too small; the axis reaches from the smallest budget asked to the largest."""
    small = sorted({row.budget_bytes / size for row in rows if row.status == Status.INFEASIBLE.name})
    low, high = axes.get_xlim()
    asked = [row.budget_bytes / size for row in rows]
    room = 0.03 * (max(asked) - min(asked)) or 0.05 * max(asked)
    axes.set_xlim(min(low, min(asked) - room), max(high, max(asked) + room))
    if small:
        axes.plot(
            small,
            [0.0] * len(small),
            marker="x",
            ls="none",
            color="black",
            clip_on=False,
            transform=axes.get_xaxis_transform(),
            label=_TOO_SMALL,
        )


def bound_steps(bounds: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Bounds by rising budget, each the best that holds there: what is proved at a budget holds up to it, not beyond.

    Args:
        bounds: Budgets, and below which extra cost no schedule within them can be.
    """
    found: list[tuple[float, float]] = []
    for budget, bound in sorted(bounds, reverse=True):
        found.append((budget, max(bound, found[-1][1] if found else bound)))
    return found[::-1]


def shade_below(axes: "Axes", steps: Sequence[tuple[float, float]], label: str) -> None:
    """Shades where no schedule can be: between the budgets of bounds, what was proved at the next larger one.

    Args:
        axes: Where to draw; its other contents are there already.
        steps: From ``bound_steps``.
        label: For the legend.
    """
    if not steps:
        return
    x, y = map(list, zip(*steps, strict=True))
    line = axes.step(x, y, where="pre", color="black", lw=0.8)
    low, high = axes.get_xlim()
    line[0].set_data([low, *x], [y[0], *y])
    axes.fill_between([low, *x], [y[0], *y], 0, step="pre", color="0.85", lw=0, label=label)
    axes.set_xlim(low, high)


def runs_pareto(axes: "Axes", runs: Sequence[ExecutedRun]) -> "Axes":
    """Step time against peak memory of executed runs, with the runs that no other one beats in both joined by steps."""
    size, unit = scaled_bytes([run.peak_bytes for run in runs])
    scale, time_unit = (1e3, "ms") if max(run.seconds for run in runs) < 10 else (1.0, "s")
    look = zip(cycle(COLOURS), cycle(MARKERS), strict=False)
    for label, (colour, marker) in zip(dict.fromkeys(run.label for run in runs), look, strict=False):
        mine = sorted((run.peak_bytes / size, run.seconds * scale) for run in runs if run.label == label)
        axes.plot(*zip(*mine, strict=True), marker=marker, ls=":", lw=0.8, color=colour, mfc="none", label=label)
    front = [(run.peak_bytes / size, run.seconds * scale) for run in pareto_front(runs)]
    axes.step(*zip(*front, strict=True), where="post", color="0.6", lw=3, alpha=0.5, zorder=0, label="not beaten")
    axes.set(xlabel=f"measured peak [{unit}]", ylabel=f"step [{time_unit}]")
    axes.set_xlim(0, 1.05 * max(run.peak_bytes for run in runs) / size)
    axes.set_ylim(0, 1.1 * max(run.seconds for run in runs) * scale)
    legend_below(axes, columns=2)
    return axes


def pareto_front(runs: Sequence[ExecutedRun]) -> list[ExecutedRun]:
    """The runs that no other one beats in both peak and time, by rising peak."""
    front: list[ExecutedRun] = []
    for run in sorted(runs, key=lambda run: (run.peak_bytes, run.seconds)):
        if not front or run.seconds < front[-1].seconds:
            front.append(run)
    return front


def _legend(axes: "Axes") -> "tuple[list[Artist], list[str]]":
    return axes.get_legend_handles_labels() if axes.figure is not None else ([], [])


def _points(rows: Sequence[Row], solver: str, size: float) -> list[tuple[float, float]]:
    return sorted(
        (row.budget_bytes / size, 100 * row.plan.overhead)
        for row in rows
        if row.solver == solver and row.plan is not None and row.plan.overhead is not None
    )


def _bounds(rows: Sequence[Row], size: float) -> list[tuple[float, float]]:
    found = {
        row.budget_bytes / size: 100 * (row.best_bound / row.plan.graph.base_cost - 1)
        for row in rows
        if row.best_bound is not None and row.plan is not None and row.plan.graph.base_cost
    }
    return sorted(found.items())
