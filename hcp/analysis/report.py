"""Everything that analysis knows about a graph, in one object that prints itself."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from hcp.analysis.frontier_width import FrontierSummary, frontier_profile, summarize_frontier
from hcp.analysis.hcp_criteria import HcpCriteria, evaluate_hcp
from hcp.analysis.lower_bounds import LowerBound, lower_bound_report
from hcp.analysis.repetition import Stack, find_repetition, stacks_text
from hcp.analysis.width_heuristics import OrderStats, evaluate_orders
from hcp.graph.ir import Graph
from hcp.graph.units import bytes_text, cost_text


@dataclass(frozen=True)
class GraphAnalysisReport:
    """The analysis of one graph.

    Attributes:
        name: The graph's.
        nodes, edges, values: How many.
        cost_unit: Of the costs.
        base_cost: Cost of running every node once.
        frontier: The frontier of the graph's own order.
        stacks: Of equal layers.
        orders: Orders by simple rules, without recomputation.
        criteria: Whether the graph is height-compressible.
        bounds: Lower bounds with their scopes.
    """

    name: str
    nodes: int
    edges: int
    values: int
    cost_unit: str
    base_cost: int
    frontier: FrontierSummary
    stacks: tuple[Stack, ...]
    orders: tuple[OrderStats, ...]
    criteria: HcpCriteria
    bounds: tuple[LowerBound, ...]

    def to_dict(self) -> dict[str, Any]:
        """The report, ready for JSON; orders by their figures alone."""
        data = asdict(self)
        for entry in data["orders"]:
            del entry["order"]
        for entry, stack in zip(data["stacks"], self.stacks, strict=True):
            entry["sections"] = [section._asdict() for section in stack.sections]
        for entry, bound in zip(data["bounds"], self.bounds, strict=True):
            entry["holds"] = bound.holds
        return data

    def rows(self) -> tuple[tuple[str, str], ...]:
        """The report as pairs of a name and a text."""
        frontier, criteria = self.frontier, self.criteria
        verdict = "yes" if criteria.compressible else "no"
        return (
            ("graph", f"{self.name}: {self.nodes} nodes, {self.edges} edges, {self.values} values"),
            ("keep-everything cost", cost_text(self.base_cost, self.cost_unit)),
            ("keep-everything peak", f"{bytes_text(frontier.peak)} at node {frontier.peak_node!r}"),
            (
                "frontier",
                f"width {bytes_text(frontier.width)}, average {bytes_text(frontier.average)}, "
                f"tail {bytes_text(frontier.tail)}",
            ),
            ("repetition", stacks_text(self.stacks, self.nodes)),
            *(
                (
                    f"order: {entry.rule}",
                    f"peak {bytes_text(entry.peak)}, width {bytes_text(entry.width)}{', optimal' * entry.optimal}",
                )
                for entry in self.orders
            ),
            ("height-compressible", verdict),
            ("frontier in the rise", f"{criteria.frontier_ratio:.1%} of the peak"),
            ("depth, fan-out, skips", f"{criteria.depth}, {criteria.fan_out}, {criteria.skip_length}"),
            (
                "interval tree",
                f"{criteria.blocks} blocks: predicted peak {bytes_text(criteria.predicted_peak)}, at most "
                f"{criteria.predicted_runs} runs a node",
            ),
            *((f"bound on {bound.of}: {bound.name}", self._bound_text(bound)) for bound in self.bounds),
        )

    def _bound_text(self, bound: LowerBound) -> str:
        if bound.value is None:
            value = "nothing found in time"
        else:
            value = bytes_text(bound.value) if bound.of == "peak" else cost_text(bound.value, self.cost_unit)
        return f"{value} ({bound.scope}): {bound.reason}"

    def __str__(self) -> str:
        rows = self.rows()
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:<{width}}  {text}" for name, text in rows)


def analyze_graph(graph: Graph, seed: int = 0, solved: Iterable[LowerBound] = ()) -> GraphAnalysisReport:
    """Analyses a graph.

    Args:
        graph: The computation.
        seed: For the orders that draw random numbers.
        solved: Further lower bounds to report, such as those that ``hcp.bounds.solved_bounds`` finds for a budget.
    """
    return GraphAnalysisReport(
        name=graph.name,
        nodes=len(graph.nodes),
        edges=graph.edge_count,
        values=len(graph.values),
        cost_unit=graph.cost_unit,
        base_cost=graph.base_cost,
        frontier=summarize_frontier(frontier_profile(graph)),
        stacks=find_repetition(graph).stacks,
        orders=evaluate_orders(graph, seed),
        criteria=evaluate_hcp(graph),
        bounds=lower_bound_report(graph, solved),
    )
