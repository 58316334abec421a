"""Every planner on captured training graphs and on generated ones.

Run as ``python -m benchmarks.captured [--data FOLDER]``; without a folder of captured graphs (``hcp-graph/1``) only
generated ones are planned. Gaps are to the best order-free bound that any planner proved for the same graph and budget.
"""

import argparse
from pathlib import Path

from benchmarks.harness import graphs_in, publish
from hcp.compare import compare
from hcp.graph.instances import instance
from hcp.planners import PLANNERS
from hcp.report.tables import comparison_table

GENERATED = ("transformer:8", "unet:6", "residual-net:16", "random-layered:100")
# It takes graphs of about a dozen nodes only.
SOLVERS = tuple(name for name in PLANNERS if name != "exhaustive")


def main() -> None:
    """Compares the planners and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of captured graphs")
    parser.add_argument("--graph", action="append", help="only this file of the folder; repeat for several")
    parser.add_argument("--budget", action="append", help="repeat for several; 70%%, 50%% and 30%% by default")
    parser.add_argument("--solver", action="append", help="repeat for several; all by default")
    parser.add_argument("--time-limit", type=float, default=60.0, help="seconds a solve")
    parser.add_argument("--out", type=Path, help="folder for captured.json and captured.md")
    options = parser.parse_args()
    graphs = [] if options.data is None else graphs_in(options.data, options.graph)
    if options.graph is None:
        graphs += [instance(name) for name in GENERATED]
    budgets = options.budget or ["70%", "50%", "30%"]
    comparison = compare(graphs, budgets, options.solver or SOLVERS, time_limit=options.time_limit)
    table = comparison_table(comparison)
    rows = [row.to_dict() for row in comparison.rows]
    publish("captured", table, rows, options.out, time_limit=options.time_limit)


if __name__ == "__main__":
    main()
