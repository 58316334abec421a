"""One variant of a training step on its way into Inductor: found among earlier ones, or planned, compiled, measured."""

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final

from torch import fx

from hcp.graph.errors import HcpError
from hcp.integrations.planning import GIVEN, Found, adopt, say
from hcp.integrations.torch.capture import Joint, Traced, joint_of, with_sizes
from hcp.integrations.torch.emit import emit
from hcp.integrations.torch.errors import ExecutionError, TorchError
from hcp.integrations.torch.inductor.fingerprint import fingerprint_of
from hcp.integrations.torch.inductor.fitting import Fitting
from hcp.integrations.torch.inductor.internals import compile_step
from hcp.integrations.torch.inductor.lower import lower_fused, same_structure, structure_of
from hcp.integrations.torch.inductor.measure import can_run, step_peak, written_inputs
from hcp.integrations.torch.inductor.records import Compiled, Record, identity_of_plan, record_of
from hcp.integrations.torch.lower import Lowered
from hcp.integrations.torch.request import TorchRequest
from hcp.planning.plan import Plan
from hcp.plans.cache import identity_of
from hcp.schedule.budget import is_share

# Stands for a joint graph that is only looked at, in the keys of Inductor's caches; nothing is ever kept under it.
_LOOK: Final = "hcp-look"


class _Looked(HcpError):
    """Not a failure: ends compilation once the joint graph is there."""


class _Stale(HcpError):
    """A plan that was kept for another program than the one at hand."""


@dataclass(frozen=True)
class Chosen:
    """A plan with the program that Inductor makes of it.

    Attributes:
        found: The plan.
        measured_bytes: The program's peak; None where it could not be measured.
        allowed_bytes: What it has to stay within.
    """

    found: Found
    measured_bytes: int | None
    allowed_bytes: int


@dataclass
class FusedStep:
    """One variant of a step.

    Attributes:
        traced: What Dynamo captured.
        patches: Inductor's settings that differ from those in force.
        request: How to plan.
        name: Of the module's class, for people.
        inputs: Shapes of the call at hand, for people.
        before: Bytes that earlier variants of the step may take.
    """

    traced: Traced
    patches: dict[str, Any]
    request: TorchRequest
    name: str
    inputs: str
    before: int = 0

    # What was compiled, by the identity of the plan.
    programs: dict[str, Callable[..., Any]] = field(default_factory=dict, init=False)

    def unplanned(self) -> Callable[..., Any]:
        """What Inductor makes of the step by itself."""
        return compile_step(self.traced.module, self.traced.inputs, self.patches)

    def program(self, plan: Plan) -> Callable[..., Any]:
        """What Inductor makes of a plan.

        Raises:
            HcpError: If the plan was made for another step.
        """
        identity = identity_of_plan(plan)
        if identity not in self.programs:

            def partition(module: fx.GraphModule, outputs: int) -> tuple[fx.GraphModule, fx.GraphModule]:
                lowered = structure_of(with_sizes(joint_of(self.traced, module, outputs)), self.name)
                if not same_structure(lowered.graph, plan.graph):
                    raise _Stale(f"the plan kept for {self.name} is of another program")
                assert plan.schedule is not None
                halves = emit(lowered, plan.schedule)
                return halves.forward, halves.backward

            self.programs[identity] = compile_step(
                self.traced.module, self.traced.inputs, self.patches, partition, identity
            )
        return self.programs[identity]

    @cached_property
    def joint(self) -> Joint | None:
        """The joint graph as Inductor cuts it; None where the step turns out to need no gradient."""
        found: list[Joint] = []

        def partition(module: fx.GraphModule, outputs: int) -> tuple[fx.GraphModule, fx.GraphModule]:
            found.append(with_sizes(joint_of(self.traced, module, outputs)))
            raise _Looked

        try:
            compile_step(self.traced.module, self.traced.inputs, self.patches, partition, _LOOK)
        except _Looked:
            return found[0]
        return None

    @cached_property
    def lowered(self) -> Lowered:
        """The joint graph as kernels, with costs."""
        assert self.joint is not None
        return lower_fused(self.joint, self.request.cost, self.name, self.request.cache)

    @cached_property
    def written(self) -> frozenset[int]:
        """The inputs that the step changes."""
        assert self.joint is not None
        return written_inputs(self.joint)

    @cached_property
    def record(self) -> Record:
        """What is known of the step from earlier."""
        cost = self.request.cost
        if not isinstance(cost, str):
            return Record()
        return record_of(fingerprint_of(self.traced, self.patches, cost), self.request.cache)

    @cached_property
    def question(self) -> str | None:
        """What is asked for, in words; None where planners cannot be told apart by theirs."""
        return None if identity_of(self.request.solver) is None else self._asked

    @property
    def _asked(self) -> str:
        before = self.before if is_share(self.request.budget) else 0
        solver = identity_of(self.request.solver)
        content = [self.request.budget, before, solver, self.request.time_limit, self.request.seed]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]

    @property
    def key(self) -> str:
        """What tells this step with what is asked for it from others."""
        cost = self.request.cost if isinstance(self.request.cost, str) else "own"
        return f"{fingerprint_of(self.traced, self.patches, cost)}-{self._asked}"

    def choose(self) -> Chosen | None:
        """The plan for the step; None where it turns out to need no gradient.

        Raises:
            HcpError: If the step cannot be planned, or no plan was found whose program keeps the budget.
            KeyboardInterrupt: If the user ended the search.
        """
        if self.request.plan is None and (known := self._known()) is not None:
            return known
        if self.joint is None:
            return None
        return self._fit() if self.request.plan is None else self._given()

    def _known(self) -> Chosen | None:
        """What the same request got before."""
        known = None if self.question is None else self.record.answer(self.question)
        if known is None:
            return None
        plan, measured, allowed = known
        try:
            self.program(plan)
        except _Stale:
            self.record.forget()
            return None
        source = "memory" if self.record.path is None else self.record.path.name
        say(self.request, f"took the compiled plan for {self.name} on {self.inputs} from {source}")
        return Chosen(Found(plan, source), measured, allowed)

    def _given(self) -> Chosen:
        """The plan that the request brings, whose program has to keep the budget where there is one as well."""
        plan = adopt(self.lowered.graph, replace(self.request, budget=None))
        measured = self._measure(plan)
        assert plan.peak is not None
        allowed = plan.peak if self.request.budget is None else self._allowed()
        if self.request.budget is not None and measured is not None and measured > allowed:
            raise ExecutionError(
                f"the plan given for {self.name} takes {measured:,} bytes once compiled, over the budget of "
                f"{allowed:,}; raise the budget"
            )
        return Chosen(Found(plan, GIVEN), measured, allowed)

    def _allowed(self) -> int:
        """Bytes that the budget stands for; percentages are of what the program takes that Inductor makes by itself."""
        graph, whole = self.lowered.graph, None
        if is_share(self.request.budget) and can_run(self.traced.inputs):
            if self.record.whole_bytes is None:
                say(self.request, f"compiling {self.name} without a plan, whose peak percentages refer to")
                self.record.whole_bytes = step_peak(self.unplanned(), self.traced.inputs, self.written)
            whole = self.record.whole_bytes
        return self.request.problem(graph, None, whole, self.before).budget

    def _measure(self, plan: Plan) -> int | None:
        program = self.program(plan)
        return step_peak(program, self.traced.inputs, self.written) if can_run(self.traced.inputs) else None

    def _fit(self) -> Chosen:
        allowed = self._allowed()
        fitting = Fitting(self.lowered.graph, self.request, allowed, self._measure, inputs=self.inputs)
        fitting.offset = self._offset(allowed)
        error: HcpError | None = None
        try:
            best = fitting.run()
        except HcpError as failure:
            best, error = fitting.best, failure
        for each in fitting.tried:
            if each.measured_bytes is not None:
                self._note(each.found.plan, each.measured_bytes)
        known = self._cheaper(allowed, math.inf if best is None else best.cost)
        if known is not None:
            return self._answer(known)
        if best is None:
            raise error or self._nothing(fitting, allowed)
        if best.measured_bytes is not None:
            say(self.request, f"compiled {self.name}: its program takes {best.measured_bytes:,} of {allowed:,} bytes")
        return self._answer(Chosen(best.found, best.measured_bytes, allowed))

    def _cheaper(self, allowed: int, cost: float) -> Chosen | None:
        """A plan from earlier whose program keeps what is allowed, and which costs less."""
        while (known := self.record.cheapest(allowed)) is not None and known.cost < cost:
            plan = self.record.plan(known)
            if plan is not None and same_structure(self.lowered.graph, plan.graph):
                return Chosen(Found(plan, known.identity), known.measured_bytes, allowed)
            # Damaged, or of another program.
            self.record.compiled.remove(known)
        return None

    def _offset(self, allowed: int) -> int:
        """How many bytes more than planned the program takes whose peak was nearest to what is allowed."""
        near = min(self.record.compiled, key=lambda each: abs(each.measured_bytes - allowed), default=None)
        return 0 if near is None else near.measured_bytes - near.planned_bytes

    def _note(self, plan: Plan, measured: int) -> None:
        assert plan.cost is not None
        assert plan.peak is not None
        self.record.add(Compiled(identity_of_plan(plan), plan.cost, plan.peak, measured, plan))

    def _answer(self, chosen: Chosen) -> Chosen:
        if self.question is not None and chosen.measured_bytes is not None:
            self.record.answers[self.question] = chosen.allowed_bytes
            self.record.save()
        return chosen

    def _nothing(self, fitting: Fitting, allowed: int) -> TorchError:
        least = min((each.measured_bytes for each in fitting.tried if each.measured_bytes is not None), default=None)
        reached = "" if least is None else f": the smallest took {least:,} bytes; give a budget of at least that"
        return TorchError(f"no plan for {self.name} was found whose compiled program keeps {allowed:,} bytes{reached}")
