"""The state of a running search: its best schedule, its best bound, its deadline and its trace."""

from collections.abc import Callable, Sequence

from hcp.graph.cancellation import Cancelled
from hcp.graph.errors import HcpError
from hcp.planning.compilation import COMPILING, Part
from hcp.planning.problem import DEFAULT_CONTROL, DEFAULT_LIMITS, Control, Limits, Problem, Progress
from hcp.planning.sequences import evaluate
from hcp.planning.solution import INTERRUPTED, TIMED_OUT, Bound, Solution, Status, TracePoint, meets
from hcp.schedule.actions import Schedule, ScheduleError
from hcp.schedule.replay import Usage, replay


class Tracker:
    """Keeps the best of a search and reports it; schedules are judged by replay as they are offered.

    Attributes:
        problem, limits, control: What was asked.
        planner: Who searches.
        deadline: When the search has to end.
    """

    def __init__(
        self,
        problem: Problem,
        limits: Limits = DEFAULT_LIMITS,
        control: Control = DEFAULT_CONTROL,
        planner: str = "",
        *,
        with_engines: bool = False,
    ) -> None:
        if problem.graph.engines and not with_engines:
            raise HcpError(
                f"graph {problem.graph.name!r} has nodes on engine {problem.graph.engines[0]!r}, which planners by "
                "themselves know nothing of; plan it with hcp.solve"
            )
        self.problem = problem
        self.limits = limits
        self.control = control
        self.planner = planner
        self.deadline = limits.deadline(control.stop)
        self.schedule: Schedule | None = None
        self.usage: Usage | None = None
        self.smallest_peak: int | None = None
        self.bounds: list[Bound] = []
        self._bound = problem.graph.base_cost
        self._trace: list[TracePoint] = []
        self.offer(control.incumbent)

    @property
    def cost(self) -> int | None:
        """Cost of the best schedule: its makespan."""
        return None if self.usage is None else self.usage.makespan

    @property
    def bound(self) -> int:
        """The best bound on the cost; running every node once to begin with."""
        return self._bound

    @property
    def certified(self) -> bool:
        """Whether a bound with a certificate shows that the best schedule is optimal."""
        scopes = self.problem.scopes
        proved = [b.value for b in self.bounds if b.of == "cost" and b.scope in scopes and b.certificate is not None]
        return meets(self.cost, max(proved, default=self.problem.graph.base_cost))

    @property
    def done(self) -> bool:
        """Whether the best schedule costs no more than the bound."""
        return meets(self.cost, self._bound)

    def offer(self, schedule: Schedule | None) -> bool:
        """Takes a schedule if it is legal, within the budget, in the fixed order if any, and better; says whether."""
        if schedule is None:
            return False
        try:
            usage = replay(self.problem.graph, schedule, self.problem.host)
        except ScheduleError:
            return False
        if self.problem.order is not None and not schedule.follows(self.problem.order):
            return False
        if not self._improves(usage.makespan, usage.cost, usage.peak):
            return False
        self.schedule, self.usage = schedule, usage
        self._mark()
        return True

    def offer_sequence(self, nodes: Sequence[int]) -> bool:
        """As ``offer``, of the schedule that runs these nodes of the graph's index; one not taken is never made."""
        graph, order = self.problem.graph, self.problem.order
        usage = evaluate(graph.index, nodes)
        names = graph.index.node_names
        if usage is None or (order is not None and tuple(names[v] for v in dict.fromkeys(nodes)) != order):
            return False
        if not self._improves(usage.cost, usage.cost, usage.peak):
            return False
        return self.offer(Schedule.from_nodes(graph, nodes))

    def raise_bound(self, value: int) -> None:
        """Notes a bound on the cost that a running solver reports."""
        if value > self._bound:
            self._bound = value
            self._mark()

    def add_bound(self, bound: Bound) -> None:
        """Keeps a bound for the solution; only one that holds for all the problem's schedules can end the search."""
        self.bounds.append(bound)
        if bound.of == "cost" and bound.scope in self.problem.scopes:
            self.raise_bound(bound.value)

    @property
    def over(self) -> bool:
        """Whether there is nothing left to do: the bound is met, the limit is reached, or a stop is requested."""
        return self.done or self.deadline.over

    def report(self, phase: str) -> None:
        """Tells the monitor where the search stands."""
        self.control.monitor(Progress(self.planner, self.deadline.seconds, self.cost, self._bound, phase))

    def wait_for(self, part: Part) -> bool:
        """Whether compiled code is there, or comes before the search has to end."""
        return part.wait(self.deadline, lambda: self.report(COMPILING))

    def run(self, search: "Callable[[Tracker], Solution]") -> Solution:
        """The result of a search; of one that its limit ends in the middle of something, the best until then."""
        try:
            with self.deadline.enforced():
                return search(self)
        except Cancelled:
            return self.solution(TIMED_OUT)

    def solution(self, note: str = "") -> Solution:
        """The search's result: OPTIMAL where the bound is met."""
        status = Status.OPTIMAL if self.done else Status.FEASIBLE if self.usage else Status.NO_SOLUTION
        notes = [note]
        if self.usage is None and self.smallest_peak is not None:
            budget = self.problem.budget
            notes.append(f"smallest peak reached: {self.smallest_peak} bytes, over the budget of {budget}")
        interrupted = self.control.stop()
        if interrupted:
            notes = [*(text for text in notes if text != TIMED_OUT), INTERRUPTED]
        return Solution(
            self.schedule,
            status,
            self._all_bounds(),
            self.planner,
            self.deadline.seconds,
            tuple(self._trace),
            "; ".join(filter(None, notes)),
            interrupted,
        )

    def infeasible(self, bound: Bound | None, note: str) -> Solution:
        """The result where the budget is proved too small."""
        bounds = tuple(self.bounds) if bound is None else (bound,)
        return Solution(None, Status.INFEASIBLE, bounds, self.planner, self.deadline.seconds, tuple(self._trace), note)

    def _improves(self, makespan: int, cost: int, peak: int) -> bool:
        """Notes the peak of a legal schedule; says whether it is within the budget and better than the best."""
        self.smallest_peak = min(peak, peak if self.smallest_peak is None else self.smallest_peak)
        if peak > self.problem.budget:
            return False
        best = self.usage
        return best is None or (makespan, cost, peak) < (best.makespan, best.cost, best.peak)

    def _all_bounds(self) -> tuple[Bound, ...]:
        """The bounds, with what a running solver reported last where it was stopped before it could hand that over."""
        kept = [bound.value for bound in self.bounds if bound.of == "cost" and bound.scope in self.problem.scopes]
        if self._bound <= max(kept, default=self.problem.graph.base_cost):
            return tuple(self.bounds)
        own = self.problem.scopes[-1]
        return (*self.bounds, Bound(self._bound, "cost", own, None, f"{self.planner}, when it stopped"))

    def _mark(self) -> None:
        self._trace.append(TracePoint(self.deadline.seconds, self.cost, self._bound))
