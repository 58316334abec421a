"""Tables of text cells, as plain text, CSV, Markdown, LaTeX (booktabs) and for rich."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from hcp.compare import Comparison, Row
from hcp.report.units import bytes_text, percent_text, seconds_text
from hcp.schedule.plan import Plan, excess
from hcp.schedule.solution import Bound

if TYPE_CHECKING:
    import rich.table

_LATEX: Final = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
    }
)


@dataclass(frozen=True)
class Table:
    """Rows of text under headers.

    Attributes:
        headers: One a column.
        rows: Cells, as many as headers.
        numeric: Per column: whether it is aligned to the right.
        title: Above the table, where the format has a place for it.
    """

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[bool, ...]
    title: str = ""

    def to_text(self) -> str:
        """Aligned columns, two spaces apart."""
        lines = [self.headers, *self.rows]
        widths = [max(len(line[i]) for line in lines) for i in range(len(self.headers))]
        lines.insert(1, tuple("-" * width for width in widths))
        text = [self._aligned(line, widths, "  ").rstrip() for line in lines]
        return "\n".join([self.title, *text] if self.title else text)

    def to_csv(self) -> str:
        """Comma-separated, with a header line."""
        out = io.StringIO()
        csv.writer(out, lineterminator="\n").writerows([self.headers, *self.rows])
        return out.getvalue()

    def to_markdown(self) -> str:
        """A pipe table."""
        lines = [tuple(cell.replace("|", r"\|") for cell in line) for line in (self.headers, *self.rows)]
        widths = [max(3, *(len(line[i]) for line in lines)) for i in range(len(self.headers))]
        rule = tuple("-" * (w - 1) + (":" if right else "-") for w, right in zip(widths, self.numeric, strict=True))
        lines.insert(1, rule)
        return "\n".join(f"| {self._aligned(line, widths, ' | ')} |" for line in lines) + "\n"

    def to_latex(self) -> str:
        """A tabular that needs the booktabs package; a rule between groups of the first column."""
        columns = "".join("r" if right else "l" for right in self.numeric)
        lines = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", _latex_line(self.headers), r"\midrule"]
        lines += [_latex_line(row) for row in self.rows[:1]]
        for before, row in pairwise(self.rows):
            if row[0] != before[0]:
                lines.append(r"\midrule")
            lines.append(_latex_line(row))
        return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"

    def to_rich(self) -> "rich.table.Table":
        """For a terminal."""
        from rich.table import Table as RichTable
        from rich.text import Text

        table = RichTable(title=self.title or None, header_style="bold")
        for header, right in zip(self.headers, self.numeric, strict=True):
            table.add_column(header, justify="right" if right else "left")
        for row in self.rows:
            table.add_row(*(Text(cell) for cell in row))
        return table

    def _aligned(self, line: Sequence[str], widths: Sequence[int], between: str) -> str:
        return between.join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, self.numeric, strict=True)
        )


def comparison_table(comparison: Comparison) -> Table:
    """A comparison; the winners of each graph and budget have a star."""
    return Table(
        headers=("graph", "budget", "solver", "status", "cost", "peak", "bound", "gap (order-free)", "time", ""),
        rows=tuple(_cells(row) for row in comparison.rows),
        numeric=(False, True, False, False, True, True, True, True, True, False),
    )


def plan_table(plan: Plan) -> Table:
    """What one plan found, as pairs."""
    base = plan.graph.base_cost
    scopes = [("gap (order-free)", plan.gap), ("gap (fixed-order)", plan.gap_fixed_order)]
    rows = [
        ("graph", f"{plan.graph.name}: {len(plan.graph.nodes)} nodes, {len(plan.graph.edges)} edges"),
        ("budget", f"{bytes_text(plan.problem.budget)} of {bytes_text(plan.base.peak)} for keep-everything"),
        ("solver", plan.planner),
        ("status", f"{plan.status.value} ({plan.status.remedy})"),
        ("cost", "-" if plan.cost is None else f"{plan.cost} {plan.graph.cost_unit}"),
        ("overhead", percent_text(plan.overhead)),
        ("peak", bytes_text(plan.peak)),
        *(
            (
                f"{bound.of} bound ({bound.scope})",
                f"{_bound_text(bound.of, bound.value, base)}, {bound.source}: "
                + ("verified" if verified else "as claimed by the solver"),
            )
            for bound, verified in _strongest(plan)
        ),
        *((name, percent_text(gap)) for name, gap in scopes if gap is not None),
        ("time", seconds_text(plan.seconds)),
    ]
    if plan.note:
        rows.append(("note", plan.note))
    return Table(("", "value"), tuple(rows), (False, False))


def _strongest(plan: Plan) -> list[tuple[Bound, bool]]:
    """The largest verified bound for each quantity and scope, and the largest claimed one where that says more."""
    found: dict[tuple[str, str, bool], Bound] = {}
    for bound in sorted(plan.bounds, key=lambda bound: bound.value):
        found[bound.of, bound.scope, plan.verified(bound)] = bound
    return [
        (bound, verified)
        for (of, scope, verified), bound in found.items()
        if verified or (of, scope, True) not in found or found[of, scope, True].value < bound.value
    ]


def _bound_text(of: str, value: int, base_cost: int) -> str:
    return bytes_text(value) if of == "peak" else f"{value} (+{percent_text(excess(value, base_cost))})"


def _cells(row: Row) -> tuple[str, ...]:
    plan = row.plan
    base = None if plan is None else plan.graph.base_cost
    bound = None if row.bound is None or base is None else excess(row.bound, base)
    return (
        row.graph,
        row.budget if isinstance(row.budget, str) else bytes_text(row.budget),
        row.solver,
        row.status.lower().replace("_", " "),
        _signed(None if plan is None else plan.overhead),
        bytes_text(None if plan is None else plan.peak),
        _signed(bound),
        percent_text(row.gap),
        seconds_text(None if plan is None else plan.seconds),
        "*" if row.winner else "",
    )


def _signed(fraction: float | None) -> str:
    return "-" if fraction is None else f"+{percent_text(fraction)}"


def _latex_line(cells: Sequence[str]) -> str:
    return " & ".join(cell.translate(_LATEX) for cell in cells) + r" \\"
