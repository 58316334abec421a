"""Pictures of comparisons and of runs: each function draws into an Axes and returns it. Needs the extra ``plot``."""

import os
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from math import inf
from typing import TYPE_CHECKING, Final, cast

import numpy as np

from hcp.compare import Comparison, Row
from hcp.graph.errors import HcpError
from hcp.planning.solution import Status
from hcp.report.drawing import (
    COLOURS,
    LINES,
    MARKERS,
    SIZES,
    Size,
    check_figures,
    drawing,
    legend_below,
    pyplot,
    scaled_bytes,
    shared_legend,
    shown_name,
)
from hcp.sweeps.front import pareto

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "FIGURES",
    "ExecutedRun",
    "cost_against_budget",
    "cost_against_peak",
    "gap_against_budget",
    "pareto_front",
    "plot_comparison",
    "plot_runs",
    "pyplot",
    "runs_pareto",
]

# Planners this many times more expensive than the best at every budget would leave no room for the others.
_OFF_SCALE: Final = 4.0
_BELOW: Final = "below the certified bound (order-free)"
_BELOW_CLAIMED: Final = "below the claimed bound (order-free)"
_TOO_SMALL: Final = "no schedule fits"
_KEPT: Final = "peak of keep-everything"
_BEYOND: Final = "beyond the scale"
_CLAIMED_GAP: Final = "hollow: gap to a claimed bound"
_FRONT: Final = "not beaten"
# With fewer budgets that have schedules, keep-everything shows what the axis is about.
_ENOUGH: Final = 3
# As many times the largest budget as keep-everything's peak may be, to be marked elsewhere.
_NEAR: Final = 1.25


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


def plot_comparison(
    comparison: Comparison,
    path: str | os.PathLike[str],
    figures: Sequence[str] = (),
    size: Size | None = None,
) -> None:
    """Draws a comparison into an image file, a panel for each graph and figure; its ending says the format.

    Args:
        comparison: What to draw.
        path: The image file.
        figures: Names from ``FIGURES``; cost against budget, where not given.
        size: Of the whole; as wide as a column of a paper for one panel, else as a page, where not given.

    Raises:
        HcpError: On an unknown figure, if there are no rows, or matplotlib is missing or cannot write there.
    """
    check_figures(figures, FIGURES, "a comparison")
    if not comparison.rows:
        raise HcpError("the comparison has no rows to draw; let it run for longer")
    names = list(figures) or [next(iter(FIGURES))]
    graphs = list(dict.fromkeys(row.graph for row in comparison.rows))
    panels = [(graph, name) for graph in graphs for name in names]
    whole = size or SIZES["column" if len(panels) == 1 else "page"]
    # The figures of a graph side by side, else two graphs.
    columns = min(whole.columns(len(panels)), len(names) if len(names) > 1 else 2)
    with drawing(path, -(-len(panels) // columns), columns, size=whole) as axes:
        for panel, (graph, name) in zip(axes, panels, strict=False):
            FIGURES[name](panel, [row for row in comparison.rows if row.graph == graph], False)
            panel.set_title(shown_name(graph, whole.width / columns))
        for panel in axes[len(panels) :]:
            panel.remove()
        # One legend for all panels, whose planners look alike.
        shared_legend(cast("Figure", axes[0].figure), _shared(axes), whole)


def _shared(axes: "Sequence[Axes]") -> "dict[str, Artist]":
    """What one legend for all panels has: planners first."""
    # The first panel's, whose planners have lines.
    handles = {label: handle for panel in axes[::-1] for handle, label in zip(*_legend(panel), strict=True)}
    for label in (_FRONT, _TOO_SMALL, _KEPT, _BEYOND, _CLAIMED_GAP, _BELOW, _BELOW_CLAIMED):
        if label in handles:
            handles[label] = handles.pop(label)
    return handles


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
    lines = {solver: _points(rows, solver, size) for solver in _solvers(rows)}
    _draw_lines(axes, lines, [bound for _, bound in _bounds(rows, size)])
    axes.set(title=shown_name(rows[0].graph), xlabel=f"budget [{unit}]", ylabel="extra cost [%]")
    _frame(axes, rows, size)
    _shade(axes, rows, size)
    if legend:
        legend_below(axes)
    return axes


def gap_against_budget(axes: "Axes", rows: Sequence[Row], legend: bool = True) -> "Axes":
    """How far each planner's cost may be above the least, against the budget: the gap to the best order-free bound.

    A hollow marker is a gap to a bound that has no certificate.

    Args:
        axes: Where to draw.
        rows: Of one graph, at several budgets.
        legend: Whether to draw one.
    """
    size, unit = scaled_bytes([row.budget_bytes for row in rows])
    found = {solver: list[tuple[float, float]]() for solver in _solvers(rows)}
    proved = set()
    for row in rows:
        if row.gap is not None:
            point = (row.budget_bytes / size, 100 * row.gap)
            found[row.solver].append(point)
            proved |= {point} if row.best_bound_verified else set()
    _draw_lines(axes, {solver: sorted(points) for solver, points in found.items()}, [], filled=proved, scale=inf)
    if any(row.gap is not None and not row.best_bound_verified for row in rows):
        axes.plot([], [], marker="o", ls="none", color="0.4", mfc="none", label=_CLAIMED_GAP)
    axes.set(title=shown_name(rows[0].graph), xlabel=f"budget [{unit}]", ylabel="gap (order-free) [%]")
    _frame(axes, rows, size)
    if legend:
        legend_below(axes)
    return axes


def cost_against_peak(axes: "Axes", rows: Sequence[Row], legend: bool = True) -> "Axes":
    """Extra cost against peak of every schedule found, with those that no other one beats in both joined by steps.

    Args:
        axes: Where to draw; what no schedule can reach is shaded.
        rows: Of one graph, at several budgets.
        legend: Whether to draw one.

    Raises:
        HcpError: If a bound contradicts a schedule.
    """
    size, unit = scaled_bytes([row.budget_bytes for row in rows])
    found = {solver: list[tuple[float, float]]() for solver in _solvers(rows)}
    for row in rows:
        if row.plan is not None and row.plan.peak is not None and row.plan.overhead is not None:
            found[row.solver].append((row.plan.peak / size, 100 * row.plan.overhead))
    front = [(point.peak / size, 100 * (point.plan.overhead or 0.0)) for point in pareto(rows)]
    _draw_lines(axes, found, [bound for _, bound in _bounds(rows, size)], joined=False)
    if front:
        axes.step(*zip(*front, strict=True), where="post", color="0.6", lw=3, alpha=0.5, zorder=0, label=_FRONT)
    axes.set(title=shown_name(rows[0].graph), xlabel=f"peak [{unit}]", ylabel="extra cost [%]")
    _frame(axes, rows, size)
    _shade(axes, rows, size)
    if legend:
        legend_below(axes)
    return axes


# Figures of the rows of one graph, by name.
FIGURES: Final[Mapping[str, Callable[["Axes", Sequence[Row], bool], "Axes"]]] = {
    "cost": cost_against_budget,
    "gap": gap_against_budget,
    "front": cost_against_peak,
}


def _solvers(rows: Sequence[Row]) -> Iterable[str]:
    """The planners of rows, each once, in their order."""
    return dict.fromkeys(row.solver for row in rows)


def _draw_lines(
    axes: "Axes",
    lines: Mapping[str, Sequence[tuple[float, float]]],
    bounds: Sequence[float],
    *,
    filled: Container[tuple[float, float]] = (),
    joined: bool = True,
    scale: float = _OFF_SCALE,
) -> None:
    """A line for each planner, in an axis from 0 that planners beyond all others' costs do not stretch."""
    top = _top([point for points in lines.values() for point in points], bounds, scale)
    look = zip(cycle(COLOURS), cycle(MARKERS), cycle([*LINES, *LINES[1:]]), strict=False)
    for (solver, points), (colour, marker, line) in zip(lines.items(), look, strict=False):
        if not points:
            continue
        style = line if joined else "none"
        axes.plot(
            *zip(*points, strict=True), marker=marker, ls=style, color=colour, mfc="none", label=shown_name(solver)
        )
        sure = [point for point in points if point in filled]
        if sure:
            axes.plot(*zip(*sure, strict=True), marker=marker, ls="none", color=colour)
    beyond = sorted({place for points in lines.values() for place, amount in points if amount > top})
    if beyond:
        axes.plot(beyond, [top] * len(beyond), marker=6, ls="none", color="black", clip_on=False, label=_BEYOND)
    axes.set_ylim(0, top)


def _top(points: Sequence[tuple[float, float]], bounds: Sequence[float], scale: float) -> float:
    """The end of the axis: above all bounds, and all amounts that are not too many times the best of each place."""
    best: dict[float, float] = {}
    for place, amount in points:
        best[place] = min(amount, best.get(place, amount))
    most = scale * max([1.0, *best.values()])
    return 1.08 * max([0.5, *(amount for _, amount in points if amount <= most), *bounds])


def _frame(axes: "Axes", rows: Sequence[Row], size: float) -> None:
    """An axis that has all budgets asked for; crosses at those proved too small, and where keep-everything is."""
    asked = {row.budget_bytes / size for row in rows}
    small = sorted({row.budget_bytes / size for row in rows if row.status == Status.INFEASIBLE.name})
    base = next((row.base_peak / size for row in rows if row.base_peak is not None), None)
    kept = [] if base is None or (len(asked) - len(small) >= _ENOUGH and base > _NEAR * max(asked)) else [base]
    # Peaks are below the budgets that they kept.
    drawn = [float(place) for line in axes.get_lines() for place in np.asarray(line.get_xdata())]
    places = [*asked, *kept, *drawn]
    room = 0.04 * (max(places) - min(places)) or 0.05 * max(places) or 1.0
    axes.set_xlim(min(places) - room, max(places) + room)
    for found, marker, label in ((small, "x", _TOO_SMALL), (kept, "^", _KEPT)):
        if found:
            axes.plot(
                found,
                [0.0] * len(found),
                marker=marker,
                ls="none",
                color="black",
                mfc="white",
                clip_on=False,
                zorder=3,
                transform=axes.get_xaxis_transform(),
                label=label,
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
    low, high = axes.get_xlim()
    x, y = _from(low, steps)
    axes.plot(x, y, ds="steps-pre", color="black", lw=0.8)
    axes.fill_between(x, y, 0, step="pre", color="0.85", lw=0, label=label)
    axes.set_xlim(low, high)


def _shade(axes: "Axes", rows: Sequence[Row], size: float) -> None:
    """Shades what certified bounds exclude, and hatches what claimed ones exclude beyond that."""
    proved, claimed = bound_steps(_bounds(rows, size, verified=True)), bound_steps(_bounds(rows, size))
    if any(bound > 0 for _, bound in proved):
        shade_below(axes, proved, _BELOW)
    if not claimed:
        return
    low, high = axes.get_xlim()
    x, y = _from(low, claimed)
    under = [next((bound for budget, bound in proved if budget >= place), 0.0) for place in x]
    if all(above <= below for above, below in zip(y, under, strict=True)):
        return
    axes.plot(x, y, ds="steps-pre", color="black", lw=0.8, ls="--")
    axes.fill_between(x, y, under, step="pre", fc="none", ec="0.7", hatch="/////", lw=0, label=_BELOW_CLAIMED)
    axes.set_xlim(low, high)


def _from(low: float, steps: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    """Steps that begin at the left end of an axis."""
    x, y = map(list, zip(*steps, strict=True))
    return [min(low, x[0]), *x], [y[0], *y]


def runs_pareto(axes: "Axes", runs: Sequence[ExecutedRun]) -> "Axes":
    """Step time against peak memory of executed runs, with the runs that no other one beats in both joined by steps."""
    size, unit = scaled_bytes([run.peak_bytes for run in runs])
    scale, time_unit = (1e3, "ms") if max(run.seconds for run in runs) < 10 else (1.0, "s")
    look = zip(cycle(COLOURS), cycle(MARKERS), strict=False)
    for label, (colour, marker) in zip(dict.fromkeys(run.label for run in runs), look, strict=False):
        mine = sorted((run.peak_bytes / size, run.seconds * scale) for run in runs if run.label == label)
        axes.plot(
            *zip(*mine, strict=True), marker=marker, ls=":", lw=0.8, color=colour, mfc="none", label=shown_name(label)
        )
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


def _bounds(rows: Sequence[Row], size: float, verified: bool = False) -> list[tuple[float, float]]:
    """By rising budget, the best bound as extra cost; of certified ones alone, or of all."""
    found: dict[float, float] = {}
    for row in rows:
        base = row.base_cost if row.plan is None else row.plan.graph.base_cost
        bound = row.best_bound
        if verified and not row.best_bound_verified:
            bound = row.bound if row.verified else None
        if bound is not None and base:
            budget = row.budget_bytes / size
            found[budget] = max(100 * (bound / base - 1), found.get(budget, 0.0))
    return sorted(found.items())
