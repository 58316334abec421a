"""Comparisons in figures of any size: nothing is cut or too small to read, few budgets and odd names included."""

from dataclasses import replace

import matplotlib as mpl
import pytest

pytest.importorskip("matplotlib")

from matplotlib import pyplot as plt
from matplotlib.text import Text

import hcp
from hcp.graph.errors import HcpError
from hcp.graph.instances import residual_net, unet
from hcp.report import drawing
from hcp.report.drawing import COLUMN, PAGE, PANEL, STYLE, shown_name, size_from
from hcp.report.figures import FIGURES, plot_comparison
from hcp.report.plan_figures import plot_plan
from hcp.sweeps.results import Comparison
from tests.unit.report.test_figures import assert_readable

# Points, at the size that is asked for.
LEAST_FONT = 7


@pytest.fixture(scope="module")
def comparison():
    return hcp.compare(
        [unet(3), residual_net(6)], ["100%", "75%", "20%"], ["sqrt_n", "chen_greedy", "lower_sets", "lp"]
    )


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are saved, checked for cut, overlapping and small texts."""
    seen = []

    def save(figure, _file):
        assert_readable(figure)
        whole = figure.bbox
        for legend in figure.legends:
            box = legend.get_window_extent()
            assert box.x0 >= whole.x0 - 1
            assert box.x1 <= whole.x1 + 1
            assert box.y0 >= whole.y0 - 1
        sizes = [text.get_fontsize() for text in figure.findobj(Text) if text.get_text()]
        assert min(sizes) >= LEAST_FONT
        seen.append((*figure.get_size_inches(), len(figure.axes), [axes.get_xlim() for axes in figure.axes]))

    monkeypatch.setattr(drawing, "_save", save)
    return seen


@pytest.mark.parametrize(
    ("size", "width", "height"), [("column", COLUMN, None), ("page", PAGE, None), ("6x8", 6.0, 8.0), (None, PAGE, None)]
)
def test_all_figures_of_a_comparison(drawn, comparison, size, width, height):
    plot_comparison(comparison, "x.pdf", list(FIGURES), None if size is None else size_from(size))
    ((found_width, found_height, panels, _),) = drawn
    assert found_width == pytest.approx(width)
    assert panels == 2 * len(FIGURES)
    assert found_height == pytest.approx(height) if height else found_height >= PANEL * 2


@pytest.mark.parametrize("figure", FIGURES)
@pytest.mark.parametrize("budgets", [["75%"], ["75%", "20%"], ["20%"], ["100%"]], ids="-".join)
def test_few_budgets_and_those_that_nothing_fits(drawn, figure, budgets):
    found = hcp.compare(unet(3), budgets, ["sqrt_n", "lower_sets"])
    plot_comparison(found, "x.pdf", [figure])
    ((width, _, _, ((low, high),)),) = drawn
    assert width == pytest.approx(COLUMN)
    # Budgets and the peak of keep-everything are on the axis, none at its end.
    places = [row.budget_bytes for row in found.rows] + [found.rows[0].base_peak]
    unit = 1024 if high < 100 else 1
    assert low < min(places) / unit
    assert high > max(places) / unit


NAMES = ("$x^2$ \\frac{", "two\nlines\x1b[31m", "very long " * 30, "_hidden", "a|b%&")


@pytest.mark.parametrize("name", NAMES)
def test_names_of_any_characters(drawn, comparison, name):
    rows = tuple(
        replace(row, graph=name, solver=f"{row.solver}{name}") for row in comparison.rows if row.graph == "unet-3"
    )
    plot_comparison(Comparison(rows), "x.pdf", ["cost"])
    assert len(drawn) == 1
    assert not shown_name(name).startswith("_")


def test_what_is_hollow_is_claimed(comparison):
    graph = [row for row in comparison.rows if row.graph == "unet-3" and row.gap is not None]
    for sure in (True, False):
        with mpl.rc_context(STYLE):
            figure, axes = plt.subplots()
            FIGURES["gap"](axes, [replace(row, best_bound_verified=sure) for row in graph])
            labels = axes.get_legend_handles_labels()[1]
            plt.close(figure)
        assert ("hollow: gap to a claimed bound" in labels) != sure


def test_pdf_has_text_in_fonts_that_papers_take(tmp_path, comparison):
    plot_comparison(comparison, tmp_path / "x.pdf")
    content = (tmp_path / "x.pdf").read_bytes()
    assert b"/CIDFontType2" in content or b"/TrueType" in content
    assert b"/Type3" not in content


def test_what_is_no_figure_and_no_size(tmp_path, comparison):
    plan = hcp.solve(unet(2), "100%", "keep_all")
    with pytest.raises(HcpError, match="no figure 'colours' of a comparison; choose from cost, gap, front"):
        plot_comparison(comparison, tmp_path / "x.png", ["cost", "colours"])
    with pytest.raises(HcpError, match="no rows to draw"):
        plot_comparison(Comparison(()), tmp_path / "x.png")
    for text in ("", "wide", "0x3", "5x", "5x300", "-1x2", "5x3in"):
        with pytest.raises(HcpError, match="not understood; give column, page, or inches from 2 to 50"):
            size_from(text)
    assert not list(tmp_path.iterdir())
    plot_plan(plan, tmp_path / "x.png", ["memory", "graph"], size_from("page"))
    assert plt.imread(tmp_path / "x.png").shape[1] == round(200 * PAGE)
