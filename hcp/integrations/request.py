"""What may be asked of the plan of a training step: the options that all frameworks share, and their checks."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

from hcp.feasibility import smallest_known
from hcp.graph.errors import HcpError
from hcp.graph.ir import Graph
from hcp.integrations.planned import Planned
from hcp.planners import PLANNERS, planner_named
from hcp.planning.plan import Plan
from hcp.planning.planner import AnyPlanner
from hcp.planning.problem import Limits, Monitor, Problem, ignore
from hcp.plans.cache import CacheOption, cache_for
from hcp.schedule.actions import Schedule
from hcp.schedule.bandwidth import parse_link
from hcp.schedule.budget import check_written, is_of_eager, is_share, parse_budget
from hcp.schedule.host import HostLink

# The time limit is over when an error looks for a budget that works.
REMEDY_SECONDS: Final = 1.0

# Up to here a number alone may be meant as a percentage.
MOST_PERCENT: Final = 100

GivenPlan = Planned | Plan | Schedule | Callable[[Graph], Schedule]
Fallback = Literal["error", "warn"]


@dataclass(frozen=True)
class Errors:
    """Which error of a framework's own says what.

    Attributes:
        option: An option is not understood, or one is missing.
        misfit: A plan that was given does not fit the step.
        nothing: No plan was found in time.
    """

    option: type[HcpError] = HcpError
    misfit: type[HcpError] = HcpError
    nothing: type[HcpError] = HcpError


@dataclass(frozen=True, kw_only=True)
class Request:
    """How the steps of a training program are planned; a framework's own request adds what it alone can do.

    Attributes:
        budget: Most bytes: an integer, a size such as ``"8GiB"``, or a percentage of what keeping everything takes.
        solver: A name from ``hcp.planners.PLANNERS``, or a planner.
        time_limit: Seconds for each variant of the step.
        plan: Run instead of solving: a plan or schedule made for the step's graph, or a function that makes one.
        cache: Where plans are looked up and kept: a folder, True for the default one, or False for memory only.
        seed: For planners that draw random numbers.
        fallback: What a call does that cannot run planned: ``"error"``, or ``"warn"`` and run unplanned.
        quiet: Whether to say nothing on stderr when planning.
        monitor: Called with the progress of planning, which is then not shown on a terminal.
        host: Where given, values may go to the host's memory and back: a link, or its bandwidth.

    Raises:
        HcpError: If an option is not understood, or there is neither a budget nor a plan.
    """

    errors: ClassVar[Errors] = Errors()
    # What ``host`` may be, for people.
    hosts: ClassVar[str] = "a bandwidth such as '12GiB/s', or a HostLink"

    budget: int | str | None = None
    solver: str | AnyPlanner = "auto"
    time_limit: float = 60.0
    plan: GivenPlan | None = None
    cache: CacheOption = True
    seed: int = 0
    fallback: Fallback = "error"
    quiet: bool = False
    monitor: Monitor = ignore
    host: HostLink | str | None = None

    def __post_init__(self) -> None:
        cache_for(self.cache)
        Limits(self.time_limit)
        if isinstance(self.solver, str) and self.solver not in PLANNERS and ":" not in self.solver:
            # Raises with the choices. Planners that there are load when they plan: a cached plan needs none.
            planner_named(self.solver)
        if self.host is not None and not isinstance(self.host, HostLink | str):
            raise self.errors.option(f"host {self.host!r} is not understood; give {self.hosts}")
        if not self.has_budget and self.plan is None:
            raise self.errors.option("got neither a budget nor a plan; give a budget such as '50%' or '8GiB'")
        if self.budget is not None:
            check_written(self.budget)
            self._check_unit()
        if is_of_eager(self.budget) and not self.measures_eager:
            raise self.errors.option(
                f"budget {self.budget!r} is of what PyTorch takes without a plan, operation by operation; give a "
                "percentage alone"
            )
        if self.fallback not in ("error", "warn"):
            raise self.errors.option(f"fallback {self.fallback!r} is not understood; give 'error' or 'warn'")

    def _check_unit(self) -> None:
        """Of a training step nobody means a few bytes."""
        budget = self.budget
        if isinstance(budget, str) and budget.strip().isdecimal() and int(budget) <= MOST_PERCENT:
            raise self.errors.option(
                f"budget {budget!r} is so many bytes, which is no budget for a training step; give {budget.strip()!r} "
                f"with a unit, such as '{budget.strip()}%' or '{budget.strip()}MiB'"
            )

    @property
    def has_budget(self) -> bool:
        """Whether memory is limited."""
        return self.budget is not None

    @property
    def measures_eager(self) -> bool:
        """Whether a budget may be a percentage of what the unplanned program takes."""
        return False

    @property
    def limits(self) -> Limits:
        """Of the search for a plan."""
        return Limits(self.time_limit, seed=self.seed)

    def link(self, graph: Graph) -> HostLink | None:
        """The link that the option ``host`` stands for.

        Raises:
            HcpError: If it is a text that is no bandwidth.
        """
        return None if self.host is None else parse_link(self.host, graph)

    def problem(self, graph: Graph, host: HostLink | None, whole: int | None = None, before: int = 0) -> Problem:
        """What the budget asks of a graph.

        Args:
            graph: The step.
            host: Where values may go.
            whole: Bytes that a percentage refers to, if not the graph's own keep-everything peak.
            before: Bytes that earlier variants of the step may take. A percentage lets this one take as much: what
                counts is the peak of the training.

        Raises:
            BudgetError: If the budget is not understood.
        """
        assert self.budget is not None
        amount = parse_budget(self.budget, graph, whole)
        return Problem(graph, max(amount, before) if is_share(self.budget) else amount, host=host)

    def remedy(self, plan: Plan) -> str:
        """What helps where a planner found no schedule in time."""
        smallest = smallest_known(plan.graph, REMEDY_SECONDS)
        return f"{plan.status.remedy}; the smallest budget known to work is {smallest:,} bytes"
