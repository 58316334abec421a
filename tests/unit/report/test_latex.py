"""LaTeX: what is written compiles in one column and in two, fits there, and says what was proved by whose word."""

import shutil
import subprocess
from dataclasses import replace

import pytest

import hcp
from hcp.graph.instances import training_chain, unet
from hcp.planning.plan import judge
from hcp.planning.problem import Problem
from hcp.planning.solution import Bound, Solution, Status
from hcp.report.comparison import latex_comparison, latex_front
from hcp.report.latex import latex_text
from hcp.report.tables import Table
from hcp.schedule.actions import Schedule
from hcp.schedule.scopes import FIXED_ORDER, ORDER_FREE
from hcp.sweeps.front import pareto
from hcp.sweeps.results import Comparison, Row, judged

GRAPH = training_chain(3)  # 9 units
TWICE = Schedule.from_computes(GRAPH, ("v0", *GRAPH.order))  # 10 units
NAMES = (
    "under_score%and&hash#",
    r"$x^2$ \input{x} ~{}",
    "two\nlines\x1b[31m\ttab\x00",
    "[5pt]",
    "*star",
    "caf\u00e9 na\u00efve \u0141\u00f3d\u017a \u03b1\u03a9 \u4e2d\u6587 \U0001f600 \u2014\u2264",
    "a<b>c|d\"e'f`g''h--i?`!`",
    "W" * 300,
    "a-very-long/name.of:a_graph_that " * 6,
    "",
)


def rows_with(bound, graph="g", solver="solver", budget="80%", **others):
    plan = judge(Problem(GRAPH, 100), Solution(TWICE, Status.FEASIBLE, (bound,), solver))
    return judged([Row(graph, budget, 100, solver, plan.status.name, plan, base_cost=9, **others)])


def compiled(body, tmp_path, options):
    """What LaTeX says of a document that would not fit or not compile."""
    document = rf"\documentclass{options}{{article}}\usepackage{{booktabs}}\begin{{document}}{body}\end{{document}}"
    (tmp_path / "paper.tex").write_text(document, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    log = (tmp_path / "paper.log").read_text(encoding="utf-8", errors="replace")
    assert done.returncode == 0, log[-2000:]
    return [line for line in log.splitlines() if "Overfull" in line or "too large" in line]


needs_latex = pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
in_articles = pytest.mark.parametrize("options", ["", "[twocolumn]", "[a4paper,twocolumn]"])


@needs_latex
@in_articles
def test_tables_of_any_names_fit_an_article(tmp_path, options):
    claimed = Bound(10, "cost", FIXED_ORDER, None, "a solver")
    rows = [row for name in NAMES for row in rows_with(claimed, name, f"my_planner.{name}", 12345678)]
    rows += [replace(row, seed=1, costs=(9, 300)) for row in rows]
    infeasible = Row("g", "20%", 20, "lp", "INFEASIBLE", message="no schedule fits")
    comparison = Comparison((*rows, infeasible))
    body = latex_comparison(comparison, label="tab:rows") + latex_front(pareto(comparison.rows))
    body += latex_comparison(comparison, "A caption of " + "long" * 40, "tab:other")
    assert compiled(body, tmp_path, options) == []


@needs_latex
@in_articles
@pytest.mark.parametrize("columns", [2, 3, 4, 5, 9])
def test_narrow_and_wide_tables_fit_an_article(tmp_path, options, columns):
    headers = tuple(f"column {i}" for i in range(columns))
    rows = tuple((name, *["345.678 %"] * (columns - 1)) for name in NAMES)
    body = Table(headers, rows, (False, *[True] * (columns - 1))).to_latex("A caption.", "tab:x", "A note.")
    assert compiled(body, tmp_path, options) == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a_b%&#$", r"a\_b\%\&\#\$"),
        ("\\{}~^", r"\textbackslash{}\{\}\textasciitilde{}\textasciicircum{}"),
        ("<|>", r"\textless{}\textbar{}\textgreater{}"),
        ("--'' -'", r"-{}-'{}' -'"),
        ("caf\u00e9 \u00ef \u00df", "caf\\'{e} \\\"{\\i} \\ss{}"),
        ("\u03bb\u03a9\u0391", r"$\lambda$$\Omega$\texttt{<U+0391>}"),
        ("\u4e2d", r"\texttt{<U+4E2D>}"),
    ],
)
def test_characters(text, shown):
    assert latex_text(text) == shown


def test_a_long_table_becomes_several_that_name_their_rows_again():
    rows = tuple(("" if i else "g", "" if i else "80%", f"p{i}") for i in range(100))
    text = Table(("graph", "budget", "planner"), rows, (False, True, False)).to_latex("A caption.", "tab:x", "Below.")
    assert text.count(r"\begin{table}") == text.count(r"\toprule") == 3
    assert text.count(r"\label{tab:x}") == text.count("A caption.") == text.count("Below.") == 1
    assert text.count(r"\caption{Continued from Table~\ref{tab:x}.}") == 2
    assert [line for line in text.splitlines() if line.startswith("g &")] == [
        rf"g & 80\% & p{i} \\" for i in (0, 49, 98)
    ]
    assert all(rf"& p{i} \\" in text for i in range(100))


@pytest.mark.parametrize("label", ["tab:50%", "a b", "a,b", "x}", r"\x", "t\u00e4b", "a\nb"])
def test_labels_that_latex_cannot_take(label):
    with pytest.raises(hcp.HcpError, match="cannot be one in LaTeX; give letters, digits"):
        latex_comparison(Comparison(()), label=label)


@pytest.mark.parametrize(
    ("bound", "mark", "said"),
    [
        (Bound(10, "cost", ORDER_FREE, None, "x"), r"$^{\circ}$", "Optimal if the bound that is not certified holds"),
        (Bound(10, "cost", FIXED_ORDER, None, "x"), r"$^{\ddagger}$", "the graph's own order, on the word of solver"),
        (
            Bound(10, "cost", "fixed-order, staged, <= 2 computations", None, "x"),
            r"$^{\ddagger}$",
            r"own order (solver: staged, $\le$ 2 computations\allowbreak{}), on the word of solver alone",
        ),
    ],
)
def test_the_caption_says_what_was_proved_and_by_whose_word(bound, mark, said):
    comparison = Comparison(tuple(rows_with(bound)))
    text = latex_comparison(comparison)
    caption = next(line for line in text.splitlines() if line.startswith(r"\caption"))
    assert said in caption
    assert mark in caption
    assert rf"\textbf{{11.111}}\makebox[0.6em][l]{{{mark}}}" in text
    # With a caption of the user's own it stands below the table.
    own = latex_comparison(comparison, "Mine")
    assert r"\caption{Mine}" in own
    assert said in own.split(r"\hcptabular\par}")[1]


def test_certified_optima_have_a_mark_of_their_own():
    comparison = hcp.compare(unet(2), ["100%"], ["keep_all"])
    text = latex_comparison(comparison)
    assert r"$^{\ast}$ Optimal: no schedule costs less, by the certified bound." in text
    assert r"\textbf{0.000}\makebox[0.6em][l]{$^{\ast}$}" in text
    assert "on the word of" not in text
    front = latex_front(pareto(comparison.rows))
    assert r"0.000\makebox[0.6em][l]{$^{\ast}$} & 0.000 & yes & 0.000" in front
