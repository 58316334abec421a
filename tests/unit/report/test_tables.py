"""Tables in every format, and numbers as people read them."""

import csv
import io

import pytest
from rich.console import Console

import hcp
from hcp.graph.instances import chain, unet
from hcp.graph.visualize import Marks, to_dot
from hcp.report.tables import Table, comparison_numbers, comparison_table
from hcp.report.units import bytes_text, percent_text, seconds_text

TABLE = Table(("name", "cost"), (("a_1", "5"), ('b|,"', "100 %")), (False, True), "title")


def test_text():
    assert TABLE.to_text().splitlines() == ["title", "name   cost", "----  -----", "a_1       5", 'b|,"  100 %']


def test_csv_reads_back():
    assert list(csv.reader(io.StringIO(TABLE.to_csv()))) == [["name", "cost"], ["a_1", "5"], ['b|,"', "100 %"]]


def test_markdown():
    assert TABLE.to_markdown().splitlines() == [
        "| name  |  cost |",
        "| ----- | ----: |",
        "| a_1   |     5 |",
        '| b\\|," | 100 % |',
    ]


def test_latex_escapes_and_rules_groups():
    text = TABLE.to_latex()
    assert r"\begin{tabular}{@{}lr@{}}" in text
    assert r"a\_1 & 5 \\" in text
    assert r"100 \%" in text
    assert text.count(r"\midrule") == 2
    assert text.endswith("\\bottomrule\n\\end{tabular}\n")


def test_rich_takes_cells_literally():
    console = Console(record=True, width=80, file=io.StringIO())
    console.print(Table(("x",), (("[bold]",),), (False,)).to_rich())
    assert "[bold]" in console.export_text()


def test_a_comparison_names_the_scope_and_stars_the_winner():
    comparison = hcp.compare([unet(2), chain(30)], "80%", ["chen_greedy", "keep_all", "exhaustive"])
    table = comparison_table(comparison)
    assert "gap (order-free)" in table.headers
    assert [row[-1] for row in table.rows if row[0] == "unet-2"] == ["*", "", ""]
    assert {row[3] for row in table.rows} <= {"feasible", "optimal", "no solution", "not applicable", "infeasible"}


@pytest.mark.parametrize(
    ("amount", "text"),
    [(None, "-"), (0, "0 B"), (1023, "1023 B"), (1536, "1.50 KiB"), (5 * 2**30, "5.00 GiB"), (2**60, "1024.00 PiB")],
)
def test_bytes(amount, text):
    assert bytes_text(amount) == text


def test_other_numbers():
    assert percent_text(0.03187) == "3.187 %"
    assert percent_text(None) == seconds_text(None) == "-"
    assert seconds_text(1.234) == "1.23 s"


def test_dot_quotes_names():
    graph = hcp.Graph((hcp.Node('a"b', outputs=(hcp.Value("x", 1),)), hcp.Node("c", inputs=("x",))))
    text = to_dot(graph, Marks({"c": 2}))
    assert r'"a\"b" -> "c" [label="x: 1 B"];' in text
    assert "runs 3 times" in text
    assert text.count("{") == text.count("}") == 1


def test_numbers_are_for_programs_and_have_their_units_in_the_headers():
    rows = hcp.compare(unet(3), "80%", ["keep_all", "proof", "chen_greedy"], time_limit=20)
    table = comparison_numbers(rows)
    found = list(csv.DictReader(io.StringIO(table.to_csv())))
    for text, row in zip(found, rows.rows, strict=True):
        assert int(text["budget [bytes]"]) == row.budget_bytes
        if row.plan is None or row.plan.cost is None:
            assert text["cost"] == text["gap [%]"] == ""
            continue
        assert int(text["cost"]) == row.plan.cost
        assert int(text["best bound"]) == row.best_bound
        assert float(text["gap [%]"]) == pytest.approx(100 * row.gap, abs=1e-4)
        extra = row.plan.cost - row.plan.graph.base_cost
        assert row.gap_of_extra == (row.plan.cost - row.best_bound) / extra
        assert float(text["gap of extra cost [%]"]) == pytest.approx(100 * row.gap_of_extra, abs=1e-4)


@pytest.mark.parametrize("text", ["two\nlines", "\x1b[31mred", "tab\t", "\u202eturned"])
def test_names_break_no_line_and_move_no_cursor(text):
    table = Table(("name", "n"), ((text, "1"), ("other", "2")), (False, True))
    for made in (table.to_text(), table.to_csv(), table.to_markdown(), table.to_latex()):
        assert text not in made
        assert all(line.isprintable() for line in made.splitlines())
    assert len(table.to_text().splitlines()) == 4


def test_wide_tables_take_both_columns_of_an_article():
    wide, narrow = (Table(("h",) * n, (("x",) * n,), (False,) * n).to_latex("A caption") for n in (9, 3))
    assert wide.startswith(r"\begin{table*}")
    assert wide.rstrip().endswith(r"\end{table*}")
    assert narrow.startswith(r"\begin{table}")
