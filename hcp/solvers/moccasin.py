"""The planner ``moccasin``: retention intervals in constraint programming, with at most C computations a node.

Bartan, Li, Teague, Lott, Dilkina, *Moccasin: Efficient Tensor Rematerialization for Neural Networks*, ICML 2023: every
computation of a node is an optional interval that starts where the node runs and ends where its output is last used;
no two of a node overlap, a cumulative constraint keeps the memory of all intervals within the budget, a reader
runs inside an interval of what it reads, and the active intervals' costs are minimised. The domain of starts is the
paper's staged one for a given order: the event (t, k), number t (t + 1) / 2 + k, is for the order's k-th node in stage
t >= k; its first computation is the event (k, k), later ones choose among the events (t, k) with t > k.

Where it differs: the paper has one value a node; here the start belongs to the computation and an end to each of its
values, so that outputs live and die apart. Workspace, and fresh copies of values that stay, take one event. The choice
of the interval to read from is a clause over Booleans instead of reservoir constraints; there is no separate first
phase that minimises the memory over the budget (an incumbent is passed as a hint instead); and starts leave out stages
in which running a node again is of no use.

The solver is CP-SAT, with bounds on its word. They hold for ``STAGED`` schedules with at most C computations a node.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil, gcd
from typing import Final

from ortools.sat.python import cp_model

from hcp.graph.errors import HcpError
from hcp.graph.ir import Graph
from hcp.planning.native import run_native
from hcp.planning.problem import DEFAULT_CONTROL, DEFAULT_LIMITS, Control, Limits, NotApplicable, Problem
from hcp.planning.solution import Bound, Solution, meets
from hcp.planning.tracker import Tracker
from hcp.schedule.actions import Schedule, keep_everything
from hcp.solvers.fixed_order.stages import STAGED, StageGrid, build_stage_grid, order_of
from hcp.solvers.models.cpsat import LARGEST_SUM, cost_unit, limit_work
from hcp.solvers.models.rows import ZERO

# A start has up to as many choices as there are nodes.
MOST_NODES: Final = 2_000


@dataclass(frozen=True)
class Moccasin:
    """Finds the cheapest staged schedule in which no node runs more than C times.

    Attributes:
        computations: C, at least 1.
    """

    computations: int = 2

    def __post_init__(self) -> None:
        if self.computations < 1:
            raise HcpError(f"computations is {self.computations}; give at least 1")

    @property
    def scope(self) -> str:
        """What the bounds hold for."""
        return f"{STAGED}, <= {self.computations} computations"

    def __call__(
        self, problem: Problem, limits: Limits = DEFAULT_LIMITS, control: Control = DEFAULT_CONTROL, /
    ) -> Solution:
        """Plans; OPTIMAL only where nothing has to be recomputed, the note tells about the bound's scope.

        Raises:
            NotApplicable: If the graph has more than ``MOST_NODES`` nodes.
        """
        graph = problem.graph
        if len(graph.nodes) > MOST_NODES:
            raise NotApplicable(
                f"solver 'moccasin' takes at most {MOST_NODES} nodes and graph {graph.name!r} has {len(graph.nodes)}; "
                "use 'auto'"
            )
        return Tracker(problem, limits, control, "moccasin").run(self._solve)

    def _solve(self, tracker: Tracker) -> Solution:
        problem = tracker.problem
        tracker.offer(keep_everything(problem.graph, problem.given_order))
        if tracker.done:
            return tracker.solution()
        tracker.report("retention intervals")
        grid = build_stage_grid(problem.graph.index, problem.budget, order_of(problem))
        program = _Program(grid, problem.budget, self.computations)
        program.build()
        if tracker.schedule is not None and tracker.schedule.follows(problem.given_order):
            program.hint(problem.graph, tracker.schedule)
        solver = cp_model.CpSolver()
        limit_work(solver, tracker.deadline, tracker.limits.workers)
        solver.parameters.random_seed = tracker.limits.seed
        status = run_native(
            lambda: solver.solve(program.model),
            solver.stop_search,
            lambda: tracker.deadline.over,
            lambda: tracker.report("retention intervals"),
        )
        tracker.deadline.spend(solver.response_proto.deterministic_time)
        if status == cp_model.INFEASIBLE:
            return tracker.solution(f"no schedule ({self.scope}) stays within {problem.budget} bytes")
        if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
            return tracker.solution("the solver found no schedule in time")
        bound = problem.graph.base_cost + ceil(solver.best_objective_bound - 1e-6) * program.unit
        tracker.add_bound(Bound(bound, "cost", self.scope, None, "retention intervals"))
        tracker.offer(Schedule.from_computes(problem.graph, program.computes(solver)))
        if meets(tracker.cost, bound):
            return tracker.solution(f"no schedule ({self.scope}) in the given order costs less")
        return tracker.solution()


@dataclass(frozen=True)
class _Computation:
    """One computation of a node: a literal, the event where it starts, and per value that it makes its last event."""

    active: cp_model.IntVar
    start: cp_model.IntVar
    ends: dict[int, cp_model.IntVar]


@dataclass
class _Program:
    """The constraint program; ``computations[v]`` are those of node v, the first of which always runs."""

    grid: StageGrid
    budget: int
    most: int
    model: cp_model.CpModel = field(default_factory=cp_model.CpModel)
    computations: list[list[_Computation]] = field(default_factory=list)
    unit: int = 1

    def build(self) -> None:
        index = self.grid.index
        for node in range(index.n):
            self.computations.append([])
            domains = [[self._event(int(self.grid.place[node]), node)]]
            again = [t for t in range(int(self.grid.place[node]) + 1, index.n) if self.grid.runs[node, t] != ZERO]
            if again:
                domains += [[self._event(t, node) for t in again]] * (self.most - 1)
            for domain in domains:
                self._add_computation(node, domain)
        self._add_memory()
        for node in range(index.n):
            for x in index.inputs[node].tolist():
                if index.droppable[x]:
                    for reader in self.computations[node]:
                        self._add_read(reader, x)
        self.unit = cost_unit(index.cost)
        extra = [
            (c.active, int(index.cost[v]) // self.unit) for v, all_ in enumerate(self.computations) for c in all_[1:]
        ]
        self.model.minimize(cp_model.LinearExpr.weighted_sum([a for a, _ in extra], [cost for _, cost in extra]))

    def hint(self, graph: Graph, schedule: Schedule) -> None:
        """Hints at a schedule that follows the order; what it computes more often is left out."""
        index = self.grid.index
        often = [0] * index.n
        uses: dict[cp_model.IntVar, int] = {}
        starts: dict[cp_model.IntVar, int] = {}
        stage = 0
        for name in Schedule.from_computes(graph, schedule.computes).computes:
            node = index.node_of[name]
            event = self._event(stage, node)
            for x in index.inputs[node].tolist():
                if index.droppable[x]:
                    p = int(index.producer[x])
                    made = self.computations[p][min(often[p], len(self.computations[p])) - 1]
                    uses[made.ends[x]] = event
            if often[node] < len(self.computations[node]):
                fresh = self.computations[node][often[node]]
                starts[fresh.start] = event
                uses.update(dict.fromkeys(fresh.ends.values(), event))
            often[node] += 1
            stage += stage < index.n and self.grid.order[stage] == node
        for node, all_ in enumerate(self.computations):
            for position, computation in enumerate(all_[1:], start=1):
                self.model.add_hint(computation.active, position < often[node])
        for variable, event in (*starts.items(), *uses.items()):
            self.model.add_hint(variable, event)

    def computes(self, solver: cp_model.CpSolver) -> list[str]:
        """Names of the nodes in execution order."""
        names = self.grid.index.node_names
        found = [
            (solver.value(computation.start), names[node])
            for node, all_ in enumerate(self.computations)
            for computation in all_
            if solver.value(computation.active)
        ]
        return [name for _, name in sorted(found)]

    def _event(self, stage: int, node: int) -> int:
        return stage * (stage + 1) // 2 + int(self.grid.place[node])

    def _add_computation(self, node: int, events: Sequence[int]) -> None:
        model, index = self.model, self.grid.index
        last = self._event(index.n - 1, self.grid.order[-1])
        before = self.computations[node]
        active = model.new_bool_var("") if before else model.new_constant(1)
        start = model.new_int_var_from_domain(cp_model.Domain.from_values(events), "")
        ends = {int(x): model.new_int_var(events[0], last, "") for x in index.outputs[node] if not index.resident[x]}
        for end in ends.values():
            model.add(start <= end)
        if before:
            # Symmetric choices are ruled out: later computations come later, and only after those before them.
            model.add_implication(active, before[-1].active)
            model.add(before[-1].start < start).only_enforce_if(active)
            for end in before[-1].ends.values():
                model.add(end < start).only_enforce_if(active)
        before.append(_Computation(active, start, ends))

    def _add_memory(self) -> None:
        model, index = self.model, self.grid.index
        intervals: list[cp_model.IntervalVar] = []
        demands: list[int] = []
        horizon = self._event(index.n - 1, self.grid.order[-1]) + 1
        for node, all_ in enumerate(self.computations):
            stays = sum(int(index.size[x]) for x in index.outputs[node] if index.resident[x])
            first = self._event(int(self.grid.place[node]), node)
            intervals.append(model.new_fixed_size_interval_var(first, horizon - first, ""))
            demands.append(stays)
            for position, computation in enumerate(all_):
                active, start = computation.active, computation.start
                intervals.append(model.new_optional_fixed_size_interval_var(start, 1, active, ""))
                demands.append(int(index.workspace[node]) + (stays if position else 0))
                for x, end in computation.ends.items():
                    size = model.new_int_var(1, horizon, "")
                    intervals.append(model.new_optional_interval_var(start, size, end + 1, active, ""))
                    demands.append(int(index.size[x]))
        taking = [(i, d) for i, d in zip(intervals, demands, strict=True) if d]
        room = self.budget - index.base_bytes
        # Rounding down what is too large for the solver keeps every schedule.
        unit = max(gcd(*demands) or 1, -(-(sum(demands) + room) // LARGEST_SUM))
        self.model.add_cumulative([i for i, _ in taking], [d // unit for _, d in taking], max(0, room // unit))

    def _add_read(self, reader: _Computation, x: int) -> None:
        """Whoever reads x runs within an interval of x, after the event that starts it."""
        model = self.model
        inside = []
        for made in self.computations[int(self.grid.index.producer[x])]:
            here = model.new_bool_var("")
            model.add_implication(here, made.active)
            model.add(made.start < reader.start).only_enforce_if(here)
            model.add(reader.start <= made.ends[x]).only_enforce_if(here)
            inside.append(here)
        model.add_bool_or([*inside, ~reader.active])
