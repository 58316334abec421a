"""Pictures of results; needs matplotlib, the extra ``plot``."""

import os
from pathlib import Path
from types import ModuleType

from hcp.compare import Comparison, Row
from hcp.graph.errors import HcpError


def plot_comparison(comparison: Comparison, path: str | os.PathLike[str]) -> None:
    """Draws overhead against budget, one panel a graph and one line a planner, with the best bound below them.

    Args:
        comparison: What to draw.
        path: An image file; its ending says the format.

    Raises:
        HcpError: If matplotlib is missing or cannot write there.
    """
    plt = pyplot()
    graphs = list(dict.fromkeys(row.graph for row in comparison.rows))
    figure, panels = plt.subplots(1, len(graphs), figsize=(5.5 * len(graphs), 4), squeeze=False, layout="constrained")
    for axes, graph in zip(panels[0], graphs, strict=True):
        rows = [row for row in comparison.rows if row.graph == graph]
        for solver in dict.fromkeys(row.solver for row in rows):
            points = _points([row for row in rows if row.solver == solver])
            if points:
                axes.plot(*zip(*points, strict=True), marker="o", label=solver)
        bounds = _bounds(rows)
        if bounds:
            axes.plot(*zip(*bounds, strict=True), "k--", label="bound (order-free)")
        axes.set(title=graph, xlabel="budget [MiB]", ylabel="extra cost [%]")
        axes.legend()
    temporary = Path(path).with_name(f".{os.getpid()}.{Path(path).name}")
    try:
        figure.savefig(temporary)
        temporary.replace(path)
    except (OSError, ValueError) as error:
        raise HcpError(f"cannot write {os.fspath(path)!r} ({error}); give an image file such as 'plot.png'") from None
    finally:
        temporary.unlink(missing_ok=True)
        plt.close(figure)


def pyplot() -> ModuleType:
    """The pyplot module, drawing to files only.

    Raises:
        HcpError: If matplotlib is missing.
    """
    try:
        import matplotlib

        matplotlib.use("Agg")
        import matplotlib.pyplot as plt
    except ImportError:
        raise HcpError("matplotlib is not installed; pip install 'hcp-checkpointing[plot]'") from None
    return plt


def _points(rows: list[Row]) -> list[tuple[float, float]]:
    return sorted(
        (row.budget_bytes / 2**20, 100 * row.plan.overhead)
        for row in rows
        if row.plan is not None and row.plan.overhead is not None
    )


def _bounds(rows: list[Row]) -> list[tuple[float, float]]:
    found = {
        row.budget_bytes / 2**20: 100 * (row.best_bound / row.plan.graph.base_cost - 1)
        for row in rows
        if row.best_bound is not None and row.plan is not None and row.plan.graph.base_cost
    }
    return sorted(found.items())
