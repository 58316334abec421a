"""Figures: what they show, their sizes and labels, and that no text lies on another at the width of a column."""

from itertools import combinations

import numpy as np
import pytest

pytest.importorskip("matplotlib")

import matplotlib as mpl
from matplotlib import pyplot as plt

import hcp
from hcp.graph.errors import HcpError
from hcp.graph.instances import chain, residual_net, training_chain, transformer, unet
from hcp.planning.plan import judge
from hcp.planning.solution import TracePoint
from hcp.report.drawing import COLUMN, PAGE, PANEL, STYLE, drawing
from hcp.report.figures import (
    ExecutedRun,
    bound_steps,
    cost_against_budget,
    pareto_front,
    plot_comparison,
    plot_runs,
    runs_pareto,
)
from hcp.report.page import to_html
from hcp.report.plan_figures import FIGURES, live_composition, plot_plan, stage_by_node
from tests.transfers import random_transfers

RUNS = [
    ExecutedRun("eager", 1000 * 2**20, 0.100),
    ExecutedRun("checkpoint a block", 500 * 2**20, 0.131),
    ExecutedRun("hcp", 900 * 2**20, 0.100),
    ExecutedRun("hcp", 400 * 2**20, 0.125),
    ExecutedRun("hcp", 300 * 2**20, 0.160),
]


@pytest.fixture(scope="module")
def comparison():
    graphs = [unet(3), residual_net(6), chain(9)]
    return hcp.compare(graphs, ["100%", "75%", "55%"], ["sqrt_n", "chen_greedy", "treewidth", "lower_sets", "lp"])


@pytest.fixture(scope="module")
def plan():
    return hcp.solve(transformer(2), "70%", "auto", time_limit=1)


@pytest.fixture
def axes():
    with mpl.rc_context(STYLE):
        figure, drawn = plt.subplots(figsize=(COLUMN, PANEL), layout="constrained")
        yield drawn
        plt.close(figure)


def texts(figure):
    """What is written in a figure, with its place in pixels."""
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()
    found = []
    for axes in figure.axes:
        legend = axes.get_legend()
        artists = [axes.title, axes.xaxis.label, axes.yaxis.label]
        for axis, (low, high) in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
            places = zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=True)
            artists += [text for place, text in places if min(low, high) <= place <= max(low, high)]
        artists += [] if legend is None else legend.get_texts()
        found += [(text.get_text(), text.get_window_extent(renderer)) for text in artists if text.get_text()]
    return found


def assert_readable(figure):
    whole = figure.bbox
    written = texts(figure)
    for name, box in written:
        inside = box.x0 >= whole.x0 - 1 and box.x1 <= whole.x1 + 1 and box.y0 >= whole.y0 - 1 and box.y1 <= whole.y1 + 1
        assert inside, f"{name!r} leaves the figure"
    for (one, a), (other, b) in combinations(written, 2):
        overlap = min(a.x1, b.x1) - max(a.x0, b.x0) > 1 and min(a.y1, b.y1) - max(a.y0, b.y0) > 1
        assert not overlap, f"{one!r} and {other!r} overlap"


def test_cost_against_budget(axes, comparison):
    rows = [row for row in comparison.rows if row.graph == "unet-3"]
    assert cost_against_budget(axes, rows) is axes
    labels = axes.get_legend_handles_labels()[1]
    # lp finds no schedule; the bound is its.
    assert labels == [
        *("sqrt_n", "chen_greedy", "treewidth", "lower_sets", "peak of keep-everything"),
        "below the certified bound (order-free)",
    ]
    assert axes.get_xlabel() == "budget [KiB]"
    assert axes.get_ylabel() == "extra cost [%]"
    (line,) = (line for line in axes.lines if line.get_label() == "lower_sets")
    solved = [row for row in rows if row.solver == "lower_sets" and row.plan.cost is not None]
    expected = sorted((row.budget_bytes / 1024, 100 * row.plan.overhead) for row in solved)
    assert len(expected) >= 2
    assert np.allclose(line.get_xydata(), expected)
    (shade,) = axes.collections
    top = max(y for _, y in shade.get_paths()[0].vertices)
    assert top == pytest.approx(max(100 * (r.best_bound / unet(3).base_cost - 1) for r in rows))
    assert_readable(axes.figure)


def test_budgets_that_are_proved_too_small_are_marked(axes):
    rows = hcp.compare(unet(3), ["20%", "40%", "90%"], ["proof", "keep_all"], time_limit=20).rows
    assert [row.status for row in rows][:2] == ["INFEASIBLE", "INFEASIBLE"]
    cost_against_budget(axes, rows)
    (cross,) = (line for line in axes.get_lines() if line.get_label() == "no schedule fits")
    too_small = sorted({row.budget_bytes for row in rows if row.status == "INFEASIBLE"})
    assert len(cross.get_xdata()) == len(too_small)
    # The axis has all budgets that were asked for, also where one alone has a schedule.
    low, high = axes.get_xlim()
    assert low < min(cross.get_xdata())
    assert high > max(line.get_xdata()[-1] for line in axes.get_lines() if line.get_label() == "proof")


def test_bounds_hold_for_smaller_budgets_only():
    # The bound of a larger budget holds for a smaller one whose own search ended with less.
    assert bound_steps([(10, 1.0), (5, 0.5), (7, 3.0)]) == [(5, 3.0), (7, 3.0), (10, 1.0)]


def test_runs(axes):
    assert runs_pareto(axes, RUNS) is axes
    assert_readable(axes.figure)
    assert [run.peak_bytes // 2**20 for run in pareto_front(RUNS)] == [300, 400, 900]
    assert axes.get_xlabel() == "measured peak [MiB]"
    assert axes.get_ylabel() == "step [ms]"


@pytest.mark.parametrize("name", FIGURES)
def test_figures_of_a_plan_are_readable(axes, plan, name):
    assert FIGURES[name](axes, plan) is axes
    assert_readable(axes.figure)


@pytest.mark.parametrize("solver", ["keep_all", "sqrt_n", "recompute_all", "eviction"])
@pytest.mark.parametrize("graph", [residual_net(5), training_chain(12), transformer(3)], ids=lambda graph: graph.name)
def test_the_composition_adds_up_to_replays_profile(graph, solver):
    budget = "100%" if solver == "keep_all" else "85%"
    drawn = hcp.solve(graph, budget, solver)
    held, again = live_composition(drawn)
    assert tuple(held.sum(axis=0).tolist()) == drawn.usage.profile
    assert again.sum() == sum(drawn.usage.recomputed.values())
    assert (held >= 0).all()
    assert (held[2].any()) == bool(drawn.usage.recomputed)


@pytest.fixture(scope="module")
def moved():
    """A plan that fetches and recomputes."""
    graph = training_chain(12)
    schedules = (random_transfers(graph, seed) for seed in range(100))
    schedule = next(s for s in schedules if hcp.Fetch in map(type, s.steps) and len(s.computes) > len(graph.nodes))
    problem = hcp.Problem(graph, 20, host=hcp.HostLink(10**9, 10**9))
    return judge(problem, hcp.Solution(schedule, hcp.Status.FEASIBLE, trace=(TracePoint(0.0, 40, 20),)))


def test_the_composition_of_a_plan_that_moves_values(moved):
    held, again = live_composition(moved)
    assert tuple(held.sum(axis=0).tolist()) == moved.usage.profile
    assert again.sum() == sum(moved.usage.recomputed.values()) > 0
    assert held[3].any()


@pytest.mark.parametrize("name", FIGURES)
def test_figures_of_a_plan_that_moves_values(axes, moved, name):
    FIGURES[name](axes, moved)
    assert_readable(axes.figure)
    if name in ("memory", "schedule"):
        assert "fetched" in [text.get_text() for text in axes.get_legend().get_texts()]


def test_the_schedules_cells(axes):
    graph = training_chain(3)
    schedule = hcp.Schedule.from_computes(graph, ["v0", "v1", "v2", "v3", "v0", "v1", "v4", "v0", "v5"])
    plan = judge(hcp.Problem(graph, 100), hcp.Solution(schedule, hcp.Status.FEASIBLE))
    stage_by_node(axes, plan)
    cells = axes.images[0].get_array()
    first, again = 2, 3
    assert [cells[i, i] for i in range(6)] == [first] * 6
    # v0 and v1 run again in the stage of v4, v0 in that of v5.
    assert [(i, j) for i, j in zip(*np.nonzero(cells == again), strict=True)] == [(4, 0), (4, 1), (5, 0)]
    assert not np.triu(np.asarray(cells), 1).any()


def test_a_node_without_outputs_retains_nothing(axes):
    graph = hcp.Graph((hcp.Node("first", cost=1), hcp.Node("second", outputs=(hcp.Value("x", 1),), cost=1)))
    stage_by_node(axes, judge(hcp.Problem(graph, 9), hcp.Solution(hcp.keep_everything(graph), hcp.Status.FEASIBLE)))
    assert np.asarray(axes.images[0].get_array()).tolist() == [[2, 0], [0, 2]]


def test_large_schedules_are_drawn_in_blocks(axes, monkeypatch):
    monkeypatch.setattr("hcp.report.plan_figures._FINEST", 10)
    plan = hcp.solve(training_chain(30), "60%", "eviction")
    stage_by_node(axes, plan)
    assert axes.images[0].get_array().shape == (10, 10)
    assert "blocks of 6" in axes.get_title()


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_files_have_the_size_of_a_column(tmp_path, plan, comparison, ending):
    plot_plan(plan, tmp_path / f"plan.{ending}", ["memory", "schedule"])
    plot_comparison(comparison, tmp_path / f"compare.{ending}")
    plot_runs(RUNS, tmp_path / f"runs.{ending}")
    assert sorted(path.stem for path in tmp_path.iterdir()) == ["compare", "plan", "runs"]
    if ending == "png":
        height, width = plt.imread(tmp_path / "plan.png").shape[:2]
        assert (width, height) == (round(200 * COLUMN), round(200 * PANEL * 2))
        height, width = plt.imread(tmp_path / "compare.png").shape[:2]
        # Legends of many lines make it higher.
        assert width == round(200 * PAGE)
        assert 200 * PANEL * 2 <= height < 200 * PANEL * 3
    if ending == "svg":
        # Text stays text.
        assert "below the certified bound" in (tmp_path / "compare.svg").read_text()


def test_the_same_plan_gives_the_same_file(tmp_path, plan):
    for name in ("a.svg", "b.svg", "a.pdf", "b.pdf"):
        plot_plan(plan, tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()


def test_what_cannot_be_drawn(tmp_path, plan):
    open_before = plt.get_fignums()
    with pytest.raises(HcpError, match="no figure 'colours' of a plan; choose from memory, schedule, graph, search"):
        plot_plan(plan, tmp_path / "x.png", ["colours"])
    with pytest.raises(HcpError, match="found no schedule, so there is nothing to draw"):
        plot_plan(hcp.solve(unet(2), "60%", "lp"), tmp_path / "x.png", ["memory"])
    with pytest.raises(HcpError, match="left no trace of its search"):
        plot_plan(hcp.solve(unet(2), "100%", "lp"), tmp_path / "x.png", ["search"])
    with pytest.raises(HcpError, match="no executed runs"):
        plot_runs([], tmp_path / "x.png")
    with pytest.raises(HcpError, match=r"give an image file such as 'plot\.pdf'"), drawing(tmp_path / "x.txt", 1):
        pass
    assert not list(tmp_path.iterdir())
    assert plt.get_fignums() == open_before


def test_the_page_is_one_file_with_tables_and_figures(comparison):
    page = to_html(comparison, "A <title>")
    assert "<title>A &lt;title&gt;</title>" in page
    assert page.count("<svg") == page.count("</svg>") == 3
    assert page.count('<tr class="winner">') == sum(row.winner for row in comparison.rows)
    assert "http://" not in page.replace("http://www.w3.org", "").replace("http://purl.org", "").replace(
        "http://creativecommons.org", ""
    )
    names = [part.split('"')[0] for part in page.split(' id="')[1:]]
    assert len(names) == len(set(names))
