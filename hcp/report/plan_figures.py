"""Pictures of one plan: each function draws into an Axes and returns it. Needs the extra ``plot``."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from hcp.graph.errors import HcpError
from hcp.graph.ir import Graph
from hcp.planning.plan import Plan
from hcp.report.drawing import (
    BLUE,
    GREEN,
    ORANGE,
    PINK,
    SIZES,
    SKY,
    VERMILION,
    Size,
    check_figures,
    drawing,
    legend_below,
    scaled_bytes,
    shown_name,
)
from hcp.report.show import plan_marks
from hcp.report.steps import judged
from hcp.schedule.actions import Compute, Fetch, Schedule, Step
from hcp.schedule.states import Origin, states

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# What is held, from the bottom up.
_PARTS: Final = {
    "residents, inputs": "0.75",
    "kept": SKY,
    "recomputed": ORANGE,
    "fetched": PINK,
    "running node": GREEN,
}
_EMPTY, _RETAINED, _FIRST, _AGAIN, _FETCHED = range(5)
# More cells than this are drawn as blocks of cells.
_FINEST: Final = 2000
# Inches of a title for the graph's name.
_NAME: Final = 1.5
_FINE: Final = 150


def plot_plan(plan: Plan, path: str | os.PathLike[str], figures: Sequence[str] = (), size: Size | None = None) -> None:
    """Draws a plan into an image file, one panel a figure; its ending says the format.

    Args:
        plan: What to draw.
        path: The image file.
        figures: Names from ``FIGURES``; all that the plan has something for, where not given.
        size: Of the whole; as wide as a column of a paper, where not given.

    Raises:
        HcpError: On an unknown figure, if the plan has no schedule, or matplotlib is missing or cannot write there.
    """
    check_figures(figures, FIGURES, "a plan")
    names = list(figures) or [name for name in FIGURES if name != "search" or len(plan.trace) > 1]
    whole = size or SIZES["column"]
    columns = min(2, whole.columns(len(names)))
    with drawing(path, -(-len(names) // columns), columns, size=whole) as axes:
        for name, panel in zip(names, axes, strict=False):
            FIGURES[name](panel, plan)
        for panel in axes[len(names) :]:
            panel.remove()


def memory_over_schedule(axes: "Axes", plan: Plan) -> "Axes":
    """Bytes held during each step, by what they are for; recomputations have a tick above the axis."""
    held, again = live_composition(plan)
    total = held.sum(axis=0)
    base = plan.base.peak
    size, unit = scaled_bytes([float(total.max()), plan.problem.budget if plan.problem.budget < 2 * base else 0])
    steps = np.arange(held.shape[1] + 1)
    bottom = np.zeros(held.shape[1])
    for (label, colour), part in zip(_PARTS.items(), held / size, strict=True):
        if label == "fetched" and not part.any():
            continue
        axes.fill_between(
            steps,
            np.append(bottom, bottom[-1]),
            np.append(bottom + part, (bottom + part)[-1]),
            step="post",
            color=colour,
            lw=0,
            label=label,
        )
        bottom = bottom + part
    axes.plot(np.flatnonzero(again) + 0.5, np.zeros(int(again.sum())), "|", color=VERMILION, ms=5, label="runs again")
    axes.axhline(plan.problem.budget / size, color="black", ls="--", lw=0.9, label="budget")
    axes.axhline(base / size, color="0.4", ls=":", lw=0.9, label="keep-everything")
    steps_are = "execution or transfer" if judged(plan)[0].transfers else "execution"
    axes.set(
        xlabel=steps_are,
        ylabel=f"held [{unit}]",
        title=f"{shown_name(plan.graph.name, _NAME)}: memory over the schedule",
    )
    axes.set_xlim(0, held.shape[1])
    # Room for the ticks; a budget far above what is held stays outside.
    top = 1.08 * max(base, float(total.max()), min(plan.problem.budget, 2 * base), 1) / size
    axes.set_ylim(-0.03 * top, top)
    legend_below(axes)
    return axes


def stage_by_node(axes: "Axes", plan: Plan) -> "Axes":
    """The schedule as the literature draws it: stage t ends with the first execution of the t-th node.

    A cell says what happens to a node in a stage: it runs for the first time, runs again, is retained, or has an output
    fetched from the host.
    """
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    schedule, _ = judged(plan)
    cells, block = _cells(plan.graph, schedule)
    colours = ["white", "0.85", BLUE, VERMILION, GREEN]
    n = len(plan.graph.nodes)
    axes.imshow(
        cells, cmap=ListedColormap(colours), vmin=0, vmax=4, interpolation="nearest", aspect="auto", extent=(0, n, n, 0)
    )
    again = np.argwhere(cells == _AGAIN)
    if n > _FINE and len(again):
        # A cell would be thinner than a line.
        y, x = (again.T + 0.5) * block
        axes.scatter(x, y, s=1.5, color=VERMILION, marker="s", lw=0)
    kinds = dict(zip(("retained", "runs first", "runs again", "fetched"), colours[1:], strict=True))
    if not schedule.transfers:
        del kinds["fetched"]
    handles = [Patch(facecolor=colour, label=name) for name, colour in kinds.items()]
    title = f"{shown_name(plan.graph.name, _NAME)}: schedule" + (f" (blocks of {block})" if block > 1 else "")
    axes.set(xlabel="node, in order of first executions", ylabel="stage", title=title)
    axes.legend(handles=handles, loc="upper right")
    return axes


def graph_with_checkpoints(axes: "Axes", plan: Plan) -> "Axes":
    """The graph as an arc diagram: nodes in the order of their first executions, an arc for each that reads another.

    Marked are nodes that run again, nodes whose outputs are held at the peak instead, and what is live at the peak.
    """
    from matplotlib.collections import LineCollection

    graph = plan.graph
    schedule, _ = judged(plan)
    marks = plan_marks(graph, schedule, plan.problem.host)
    place = {name: i for i, name in enumerate(dict.fromkeys(schedule.computes))}
    live = {(graph.producer[v], reader) for v in marks.frontier if v in graph.producer for reader in graph.readers[v]}
    for edges, colour, widest in ((set(graph.edges) - live, "0.75", 0.4), (live, PINK, 0.8)):
        width = min(widest, max(0.25, 60 / max(1, len(edges))))
        arcs = _arcs(np.array([(place[a], place[b]) for a, b in edges], np.float64).reshape(-1, 2))
        axes.add_collection(
            LineCollection(list(arcs), colors=colour, linewidths=width, zorder=1 if edges is live else 0)
        )
    holding = {graph.producer[name] for name in marks.checkpoints}
    again = {name for name in place if marks.extra(name)}
    dot = max(0.5, min(14.0, (170 / len(place)) ** 2))
    kinds = (
        (place.keys() - holding - again, "0.45", "runs once"),
        (holding - again, BLUE, "checkpoint at the peak"),
        (again, VERMILION, "runs again"),
    )
    for nodes, colour, label in kinds:
        axes.scatter([place[name] for name in nodes], [0.0] * len(nodes), s=dot, color=colour, label=label, zorder=2)
    axes.plot([], [], color=PINK, lw=0.9, label="live at the peak")
    highest = max((place[b] - place[a] for a, b in graph.edges), default=1)
    axes.set(
        title=f"{shown_name(graph.name, _NAME)}: the graph", xlabel="node, in order of first executions", yticks=[]
    )
    axes.set_xlim(-0.02 * len(place), 1.02 * len(place))
    axes.set_ylim(-0.06 * highest, 0.53 * highest)
    axes.spines["left"].set_visible(False)
    legend_below(axes, columns=2)
    legend: Any = axes.get_legend()
    for dots in legend.legend_handles[: len(kinds)]:
        # Those of large graphs are too small to have a colour.
        dots.set_sizes([14])
    return axes


def search_over_time(axes: "Axes", plan: Plan) -> "Axes":
    """Incumbent and bound over time, as extra cost over running every node once, with the gap between them shaded.

    The bound is what the search reported for the problem's schedules; certificates are checked at its end alone.
    """
    points = plan.trace
    if not points:
        raise HcpError(f"planner {plan.planner!r} left no trace of its search; draw another figure of this plan")
    end = max(plan.seconds, points[-1].seconds)
    base = plan.graph.base_cost or 1
    times = [point.seconds for point in points] + [end]

    def percent(costs: Sequence[int | None]) -> NDArray[np.float64]:
        found = [np.nan if cost is None else 100 * (cost / base - 1) for cost in costs]
        return np.array([*found, found[-1]])

    incumbent = percent([point.incumbent for point in points])
    bound = percent([point.bound for point in points])
    axes.step(times, incumbent, where="post", color=VERMILION, label="incumbent")
    axes.step(times, bound, where="post", color=BLUE, ls="--", label=f"bound ({plan.problem.scopes[-1]}, as reported)")
    axes.fill_between(times, bound, incumbent, step="post", color="0.9", lw=0, label="gap")
    known = incumbent[~np.isnan(incumbent)]
    if len(known):
        # First finds may cost many times what is found soon after.
        low = float(np.nanmin([*bound, known.min()]))
        axes.set_ylim(low - 0.05 * (known.min() - low + 1), min(known.max(), 3 * known.min() + 1 - low) + 0.5)
    axes.set(
        xlabel="time [s]",
        ylabel="extra cost [%]",
        title=f"{shown_name(plan.graph.name, _NAME)}: search by {shown_name(plan.planner, _NAME)}",
    )
    legend_below(axes)
    return axes


FIGURES: Final[Mapping[str, Callable[["Axes", Plan], "Axes"]]] = {
    "memory": memory_over_schedule,
    "schedule": stage_by_node,
    "graph": graph_with_checkpoints,
    "search": search_over_time,
}


def live_composition(plan: Plan) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """What is held during each step (execution or transfer), in bytes, and whether it is a recomputation.

    Returns:
        Five rows (residents and inputs; values from first executions; values that were computed again; values that were
        fetched; what the step itself makes and needs) with a column a step, which add up to replay's profile; and the
        flags.
    """
    columns: list[tuple[int, ...]] = []
    flags: list[bool] = []
    for state in states(plan.graph, judged(plan)[0]):
        columns.append((*(state.bytes[origin] for origin in Origin), _own_bytes(plan.graph, state.step)))
        flags.append(state.again)
    return np.array(columns, dtype=np.int64).T, np.array(flags, dtype=np.bool_)


def _own_bytes(graph: Graph, step: Step) -> int:
    """What a step makes and needs in addition to what is live when it begins."""
    if isinstance(step, Compute):
        node = graph.node[step.node]
        return node.workspace + sum(value.bytes for value in node.outputs)
    return graph.values[step.value].bytes if isinstance(step, Fetch) else 0


def _cells(graph: Graph, schedule: Schedule) -> tuple[NDArray[np.uint8], int]:
    """Stages by nodes, and how many of either a cell stands for."""
    column = {name: i for i, name in enumerate(dict.fromkeys(schedule.computes))}
    n = len(column)
    block = -(-n // _FINEST)
    side = -(-n // block)
    cells = np.zeros((side, side), np.uint8)
    makers = {name: column[maker] // block for name, maker in graph.producer.items()}
    stage = 0

    def mark(place: int, kind: int) -> None:
        # Runs behind the last first execution are legal, if useless.
        cell = (min(stage, n - 1) // block, place)
        cells[cell] = max(cells[cell], kind)

    for state in states(graph, schedule):
        step = state.step
        if isinstance(step, Fetch):
            mark(makers[step.value], _FETCHED)
        if not isinstance(step, Compute):
            continue
        mark(column[step.node] // block, _AGAIN if state.again else _FIRST)
        if not state.again:
            stage += 1
            if stage == n:
                continue
            retained = [makers[name] for name in state.live if name in makers]
            retained += [makers[value.name] for value in graph.node[step.node].outputs]
            row = cells[stage // block]
            row[retained] = np.maximum(row[retained], _RETAINED)
    return cells, block


def _arcs(ends: NDArray[np.float64]) -> NDArray[np.float64]:
    """Half a circle above the axis for each pair of a start and an end, as points."""
    angle = np.linspace(np.pi, 0, 24)
    start, radius = ends[:, :1], (ends[:, 1:] - ends[:, :1]) / 2
    return np.stack([start + radius + radius * np.cos(angle), radius * np.sin(angle)], axis=-1)
