"""The published comparison's picture and paper table, from the committed results."""

import json
from pathlib import Path

import pytest

from benchmarks import harness, published
from hcp.report.tables import Table

RESULTS = Path(harness.__file__).parent / "results" / "published.json"


def test_the_picture_has_a_panel_a_graph(tmp_path):
    pytest.importorskip("matplotlib")
    rows = json.loads(RESULTS.read_text())["rows"]
    published.plot_published(rows, tmp_path / "p.svg")
    text = (tmp_path / "p.svg").read_text()
    for graph in published.PUBLISHED:
        assert graph in text
    for label in (*published.PEERS, "hcp", "below hcp's bound"):
        assert label.replace("'", "'") in text


def test_the_paper_table_names_a_graph_once():
    rows = tuple(("rl1", f"{budget} %", "-", "0.8 / 9.3 s", *["1"] * 8) for budget in (90, 80))
    table = Table(published.HEADERS, rows, tuple(header in published.NUMERIC for header in published.HEADERS))
    text = published._for_paper(table).to_latex(published.CAPTION, published.LABEL)
    assert text.count("rl1") == 1
    assert "0.8 / 9.3 &" in text
    assert "verified" not in text
    assert r"\label{tab:published}" in text
