"""Comparisons for papers and pages: the LaTeX tables, and the front of cost and memory."""

from collections.abc import Sequence
from typing import Final

from hcp.planning.plan import excess
from hcp.report.latex import shortened
from hcp.report.tables import COMPARISON_HEADERS, Table, comparison_cells, narrowed
from hcp.report.units import bytes_text, percent_text
from hcp.schedule.scopes import ORDER_FREE
from hcp.sweeps.front import FrontPoint
from hcp.sweeps.results import NOT_APPLICABLE, Comparison, Row

CAPTION: Final = (
    "Extra cost over running every node once, peak memory, and gap to the best order-free lower bound that any of the "
    "planners found; the lowest cost for each graph and budget is bold."
)
FRONT_CAPTION: Final = (
    "The front of peak memory and extra cost over running every node once: schedules that no other one found beats in "
    "both, and the gap to the best order-free lower bound for schedules of at most that peak."
)
_COLUMNS: Final = ("graph", "budget", "solver", "cost", "peak", "best bound", "verified", "gap (order-free)", "time")
_COST: Final = _COLUMNS.index("cost")
_HEADERS: Final = (
    *("graph", "budget", "planner", "cost\n[%]", "peak"),
    *("bound\n[%]", "bound\ncertified", "gap\n[%]", "time\n[s]"),
)
_NUMERIC: Final = (False, True, False, True, True, True, False, True, True)
# What is shown of an optimum, by whether it is one in every order, and whether that is certified.
_OPTIMAL: Final = "\N{ASTERISK OPERATOR}"
_CLAIMED: Final = "\N{DEGREE SIGN}"
_IN_ORDER: Final = "\N{DAGGER}"
_CLAIMED_IN_ORDER: Final = "\N{DOUBLE DAGGER}"
_MARKS: Final = {
    (True, True): _OPTIMAL,
    (True, False): _CLAIMED,
    (False, True): _IN_ORDER,
    (False, False): _CLAIMED_IN_ORDER,
}


def latex_comparison(comparison: Comparison, caption: str = "", label: str = "tab:hcp") -> str:
    """A table for a paper: graph and budget once a group, the winners bold. Needs the booktabs package.

    What is proved, and by whose word, stands in its caption, or below the table where another caption is given.

    Args:
        comparison: What to show.
        caption: ``CAPTION`` where not given.
        label: For references.

    Raises:
        HcpError: If LaTeX cannot take the label.
    """
    ranges = any(row.costs is not None for row in comparison.rows)
    keep = [COMPARISON_HEADERS.index(column) for column in _COLUMNS]
    rows: list[tuple[str, ...]] = []
    bold, marks = set(), {}
    above: tuple[str, str] = ("", "")
    for row in comparison.rows:
        cells = comparison_cells(row)
        graph, budget, solver, cost, *others = (cells[i] for i in keep)
        if row.plan is None or row.plan.cost is None:
            cost = {NOT_APPLICABLE: "n/a"}.get(row.status, row.status.lower().replace("_", " "))
        # The headers have the units.
        cost, *others = (text.removeprefix("+").removesuffix(" %").removesuffix(" s") for text in (cost, *others))
        cost, _, spread = cost.partition(" %")
        if row.winner:
            bold.add((len(rows), _COST))
        if row.optimal_scope is not None:
            marks[len(rows), _COST] = _mark(row)
        between = [spread.strip(" ()").replace(" to ", "\N{EN DASH}")] if ranges else []
        group = (graph, budget)
        first = ("" if graph == above[0] else graph, "" if group == above else budget)
        rows.append((*first, solver, cost, *between, *others))
        above = group
    headers, numeric = list(_HEADERS), list(_NUMERIC)
    if ranges:
        headers.insert(_COST + 1, "range\n[%]")
        numeric.insert(_COST + 1, True)
    table = Table(tuple(headers), tuple(rows), tuple(numeric), bold=frozenset(bold), marks=marks)
    return _explained(table, caption, CAPTION, proofs_text(comparison.rows), label)


def proofs_text(rows: Sequence[Row]) -> str:
    """What bounds and optima of a comparison rest on, and what the marks of its tables mean."""
    bounded = [row for row in rows if row.best_bound is not None]
    claimed = [row for row in bounded if not row.best_bound_verified]
    sentences = []
    if len(claimed) < len(bounded):
        sentences.append("Bounds are certified where a certificate was checked in exact integer arithmetic.")
    if claimed:
        holders = [row for row in claimed if row.bound == row.best_bound]
        sentences.append(f"{_those(bounded, claimed)} on the word of {_solvers(holders)} alone.")
    found = {_mark(row) for row in rows if row.optimal_scope is not None}
    sentences += [text for mark, text in _meanings(rows).items() if mark in found]
    return " ".join(sentences)


def _those(bounded: Sequence[Row], claimed: Sequence[Row]) -> str:
    return "The bounds are" if len(claimed) == len(bounded) else "Those that are not certified are"


def _meanings(rows: Sequence[Row]) -> dict[str, str]:
    """A sentence for each mark."""
    ordered = [row for row in rows if row.optimal_scope not in (None, ORDER_FREE)]
    proved = [row for row in ordered if row.optimal_verified]
    word = [row for row in ordered if not row.optimal_verified]
    kept = "Optimal only among schedules that keep the graph's own order"
    return {
        _OPTIMAL: f"{_OPTIMAL} Optimal: no schedule costs less, by the certified bound.",
        _CLAIMED: f"{_CLAIMED} Optimal if the bound that is not certified holds.",
        _IN_ORDER: f"{_IN_ORDER} {kept}{_narrower(proved)}, by a certificate.",
        _CLAIMED_IN_ORDER: f"{_CLAIMED_IN_ORDER} {kept}{_narrower(word)}, on the word of {_solvers(word)} alone.",
    }


def _mark(row: Row) -> str:
    return _MARKS[row.optimal_scope == ORDER_FREE, bool(row.optimal_verified)]


def _narrower(rows: Sequence[Row]) -> str:
    """What else restricts the schedules that optima of one order are among."""
    found = {shortened(row.solver): text for row in rows if (text := narrowed(row.optimal_scope or ""))}
    texts = (f"{solver}: {text}".replace("<=", "\N{LESS-THAN OR EQUAL TO}") for solver, text in found.items())
    return f" ({'; '.join(texts)})" if found else ""


def _solvers(rows: Sequence[Row]) -> str:
    names = list(dict.fromkeys(shortened(row.solver) for row in rows))
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def _explained(table: Table, caption: str, standard: str, proofs: str, label: str) -> str:
    """The table with what is proved: in the standard caption, below the table where the caption is another one."""
    if caption:
        return table.to_latex(caption, label, below=proofs)
    return table.to_latex(f"{standard} {proofs}".strip(), label)


def latex_front(points: Sequence[FrontPoint], caption: str = "", label: str = "tab:hcp-front") -> str:
    """The front of each graph as a table for a paper. Needs the booktabs package.

    Args:
        points: As ``hcp.sweeps.front.pareto`` gives them.
        caption: ``FRONT_CAPTION`` where not given.
        label: For references.

    Raises:
        HcpError: If LaTeX cannot take the label.
    """
    shown = front_table(points)
    rows: list[tuple[str, ...]] = []
    marks = {}
    for point, (graph, peak, *numbers, verified, gap, solver) in zip(points, shown.rows, strict=True):
        if point.cost <= point.bound:
            marks[len(rows), 2] = _MARKS[True, point.verified]
        cost, bound = (text.removeprefix("+").removesuffix(" %") for text in numbers)
        again = len(rows) > 0 and points[len(rows) - 1].graph == point.graph
        rows.append(("" if again else graph, peak, cost, bound, verified, gap.removesuffix(" %"), solver))
    headers = ("graph", "peak", "cost\n[%]", "bound\n[%]", "bound\ncertified", "gap\n[%]", "planner")
    table = Table(headers, tuple(rows), shown.numeric, marks=marks)
    sentences = []
    if any(point.verified for point in points):
        sentences.append("Bounds are certified where a certificate was checked in exact integer arithmetic.")
    if not all(point.verified for point in points):
        sentences.append(
            "The other bounds are on the word of a solver alone."
            if sentences
            else "The bounds are on the word of a solver alone."
        )
    sentences += [text for mark, text in _meanings(()).items() if mark in marks.values()]
    return _explained(table, caption, FRONT_CAPTION, " ".join(sentences), label)


def front_table(points: Sequence[FrontPoint]) -> Table:
    """The front of each graph, from the smallest peak to the smallest cost."""
    return Table(
        ("graph", "peak", "cost", "bound", "verified", "gap (order-free)", "solver"),
        tuple(
            (
                point.graph,
                bytes_text(point.peak),
                f"+{percent_text(point.plan.overhead)}",
                f"+{percent_text(excess(point.bound, point.plan.graph.base_cost))}",
                "yes" if point.verified else "no",
                percent_text(point.gap),
                point.solver,
            )
            for point in points
        ),
        (False, True, True, True, False, True, False),
    )
