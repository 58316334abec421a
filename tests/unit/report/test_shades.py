"""What figures shade: no schedule lies there, whatever its policy, and whatever budget it has."""

import random

import numpy as np
import pytest

pytest.importorskip("matplotlib")

import hcp
from hcp.graph.instances import residual_net, training_chain, unet
from hcp.report import figures, page
from hcp.report.figures import bound_steps, plot_comparison
from tests.transfers import random_transfers

BUDGETS = ["95%", "80%", "65%"]
GRAPHS = [unet(2), residual_net(3), training_chain(8)]
# Figures with a shaded region: what draws them into a file, and how many panels that has.
DRAWN = {
    "cost": lambda comparison, folder: plot_comparison(comparison, folder / "x.png", ["cost"]),
    "front": lambda comparison, folder: plot_comparison(comparison, folder / "x.png", ["front"]),
    "page": lambda comparison, _folder: page.to_html(comparison),
}


@pytest.fixture(scope="module")
def comparison():
    # lp has certified bounds, and the exact solver what its word is good for.
    return hcp.compare(GRAPHS, BUDGETS, ["lp", "cpsat", "lower_sets", "eviction"], time_limit=0.5)


@pytest.fixture(scope="module")
def schedules():
    """Peak and extra cost in percent of many schedules of each graph: random ones, and the best at many budgets."""
    return {graph.name: [*random_ones(graph), *good_ones(graph)] for graph in GRAPHS}


def judged(graph, schedule):
    usage = hcp.replay(graph, schedule)
    return usage.peak, 100 * (usage.cost / graph.base_cost - 1)


def random_ones(graph):
    draw = random.Random(graph.name)
    for seed in range(250):
        yield judged(graph, random_transfers(graph, seed, drop=draw.uniform(0.02, 0.6), offload=0.0))


def good_ones(graph):
    base = hcp.replay(graph, hcp.keep_everything(graph)).peak
    draw = random.Random(graph.name)
    for _ in range(4):
        budget = draw.randint(int(0.65 * base), base)
        for solver in ("lower_sets", "eviction", "anneal"):
            try:
                plan = hcp.solve(graph, budget, solver, time_limit=0.1)
            except hcp.InfeasibleBudget:
                continue
            if plan.schedule is not None:
                yield judged(graph, plan.schedule)


def shades_of(figure_axes):
    """The shaded regions of a panel by label, in bytes and percent."""
    unit = figure_axes.get_xlabel().split("[")[1].rstrip("]")
    size = 1024.0 ** ["B", "KiB", "MiB", "GiB"].index(unit)
    found = {}
    for shade in figure_axes.collections:
        assert shade.get_label().startswith("below the "), "a region of another kind"
        (outline,) = shade.get_paths()
        scaled = outline.vertices * np.array([size, 1.0])
        found[shade.get_label()] = type(outline)(scaled, outline.codes)
    return found


@pytest.fixture
def panels(monkeypatch):
    """The shaded regions of all panels that are drawn, by the names of their graphs."""
    seen = {}
    for name in ("cost", "front"):
        real = figures.FIGURES[name]

        def watched(axes, rows, legend=True, real=real):
            done = real(axes, rows, legend)
            seen[rows[0].graph] = shades_of(axes)
            return done

        monkeypatch.setitem(figures.FIGURES, name, watched)
        if name == "cost":
            monkeypatch.setattr(page, "cost_against_budget", watched)
    return seen


@pytest.mark.parametrize("figure", DRAWN)
def test_no_schedule_lies_in_the_shade(figure, comparison, schedules, panels, tmp_path):
    DRAWN[figure](comparison, tmp_path)
    assert set(panels) == set(schedules)
    for graph, regions in panels.items():
        assert any("certified" in label for label in regions)
        asked = sorted({row.budget_bytes for row in comparison.rows if row.graph == graph})
        draw = random.Random(graph)
        near = 0
        for peak, extra in schedules[graph]:
            # A schedule has every budget from its peak on.
            for budget in (peak, draw.uniform(peak, max(peak, asked[-1])), *(each for each in asked if each >= peak)):
                for label, outline in regions.items():
                    assert not outline.contains_point((budget, extra + 1e-6)), (graph, label, budget, peak, extra)
            near += peak <= asked[-1]
        assert near > 20, "too few schedules where the figure shades"
        check_corners(comparison, graph, regions, asked)


def check_corners(comparison, graph, regions, asked):
    """The shade has what was proved: just under the bound at a budget and between it and the next smaller one."""
    rows = [row for row in comparison.rows if row.graph == graph and row.plan is not None]
    proved = bound_steps([(row.budget_bytes, row.bound or 0) for row in rows if row.verified])
    base = next(row.base_cost for row in rows)
    for budget, bound in proved:
        extra = 100 * (bound / base - 1)
        lower = max([each for each in asked if each < budget], default=budget - 0.02 * (asked[-1] - asked[0]))
        inside = [outline for label, outline in regions.items() if "certified" in label]
        for place in (lower + 0.01 * (budget - lower), (lower + budget) / 2, lower + 0.99 * (budget - lower)):
            if extra > 1:
                assert inside[0].contains_point((place, extra - 0.5))


def test_regions_of_claims_stand_apart(comparison, panels, tmp_path):
    """What a solver claims beyond its certificates is no part of what is drawn as certified."""
    DRAWN["cost"](comparison, tmp_path)
    for graph, regions in panels.items():
        rows = [row for row in comparison.rows if row.graph == graph and row.best_bound is not None]
        proved = dict(bound_steps([(row.budget_bytes, row.bound) for row in rows if row.verified]))
        claimed = dict(bound_steps([(row.budget_bytes, row.best_bound) for row in rows]))
        beyond = any(bound > proved.get(budget, 0) for budget, bound in claimed.items())
        assert ("below the claimed bound (order-free)" in regions) == beyond
