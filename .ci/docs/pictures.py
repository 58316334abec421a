"""Draws the pictures of the documentation: ``python .ci/docs/pictures.py``."""

import json
from pathlib import Path

import hcp
from benchmarks.torch_peers import ACTIVATION, BLOCKS
from benchmarks.torch_picture import draw
from benchmarks.torch_report import Measured
from hcp.graph.instances import residual_net, transformer
from hcp.report.figures import plot_comparison
from hcp.report.plan_figures import plot_plan

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "images"
# Ways of the executed comparison that Inductor compiles.
COMPILED = (ACTIVATION, BLOCKS, "hcp inductor at ")


def draw_executed(path: Path) -> None:
    """The committed comparison of executed training steps, of which ``benchmarks/results`` draws all ways."""
    text = (ROOT / "benchmarks" / "results" / "executed_torch.json").read_text(encoding="utf-8")
    rows = [Measured(**row) for row in json.loads(text)["rows"] if "error" not in row]
    draw([row for row in rows if row.method.startswith(COMPILED)], path, height=1.9)


def main(folder: Path = FOLDER) -> None:
    """Quick planners alone, whose results are the same everywhere."""
    plan = hcp.solve(transformer(3), "60%", "eviction")
    plot_plan(plan, folder / "memory.svg", ["memory"])
    plot_plan(plan, folder / "schedule.svg", ["schedule"])
    budgets = ["100%", "85%", "70%", "55%", "45%"]
    comparison = hcp.compare(residual_net(10), budgets, ["sqrt_n", "chen_greedy", "lower_sets", "eviction", "lp"])
    plot_comparison(comparison, folder / "cost.svg")
    draw_executed(folder / "executed.svg")


if __name__ == "__main__":
    main()
