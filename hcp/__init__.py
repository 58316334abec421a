"""Provably near-optimal activation-checkpointing schedules: capture, plan, judge, compare, execute.

Importing this package loads no framework and no solver; planners load theirs when they run.
"""

# isort: off
import hcp.command  # noqa: F401 - comes first, for Ctrl-C during the other imports

# isort: on
from hcp.analysis.report import GraphAnalysisReport, analyze_graph
from hcp.compare import Comparison, Row, compare
from hcp.grading import Grade, grade
from hcp.graph.builders import from_networkx, from_onnx, graph_from_dict, graph_to_dict, load_graph, save_graph
from hcp.graph.engines import on_engines
from hcp.graph.errors import GraphError, HcpError
from hcp.graph.ir import Graph, Node, Value
from hcp.least_peak import LeastPeak, minimize_peak
from hcp.planners import PLANNERS, UnknownSolver, register_planner, solve
from hcp.planning.plan import Plan
from hcp.planning.problem import Control, InfeasibleBudget, Limits, NotApplicable, Problem, Progress
from hcp.planning.solution import Bound, Solution, Status
from hcp.plans.file import load_plan, save_plan
from hcp.plans.verify import Check, Verdict, Verification, check_plan, verify_plan
from hcp.schedule.actions import Compute, Fetch, Free, Offload, Schedule, ScheduleError, keep_everything
from hcp.schedule.host import HostLink
from hcp.schedule.replay import Usage, replay
from hcp.schedule.scopes import FIXED_ORDER, ORDER_FREE
from hcp.version import __version__

__all__ = [
    "FIXED_ORDER",
    "ORDER_FREE",
    "PLANNERS",
    "Bound",
    "Check",
    "Comparison",
    "Compute",
    "Control",
    "Fetch",
    "Free",
    "Grade",
    "Graph",
    "GraphAnalysisReport",
    "GraphError",
    "HcpError",
    "HostLink",
    "InfeasibleBudget",
    "LeastPeak",
    "Limits",
    "Node",
    "NotApplicable",
    "Offload",
    "Plan",
    "Problem",
    "Progress",
    "Row",
    "Schedule",
    "ScheduleError",
    "Solution",
    "Status",
    "UnknownSolver",
    "Usage",
    "Value",
    "Verdict",
    "Verification",
    "__version__",
    "analyze_graph",
    "check_plan",
    "compare",
    "from_networkx",
    "from_onnx",
    "grade",
    "graph_from_dict",
    "graph_to_dict",
    "keep_everything",
    "load_graph",
    "load_plan",
    "minimize_peak",
    "on_engines",
    "register_planner",
    "replay",
    "save_graph",
    "save_plan",
    "solve",
    "verify_plan",
]
