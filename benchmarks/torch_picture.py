"""The picture of the executed comparison: a step's time against its peak, both beside plain Inductor's."""

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import Any, Final

from benchmarks.torch_peers import PLAIN
from benchmarks.torch_report import Measured, Rows, ran
from hcp.report.drawing import COLOURS, MARKERS, PANEL, drawing

_COLUMNS: Final = 3


def draw(rows: Rows, path: Path, height: float = PANEL) -> None:
    """Draws a panel for each model where plain Inductor ran, in an image file.

    Peaks are shares of plain Inductor's, times the medians of the paired ratios to its step. Budgets of one way are
    joined by a line, in their order. A panel is ``height`` inches high.

    Raises:
        HcpError: If matplotlib is missing or the file cannot be written.
    """
    measured = ran(rows)
    wholes = {row.model: row.peak_bytes for row in measured if row.method == PLAIN}
    if not wholes:
        return
    labels = list(dict.fromkeys(_label(row) for row in measured))
    looks = dict(zip(labels, zip(cycle(COLOURS), cycle(MARKERS), strict=False), strict=False))
    columns = min(_COLUMNS, len(wholes))
    with drawing(path, -(-len(wholes) // columns), columns, height) as panels:
        found: dict[str, Any] = {}
        for panel, (model, whole) in zip(panels, wholes.items(), strict=False):
            mine = [row for row in measured if row.model == model]
            for label in dict.fromkeys(map(_label, mine)):
                colour, marker = looks[label]
                points = _points([row for row in mine if _label(row) == label], whole)
                found[label] = panel.plot(
                    *zip(*points, strict=True), marker=marker, color=colour, ls=":", lw=0.8, mfc="none", label=label
                )[0]
            panel.set(title=model, xlabel="measured peak [% of plain Inductor's]", ylabel="step [x plain Inductor's]")
            panel.axhline(1, color="0.8", lw=0.6, zorder=0)
            panel.set_xlim(0, 105)
        for panel in panels[len(wholes) :]:
            panel.remove()
        panels[0].figure.legend(found.values(), found.keys(), loc="outside lower center", ncols=max(2, columns))


def _label(row: Measured) -> str:
    return row.method.partition(" at ")[0]


def _points(rows: Sequence[Measured], whole: int) -> list[tuple[float, float]]:
    return [(100 * row.peak_bytes / whole, row.x_inductor) for row in rows]
