"""Result files of executed benchmarks: how much memory each way of running a step took, and how long."""

import os
from collections.abc import Mapping, Sequence

from hcp.graph.errors import HcpError
from hcp.graph.fields import Record
from hcp.report.drawing import SIZES, Size, drawing, shown_name
from hcp.report.figures import ExecutedRun, pareto_front, runs_pareto
from hcp.report.tables import Table
from hcp.report.units import bytes_text


def executed_runs(data: object) -> Mapping[str, tuple[ExecutedRun, ...]]:
    """The runs of each model in the content of a result file, whose rows have model, method, peak_bytes and step_ms.

    Rows with an error are left out.

    Raises:
        GraphError: If it is something else.
        HcpError: If it has no rows.
    """
    found: dict[str, list[ExecutedRun]] = {}
    for position, item in enumerate(Record(data, "the result file").items("rows")):
        row = Record(item, f"row {position} of the result file")
        # What failed has nothing to show; the row says why.
        if row.get("error") is not None:
            continue
        milliseconds = row.get("step_ms")
        if isinstance(milliseconds, bool) or not isinstance(milliseconds, int | float):
            raise HcpError(f"row {position} of the result file has step_ms {milliseconds!r}; expected milliseconds")
        # Budgets of one method are one line.
        label = row.text("method").partition(" at ")[0]
        run = ExecutedRun(label, row.amount("peak_bytes"), milliseconds / 1e3)
        found.setdefault(row.text("model"), []).append(run)
    if not found:
        raise HcpError("the result file has no rows of what ran; run its benchmark again")
    return {model: tuple(runs) for model, runs in found.items()}


def runs_table(of: Mapping[str, Sequence[ExecutedRun]]) -> Table:
    """The runs by rising peak; those that no other one beats in both peak and time are bold and have a star."""
    rows: list[tuple[str, ...]] = []
    bold = set()
    for model, runs in of.items():
        front = pareto_front(runs)
        for run in sorted(runs, key=lambda run: run.peak_bytes):
            if run in front:
                bold |= {(len(rows), 2), (len(rows), 3)}
            star = "*" if run in front else ""
            rows.append((model, run.label, bytes_text(run.peak_bytes), f"{1e3 * run.seconds:.2f} ms", star))
    headers = ("model", "method", "peak", "step", "")
    return Table(headers, tuple(rows), (False, False, True, True, False), bold=frozenset(bold))


def plot_executed(
    of: Mapping[str, Sequence[ExecutedRun]], path: str | os.PathLike[str], size: Size | None = None
) -> None:
    """Draws step time against peak, a panel a model, into an image file; as wide as a column, where no size is given.

    Raises:
        HcpError: If matplotlib is missing or the file cannot be written.
    """
    whole = size or SIZES["column"]
    columns = min(2, whole.columns(len(of)))
    with drawing(path, -(-len(of) // columns), columns, height=3.0, size=whole) as panels:
        for panel, (model, runs) in zip(panels, of.items(), strict=False):
            runs_pareto(panel, runs).set_title(shown_name(model))
        for panel in panels[len(of) :]:
            panel.remove()
