"""Draws the pictures of the documentation: ``python .ci/docs/pictures.py``."""

from pathlib import Path

import hcp
from hcp.graph.instances import residual_net, transformer
from hcp.report.figures import plot_comparison
from hcp.report.plan_figures import plot_plan

FOLDER = Path(__file__).parents[2] / "docs" / "images"


def main(folder: Path = FOLDER) -> None:
    """Quick planners alone, whose results are the same everywhere."""
    plan = hcp.solve(transformer(3), "60%", "eviction")
    plot_plan(plan, folder / "memory.svg", ["memory"])
    plot_plan(plan, folder / "schedule.svg", ["schedule"])
    budgets = ["100%", "85%", "70%", "55%", "45%"]
    comparison = hcp.compare(residual_net(10), budgets, ["sqrt_n", "chen_greedy", "lower_sets", "eviction", "lp"])
    plot_comparison(comparison, folder / "cost.svg")


if __name__ == "__main__":
    main()
