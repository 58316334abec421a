"""What a graph is like before anybody plans it: frontiers, orders, compressibility, lower bounds."""

from hcp.analysis.frontier_width import (
    FrontierSummary,
    Snapshot,
    compute_frontier_width,
    frontier_profile,
    summarize_frontier,
)
from hcp.analysis.hcp_criteria import HcpCriteria, evaluate_hcp
from hcp.analysis.lower_bounds import LowerBound, lower_bound_report
from hcp.analysis.report import GraphAnalysisReport, analyze_graph
from hcp.analysis.width_heuristics import ORDERS, OrderStats, best_heuristic_order, evaluate_orders

__all__ = [
    "ORDERS",
    "FrontierSummary",
    "GraphAnalysisReport",
    "HcpCriteria",
    "LowerBound",
    "OrderStats",
    "Snapshot",
    "analyze_graph",
    "best_heuristic_order",
    "compute_frontier_width",
    "evaluate_hcp",
    "evaluate_orders",
    "frontier_profile",
    "lower_bound_report",
    "summarize_frontier",
]
