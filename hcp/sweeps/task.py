"""One unit of a sweep: a planner on a graph and a budget, and what comes of it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from hcp.graph.fields import Record
from hcp.graph.ir import Graph
from hcp.planners import solve
from hcp.planning.deadline import Stop, never
from hcp.planning.problem import InfeasibleBudget, Limits, Monitor, NotApplicable, Problem, ignore
from hcp.planning.solution import Status
from hcp.plans.file import PlanFileError, outcome_from_record
from hcp.sweeps.results import NOT_APPLICABLE, ONLY_BOUNDS, Row

# Statuses of rows with a schedule.
PLANNED: Final = frozenset({Status.OPTIMAL.name, Status.FEASIBLE.name})

# Called with a sentence on what a user should know at once, such as a worker that died.
Notice = Callable[[str], None]


@dataclass(frozen=True)
class Task:
    """What has to be planned; ``row`` names it, and is what an unfinished task's row looks like."""

    graph: Graph
    row: Row
    limits: Limits

    def __str__(self) -> str:
        return f"{self.row.solver} on {self.row.graph} at {self.row.budget}"

    def restored(self, row: Row, outcome: object) -> Row:
        """A row with the plan that ``outcome_to_dict`` wrote, as a store keeps it or a worker sends it.

        Args:
            row: With the status, and without the plan.
            outcome: None where there was no plan.

        Raises:
            HcpError: If replay does not confirm it, it contradicts itself, or it is about something else.
        """
        if outcome is None:
            if row.status in PLANNED:
                raise PlanFileError(f"the outcome of {self} is {row.status}, but has no plan; run it again")
            return row
        plan = outcome_from_record(Record(outcome, f"the outcome of {self}"), self.graph)
        asked, found = Problem(self.graph, row.budget_bytes), plan.problem
        if found != asked:
            where = "" if found.budget == asked.budget else f" of {found.budget} bytes and not of {asked.budget}"
            raise PlanFileError(f"the outcome of {self} is one of another problem{where}; run it again")
        if plan.schedule is None and row.status in PLANNED:
            raise PlanFileError(f"the outcome of {self} is {row.status}, but has no schedule; run it again")
        return replace(row, status=row.status if plan.schedule is None else plan.status.name, plan=plan)

    def run(self, monitor: Monitor = ignore, stop: Stop = never) -> Row:
        """Plans, and judges by replay; what does not apply or is infeasible becomes a row that says so."""
        row, limits = self.row, self.limits
        try:
            plan = solve(
                self.graph,
                row.budget_bytes,
                row.solver,
                time_limit=limits.time_limit,
                workers=limits.workers,
                seed=limits.seed,
                work_limit=limits.work_limit,
                monitor=monitor,
                stop=stop,
            )
        except InfeasibleBudget as error:
            return replace(row, status=Status.INFEASIBLE.name, message=str(error))
        except NotApplicable as error:
            return replace(row, status=NOT_APPLICABLE, message=str(error))
        only_bounds = plan.schedule is None and len(plan.bounds) > 1
        return replace(row, status=ONLY_BOUNDS if only_bounds else plan.status.name, plan=plan, message=plan.note)
