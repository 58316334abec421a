"""Compare planners for a paper: a LaTeX table, a figure, and the front of cost and memory; ``python FILE [FOLDER]``."""

import sys
from pathlib import Path

import hcp
from hcp.graph.instances import residual_net, unet
from hcp.report.comparison import front_table, latex_comparison
from hcp.report.figures import plot_comparison
from hcp.sweeps.front import pareto


def main(folder: Path) -> None:
    """Writes ``table.tex`` and ``cost.pdf``; results are kept in ``sweep.db``, so that a second run only reads them."""
    comparison = hcp.compare(
        [unet(4), residual_net(8)],
        ["90%", "75%", "60%"],
        ["sqrt_n", "chen_greedy", "lower_sets", "eviction", "lp"],
        time_limit=1,
        store=folder / "sweep.db",
    )
    caption = "Extra cost of heuristics, and the gap to the order-free bound."
    (folder / "table.tex").write_text(latex_comparison(comparison, caption, "tab:heuristics"), encoding="utf-8")
    plot_comparison(comparison, folder / "cost.pdf")
    print(front_table(pareto(comparison.rows)).to_text())


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path.cwd())
