"""Tables of text cells, as plain text, CSV, Markdown, LaTeX (booktabs) and for rich."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from hcp.compare import Comparison, Row
from hcp.grading import Grade
from hcp.least_peak import LeastPeak
from hcp.planning.plan import Plan, excess
from hcp.planning.solution import Bound, Status
from hcp.plans.verify import Verification
from hcp.report.latex import latex_table
from hcp.report.units import bytes_text, cost_text, one_line, percent_text, seconds_text
from hcp.schedule.scopes import FIXED_ORDER, ORDER_FREE

if TYPE_CHECKING:
    import rich.table

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


# Columns for programs, and whether they are numbers.
_NUMBERS: Final = {
    "graph": False,
    "budget": False,
    "budget [bytes]": True,
    "solver": False,
    "status": False,
    "cost": True,
    "extra cost [%]": True,
    "peak [bytes]": True,
    "bound": True,
    "bound verified": False,
    "lowest cost": True,
    "highest cost": True,
    "best bound": True,
    "best bound verified": False,
    "gap [%]": True,
    "gap of extra cost [%]": True,
    "optimal scope": False,
    "optimal verified": False,
    "fixed order bound": True,
    "fixed order bound verified": False,
    "gap fixed order [%]": True,
    "time [s]": True,
    "winner": False,
}


@dataclass(frozen=True)
class Table:
    """Rows of text under headers.

    Attributes:
        headers: One a column.
        rows: Cells, as many as headers.
        numeric: Per column: whether it is aligned to the right.
        title: Above the table, where the format has a place for it.
        bold: Row and column of cells to point out, where the format has a way to.
        marks: By row and column: signs behind a cell that are no part of its text, in LaTeX alone.
    """

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[bool, ...]
    title: str = ""
    bold: frozenset[tuple[int, int]] = frozenset()
    marks: Mapping[tuple[int, int], str] = field(default_factory=dict)

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

    def to_latex(self, caption: str = "", label: str = "", below: str = "") -> str:
        """A tabular that needs the booktabs package, with a rule between groups of the first column.

        Args:
            caption: Where given, a table environment with it above the tabular.
            label: Of that environment.
            below: A sentence under the tabular of that environment.

        Raises:
            HcpError: If LaTeX cannot take the label.
        """
        return latex_table(
            self.headers,
            self.rows,
            self.numeric,
            bold=self.bold,
            marks=self.marks,
            caption=caption,
            label=label,
            below=below,
        )

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
    return Table(tuple(_NUMBERS), tuple(_numbers(row) for row in comparison.rows), tuple(_NUMBERS.values()))


def _numbers(row: Row) -> tuple[str, ...]:
    data = row.to_dict()

    def text(key: str) -> str:
        value = data[key]
        return {True: "yes", False: "no"}[value] if isinstance(value, bool) else "" if value is None else str(value)

    extra, gap, of_extra, in_order = (
        "" if share is None else f"{100 * share:.6g}"
        for share in (data["overhead"], row.gap, row.gap_of_extra, data["gap_fixed_order"])
        if share is None or isinstance(share, float)
    )
    low, high = ("", "") if row.costs is None else map(str, row.costs)
    seconds = "" if row.plan is None or row.given else f"{row.plan.seconds:.3f}"
    return (row.graph, str(row.budget), str(row.budget_bytes), row.solver, row_status(row), text("cost"), extra,
            text("peak"), text("bound"), text("bound_verified"), low, high, text("best_bound"),
            text("best_bound_verified"), gap, of_extra, text("optimal_scope"), text("optimal_verified"),
            text("fixed_order_bound"), text("fixed_order_bound_verified"), in_order, seconds,
            text("winner"))  # fmt: skip


def plan_table(plan: Plan) -> Table:
    """What one plan found, as pairs."""
    base = plan.graph.base_cost
    gaps = [
        ("gap (order-free)", plan.gap, plan.best_bound()),
        ("gap of the extra cost", plan.gap_of_extra or None, plan.best_bound()),
        ("gap (fixed-order)", plan.gap_fixed_order, plan.fixed_order_bound),
    ]
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
        *((name, _gap_text(gap, plan, bound)) for name, gap, bound in gaps if gap is not None and bound is not None),
        ("time", seconds_text(plan.seconds)),
    ]
    if plan.note:
        rows.append(("note", plan.note))
    return Table(("", "value"), tuple(rows), (False, False))


def _status(plan: Plan) -> str:
    """What is shown of a plan, and for which schedules: an optimum of one order is called no other."""
    bound = plan.reached
    if bound is None:
        return f"{plan.status.value} ({plan.status.remedy})"
    where = ""
    if bound.scope != ORDER_FREE:
        where = " in its order" if plan.problem.order is None else " in the order given"
        where += f" ({narrowed(bound.scope)})" if narrowed(bound.scope) else ""
    # Without an order that is given, an optimum of one order is only feasible.
    called = "optimal" if plan.status is Status.OPTIMAL else f"{plan.status.value}; optimal"
    if plan.verified(bound):
        return f"{called}{where} (proved: no schedule{where} costs less)"
    return f"{called}{where} as claimed by a solver ({bound.source}); there is no certificate"


def _gap_text(gap: float | None, plan: Plan, bound: Bound) -> str:
    """A gap with whose word its bound is."""
    return f"{percent_text(gap)} over a {'verified' if plan.verified(bound) else 'claimed'} bound"


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
        ("gap (order-free)", f"{percent_text(found.gap)} over a {'verified' if found.verified else 'claimed'} bound"),
        ("solver", plan.planner),
        ("time", seconds_text(found.seconds)),
    )
    return Table(("", "value"), rows, (False, False))


def grade_table(found: Grade) -> Table:
    """A schedule's grade, as pairs."""
    plan, unit, best = found.plan, found.graph.cost_unit, found.plan.best_bound()
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
        ("hcp's gap (order-free)", "-" if best is None else _gap_text(plan.gap, plan, best)),
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
    plan, base = row.plan, row.base_cost
    if base is None and plan is not None:
        base = plan.graph.base_cost
    bounds = [None if bound is None or base is None else excess(bound, base) for bound in (row.bound, row.best_bound)]
    return (
        row.graph,
        row.budget if isinstance(row.budget, str) else bytes_text(row.budget),
        row.solver,
        row_status(row),
        _signed(None if plan is None else plan.overhead) + _range(row, base),
        bytes_text(None if plan is None else plan.peak),
        *map(_signed, bounds),
        {None: "-", True: "yes", False: "no"}[None if bounds[1] is None else row.best_bound_verified],
        percent_text(row.gap),
        percent_text(row.gap_of_extra),
        seconds_text(None if plan is None or row.given else plan.seconds),
        "*" if row.winner else "",
    )


def row_status(row: Row) -> str:
    """A row's status, with whose word it is; an optimum of the graph's own order alone is called so."""
    scope = row.optimal_scope
    if scope is None:
        return row.status.lower().replace("_", " ")
    called = "optimal" if scope == ORDER_FREE else "optimal in its order"
    restrictions = [narrowed(scope), "" if row.optimal_verified else "claimed"]
    within = "; ".join(filter(None, restrictions))
    return f"{called} ({within})" if within else called


def narrowed(scope: str) -> str:
    """What restricts schedules of a scope beyond their order; empty where nothing does."""
    return scope.removeprefix(ORDER_FREE).removeprefix(FIXED_ORDER).removeprefix(", ")


def _range(row: Row, base: int | None) -> str:
    """Of several runs, the lowest and the highest extra cost."""
    if row.costs is None or base is None:
        return ""
    low, high = (percent_text(excess(cost, base)).removesuffix(" %") for cost in row.costs)
    return f" ({low} to {high})"


def _signed(fraction: float | None) -> str:
    return "-" if fraction is None else f"+{percent_text(fraction)}"
