"""Tables of text cells, as plain text, CSV, Markdown, LaTeX (booktabs) and for rich."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from hcp.compare import Comparison, Row
from hcp.grading import Grade
from hcp.least_peak import LeastPeak
from hcp.planning.plan import Plan, excess
from hcp.planning.solution import Bound, Status
from hcp.plans.verify import Verification
from hcp.report.units import bytes_text, cost_text, percent_text, seconds_text

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


# Columns of a table that fits one of two columns of text.
_ONE_COLUMN: Final = 4

COMPARISON_HEADERS: Final = (
    "graph",
    "budget",
    "solver",
    "status",
    "cost",
    "peak",
    "bound",
    "best bound",
    "verified",
    "gap (order-free)",
    "of extra cost",
    "time",
    "",
)
COMPARISON_NUMERIC: Final = (False, True, False, False, True, True, True, True, False, True, True, True, False)


@dataclass(frozen=True)
class Table:
    """Rows of text under headers.

    Attributes:
        headers: One a column.
        rows: Cells, as many as headers.
        numeric: Per column: whether it is aligned to the right.
        title: Above the table, where the format has a place for it.
        bold: Row and column of cells to point out, where the format has a way to.
    """

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[bool, ...]
    title: str = ""
    bold: frozenset[tuple[int, int]] = frozenset()

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", tuple(tuple(map(one_line, row)) for row in self.rows))

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

    def to_latex(self, caption: str = "", label: str = "") -> str:
        """A tabular that needs the booktabs package, with a rule between groups of the first column.

        Args:
            caption: Where given, a table environment with it above the tabular.
            label: Of that environment.
        """
        columns = "".join("r" if right else "l" for right in self.numeric)
        lines = [rf"\begin{{tabular}}{{@{{}}{columns}@{{}}}}", r"\toprule", _latex_line(self.headers), r"\midrule"]
        for i, row in enumerate(self.rows):
            # An empty cell goes on with the group above.
            if i and row[0] not in ("", self.rows[i - 1][0]):
                lines.append(r"\midrule")
            lines.append(_latex_line(row, [j for at, j in self.bold if at == i]))
        lines += [r"\bottomrule", r"\end{tabular}"]
        if caption:
            named = [rf"\label{{{label}}}"] if label else []
            # Small enough for the text block of LaTeX's own article class.
            size = [r"\centering", r"\footnotesize", r"\setlength{\tabcolsep}{4pt}"]
            # A wide one takes both columns where there are two.
            kind = "table*" if len(self.headers) > _ONE_COLUMN else "table"
            head = [rf"\begin{{{kind}}}", *size, rf"\caption{{{latex_text(caption)}}}", *named]
            lines = [*head, *lines, rf"\end{{{kind}}}"]
        return "\n".join(lines) + "\n"

    def to_rich(self) -> "rich.table.Table":
        """For a terminal."""
        from rich.table import Table as RichTable
        from rich.text import Text

        table = RichTable(title=self.title or None, header_style="bold")
        for header, right in zip(self.headers, self.numeric, strict=True):
            table.add_column(header, justify="right" if right else "left")
        for i, row in enumerate(self.rows):
            table.add_row(*(Text(cell, "bold" if (i, j) in self.bold else "") for j, cell in enumerate(row)))
        return table

    def _aligned(self, line: Sequence[str], widths: Sequence[int], between: str) -> str:
        return between.join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, self.numeric, strict=True)
        )


def comparison_table(comparison: Comparison) -> Table:
    """A comparison; the winners of each graph and budget have a star.

    "bound" is the planner's own; "verified" speaks of the best bound of the group, on which the gap and "optimal" rest.
    """
    return Table(
        headers=COMPARISON_HEADERS,
        rows=tuple(comparison_cells(row) for row in comparison.rows),
        numeric=COMPARISON_NUMERIC,
    )


def comparison_numbers(comparison: Comparison) -> Table:
    """A comparison in numbers, for programs: units are in the headers, and what is not known is empty."""
    return Table(
        ("graph", "budget", "budget [bytes]", "solver", "status", "cost", "extra cost [%]", "peak [bytes]", "bound",
         "lowest cost", "highest cost", "best bound", "best bound verified", "gap [%]", "gap of extra cost [%]",
         "gap fixed order [%]", "time [s]", "winner"),
        tuple(_numbers(row) for row in comparison.rows),
        (False, False, True, False, False, *[True] * 7, False, *[True] * 4, False),
    )  # fmt: skip


def _numbers(row: Row) -> tuple[str, ...]:
    plan = row.plan
    fixed = None if plan is None else plan.gap_fixed_order
    shares = [None if plan is None else plan.overhead, row.gap, row.gap_of_extra, fixed]
    extra, gap, of_extra, in_order = ("" if share is None else f"{100 * share:.6g}" for share in shares)
    counts = [None if plan is None else plan.cost, None if plan is None else plan.peak, row.bound, row.best_bound]
    counts += [None, None] if row.costs is None else [*row.costs]
    cost, peak, bound, best, low, high = ("" if count is None else str(count) for count in counts)
    verified = {None: "", True: "yes", False: "no"}[row.best_bound_verified]
    seconds = "" if plan is None or row.given else f"{plan.seconds:.3f}"
    return (row.graph, str(row.budget), str(row.budget_bytes), row.solver, _row_status(row), cost, extra, peak, bound,
            low, high, best, verified, gap, of_extra, in_order, seconds, "yes" if row.winner else "no")  # fmt: skip


def plan_table(plan: Plan) -> Table:
    """What one plan found, as pairs."""
    base = plan.graph.base_cost
    scopes = [("gap (order-free)", plan.gap), ("gap (fixed-order)", plan.gap_fixed_order)]
    rows = [
        ("graph", f"{plan.graph.name}: {len(plan.graph.nodes)} nodes, {plan.graph.edge_count} edges"),
        ("budget", f"{bytes_text(plan.problem.budget)} of {bytes_text(plan.base.peak)} for keep-everything"),
        ("solver", plan.planner),
        ("status", _status(plan)),
        ("cost", _cost(plan)),
        ("overhead", percent_text(plan.overhead)),
        ("peak", bytes_text(plan.peak)),
        *_transfers(plan),
        *(
            (
                f"{bound.of} bound ({bound.scope})",
                f"{_bound_text(bound.of, bound.value, base)}, {bound.source}: "
                + ("verified" if verified else "as claimed by the solver"),
            )
            for bound, verified in _strongest(plan)
        ),
        *((name, percent_text(gap)) for name, gap in scopes if gap is not None),
        *([] if not plan.gap_of_extra else [("gap of the extra cost", percent_text(plan.gap_of_extra))]),
        ("time", seconds_text(plan.seconds)),
    ]
    if plan.note:
        rows.append(("note", plan.note))
    return Table(("", "value"), tuple(rows), (False, False))


def _status(plan: Plan) -> str:
    if plan.status is not Status.OPTIMAL:
        return f"{plan.status.value} ({plan.status.remedy})"
    if plan.optimality == "certified":
        where = "" if plan.problem.order is None else " in the order given"
        return f"{plan.status.value} (proved: no schedule{where} costs less)"
    bound = plan.best_bound(*plan.problem.scopes)
    return f"{plan.status.value} as claimed by a solver ({bound.source if bound else ''}); there is no certificate"


def _transfers(plan: Plan) -> list[tuple[str, str]]:
    host, usage = plan.problem.host, plan.usage
    if host is None or usage is None:
        return []
    unit = plan.graph.cost_unit
    moved = f"{bytes_text(usage.transferred)} moved, which costs {cost_text(usage.transfer_cost, unit)}"
    rows = [("host", f"{moved}; it holds at most {bytes_text(usage.host_peak)}")]
    if host.overlap:
        waits = " and ".join(f"{cost_text(time, unit)} for {what}" for what, time in usage.waited.items())
        rows.append(("copies overlap", f"the cost is when all is done; the computation waits {waits}"))
    return rows


def verification_table(found: Verification) -> Table:
    """The claims of a plan file with what their checks found."""
    rows = tuple((check.verdict.value, check.claim, check.reason) for check in found.checks)
    return Table(("", "claim", "checked"), rows, (False, False, False))


def least_peak_table(found: LeastPeak) -> Table:
    """What a search for the smallest peak found, as pairs."""
    plan = found.plan
    proof = "verified" if found.verified else "as claimed by the solver"
    reached = "no schedule that cheap has a smaller peak" if found.optimality else "the bound is below the peak"
    rows = (
        ("graph", f"{plan.graph.name}: {len(plan.graph.nodes)} nodes, {plan.graph.edge_count} edges"),
        ("cost allowed", cost_text(found.cost_limit, plan.graph.cost_unit)),
        ("status", f"{found.status.value} ({found.optimality or 'open'}: {reached})"),
        ("cost", _cost(plan)),
        ("overhead", percent_text(plan.overhead)),
        ("peak", f"{bytes_text(found.peak)} of {bytes_text(plan.base.peak)} for keep-everything"),
        (f"peak bound ({found.proof.scope})", f"{bytes_text(found.bound)}, {found.source}: {proof}"),
        ("gap (order-free)", percent_text(found.gap)),
        ("solver", plan.planner),
        ("time", seconds_text(found.seconds)),
    )
    return Table(("", "value"), rows, (False, False))


def grade_table(found: Grade) -> Table:
    """A schedule's grade, as pairs."""
    plan, unit = found.plan, found.graph.cost_unit
    proof = "verified" if found.verified else "as claimed by the solver"
    again = "computes again by itself" if found.recomputed is None else f"{found.recomputed} executions again"
    bound = _bound_text("cost", found.bound.value, found.graph.base_cost)
    of_extra = f"{percent_text(found.over_bound_of_extra)} of the extra cost"
    rows = (
        ("graph", f"{found.graph.name}: {len(found.graph.nodes)} nodes, {found.graph.edge_count} edges"),
        ("schedule", found.name),
        ("peak", f"{bytes_text(found.usage.peak)} of {bytes_text(plan.base.peak)} for keep-everything"),
        ("cost", f"{cost_text(found.cost, unit)}, overhead {percent_text(found.overhead)}, {again}"),
        ("bound at this peak", f"{bound}, {found.bound.source}: {proof}"),
        ("over the bound", f"{percent_text(found.over_bound)}, {of_extra}"),
        ("hcp at this peak", f"{cost_text(plan.cost, unit)}, overhead {percent_text(plan.overhead)}, {_status(plan)}"),
        ("over hcp's plan", percent_text(found.over_plan)),
        ("hcp's gap (order-free)", percent_text(plan.gap)),
        ("time", seconds_text(plan.seconds)),
    )
    return Table(("", "value"), rows, (False, False))


def grades_table(grades: Sequence[Grade]) -> Table:
    """Grades of several schedules, a row each; bounds and hcp's plans are at each schedule's own peak.

    Where a row is no schedule of the graph that the bound is about, its *verified* says so.
    """
    return Table(
        ("schedule", "overhead", "again", "peak", "bound at this peak", "verified", "over the bound", "of extra cost",
         "hcp at this peak", "over hcp"),
        tuple(map(_graded, grades)),
        (False, True, True, True, True, False, True, True, True, True),
    )  # fmt: skip


def _graded(found: Grade) -> tuple[str, ...]:
    return (
        found.name,
        _signed(found.overhead),
        "-" if found.recomputed is None else str(found.recomputed),
        bytes_text(found.usage.peak),
        _signed(excess(found.bound.value, found.graph.base_cost)),
        ("yes" if found.verified else "no") + ("" if found.schedule is not None else ", of the graph alone"),
        percent_text(found.over_bound),
        percent_text(found.over_bound_of_extra),
        _signed(found.plan.overhead),
        percent_text(found.over_plan),
    )


def _cost(plan: Plan) -> str:
    if plan.cost is None:
        return "-"
    exact, scaled = f"{plan.cost} {plan.graph.cost_unit}", cost_text(plan.cost, plan.graph.cost_unit)
    return exact if exact == scaled else f"{scaled} ({exact})"


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


def comparison_cells(row: Row) -> tuple[str, ...]:
    """A row of a comparison as text, for ``COMPARISON_HEADERS``."""
    plan = row.plan
    base = None if plan is None else plan.graph.base_cost
    bounds = (None if bound is None or base is None else excess(bound, base) for bound in (row.bound, row.best_bound))
    return (
        row.graph,
        row.budget if isinstance(row.budget, str) else bytes_text(row.budget),
        row.solver,
        _row_status(row),
        _signed(None if plan is None else plan.overhead) + _range(row, base),
        bytes_text(None if plan is None else plan.peak),
        *map(_signed, bounds),
        {None: "-", True: "yes", False: "no"}[row.best_bound_verified],
        percent_text(row.gap),
        percent_text(row.gap_of_extra),
        seconds_text(None if plan is None or row.given else plan.seconds),
        "*" if row.winner else "",
    )


def _row_status(row: Row) -> str:
    claimed = row.status == Status.OPTIMAL.name and not row.best_bound_verified
    return "optimal (claimed)" if claimed else row.status.lower().replace("_", " ")


def _range(row: Row, base: int | None) -> str:
    """Of several runs, the lowest and the highest extra cost."""
    if row.costs is None or base is None:
        return ""
    low, high = (percent_text(excess(cost, base)).removesuffix(" %") for cost in row.costs)
    return f" ({low} to {high})"


def _signed(fraction: float | None) -> str:
    return "-" if fraction is None else f"+{percent_text(fraction)}"


def one_line(text: str) -> str:
    """A text in which nothing breaks a line or moves a cursor: names come from files."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def latex_text(text: str) -> str:
    """A text with LaTeX's own characters escaped."""
    return text.translate(_LATEX)


def _latex_line(cells: Sequence[str], bold: Sequence[int] = ()) -> str:
    shown = (rf"\textbf{{{latex_text(cell)}}}" if i in bold else latex_text(cell) for i, cell in enumerate(cells))
    return " & ".join(shown) + r" \\"
