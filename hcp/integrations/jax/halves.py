"""A planned program in two halves; what lies between its results and their cotangents is somebody else's.

To the planner both halves are one program, in which an operation of its own, the gate, reads all results and makes the
cotangents. All that depends on these comes after it in every schedule, and where it runs the schedule is cut: what is
held there, and read later, is handed from one half to the other. The gate itself runs only where memory is measured, as
a loop that nobody can see through, so that cotangents are arrays as the caller's will be.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import compress
from typing import Any

import jax
import jax.numpy as jnp

from hcp.integrations.jax.emit import Run, depending
from hcp.integrations.jax.internals import GATE, Atom, ClosedJaxpr, Equation, is_gate, is_variable, part_of, run_jaxpr
from hcp.integrations.jax.jaxpr import live
from hcp.integrations.jax.lower import Lowered
from hcp.integrations.jax.prepare import Prepared
from hcp.integrations.jax.program import Program
from hcp.integrations.jax.programs import flat_part
from hcp.schedule.actions import Compute, Fetch, Offload, Schedule


def between(outputs: Sequence[Any], others: Sequence[Any]) -> list[Any]:
    """Stands for what makes cotangents of some outputs; other results are to be there as well by then."""
    made: list[Any] = _gate(outputs, others)
    return made


def _cotangents(outputs: Sequence[Any], others: Sequence[Any]) -> list[Any]:  # noqa: ARG001 - the gate reads all results
    return [jax.lax.while_loop(lambda made: jnp.isnan(made).any(), lambda made: made * 2, output) for output in outputs]


_cotangents.__name__ = GATE
_gate = jax.jit(_cotangents)


class Halves(ABC):
    """The two halves of a program.

    Attributes:
        constants: What the program closes over.
        sources: The program's constants and arguments, as variables.
        results: What each half returns.
        read: The variables that the second one reads or returns.
        places: Which of the sources are among these.
    """

    def __init__(
        self, constants: Sequence[Any], sources: Sequence[Any], results: Sequence[Atom], first: int, read: Iterable[Any]
    ) -> None:
        self.constants = tuple(constants)
        self.sources = tuple(sources)
        self.results = list(results[:first]), list(results[first:])
        self.read = {item for item in (*read, *self.results[1]) if is_variable(item)}
        self.places = tuple(place for place, var in enumerate(self.sources) if var in self.read)

    @abstractmethod
    def first(self, *sources: Any) -> tuple[list[Any], Any]:  # noqa: ANN401
        """Runs the first half.

        Returns:
            Its results, and the arrays that it hands to the second one.
        """

    @abstractmethod
    def second(self, sources: Sequence[Any], kept: Any, cotangents: Sequence[Any]) -> list[Any]:  # noqa: ANN401
        """Runs the second half.

        Args:
            sources: Those at ``places``.
            kept: What the first one handed on.
            cotangents: Of the outputs that the gate was given.
        """


def halves(prepared: Prepared, first: int, *, apart: bool) -> Halves:
    """The halves of what runs a call.

    Args:
        prepared: What runs.
        first: How many results the first half returns.
        apart: Whether they are two programs. No compiler can then see what one could make again from less of what
            JAX's other half hands on, so that what a plan hands on, which is grouped for that, takes less.
    """
    if prepared.plan.plain and not (apart and not prepared.plan.again):
        captured = prepared.captured
        return Flat(captured.program, first) if captured.slimmer else AsItIs(captured.closed, first)
    return Planned(prepared.lowered, prepared.plan.schedule, first)


class Unplanned(Halves):
    """The halves of equations in an order of their own.

    Args:
        constants: What they close over.
        sources: The variables of constants and arguments.
        equations: They, the gate among them.
        results: Of both halves.
        first: How many of them the first half returns.
        part: From some equations, what they read and what they return to a function.
    """

    def __init__(  # noqa: PLR0917 - a program and where it is cut
        self,
        constants: Sequence[Any],
        sources: Sequence[Any],
        equations: Sequence[Equation],
        results: Sequence[Atom],
        first: int,
        part: Callable[..., Callable[..., list[Any]]],
    ) -> None:
        place = next(k for k, equation in enumerate(equations) if is_gate(equation))
        gate = equations[place]
        after = live(equations[place + 1 :], results[first:])
        read = (item for equation in after for item in equation.invars)
        super().__init__(constants, sources, results, first, read)
        kept = [var for equation in equations[:place] for var in equation.outvars if var in self.read]
        made = [*self.results[0], *kept]
        self._first = part(live(equations[:place], made), self.sources, made)
        self._read = [var in self.read for var in gate.outvars]
        given = [*(self.sources[k] for k in self.places), *kept, *compress(gate.outvars, self._read)]
        self._second = part(after, given, self.results[1])

    def first(self, *sources: Any) -> tuple[list[Any], Any]:  # noqa: ANN401
        """See ``Halves``."""
        found = self._first(*sources)
        count = len(self.results[0])
        return found[:count], found[count:]

    def second(self, sources: Sequence[Any], kept: Any, cotangents: Sequence[Any]) -> list[Any]:  # noqa: ANN401
        """See ``Halves``."""
        return self._second(*sources, *kept, *compress(cotangents, self._read))


class AsItIs(Unplanned):
    """The halves of a program as JAX makes it."""

    def __init__(self, closed: ClosedJaxpr, first: int) -> None:
        jaxpr = closed.jaxpr
        sources = (*jaxpr.constvars, *jaxpr.invars)

        def part(*of: Any) -> Callable[..., list[Any]]:  # noqa: ANN401
            return partial(run_jaxpr, part_of(jaxpr, *of), ())

        super().__init__(closed.consts, sources, jaxpr.eqns, jaxpr.outvars, first, part)


class Flat(Unplanned):
    """The halves of a flat program, whose loops stack up less."""

    def __init__(self, program: Program, first: int) -> None:
        part = partial(flat_part, program)
        super().__init__(program.constants, program.sources, program.equations, program.outvars, first, part)


class Planned(Halves):
    """The halves of a schedule."""

    def __init__(self, lowered: Lowered, schedule: Schedule, first: int) -> None:
        self.lowered = lowered
        gate = next(name for name, each in lowered.groups.items() if is_gate(each.main))
        # It runs once, as what has effects does.
        place = schedule.actions.index(Compute(gate))
        self.before, self.after = schedule.actions[:place], schedule.actions[place + 1 :]
        self.made = lowered.groups[gate].main.outvars
        program = lowered.program
        groups = [lowered.groups[action.node] for action in self.before if isinstance(action, Compute)]
        # Of arrays written in place, the variable of the last version, by the first one.
        versions = [var for each in groups for var in each.outputs if var in program.in_place]
        self.current = {program.in_place[var]: var for var in versions}
        super().__init__(program.constants, program.sources, program.outvars, first, self._reads())

    def _reads(self) -> Iterator[Any]:
        """The variables that the second half reads or moves to the host."""
        for action in self.after:
            if isinstance(action, Compute):
                yield from self.lowered.groups[action.node].inputs
            elif isinstance(action, Offload) and action.value in self.lowered.variable_of:
                var = self.lowered.variable_of[action.value]
                yield self.current.get(var, var)

    def first(self, *sources: Any) -> tuple[list[Any], Any]:  # noqa: ANN401
        """See ``Halves``."""
        run = Run(self.lowered, dict(zip(self.sources, sources, strict=True)))
        run.do(self.before)
        results = run.results(self.results[0])
        made = {self.lowered.value_of[var]: array for var, array in run.made.items() if var in self.read}
        fetched = {action.value for action in self.after if isinstance(action, Fetch)}
        copies = {name: copy for name, copy in run.copies.items() if name in fetched}
        return results, (made, copies, jnp.asarray(run.turn))

    def second(self, sources: Sequence[Any], kept: Any, cotangents: Sequence[Any]) -> list[Any]:  # noqa: ANN401
        """See ``Halves``."""
        named, copies, turn = kept
        made = {self.lowered.variable_of[name]: array for name, array in named.items()}
        run = Run(
            self.lowered,
            {self.sources[place]: source for place, source in zip(self.places, sources, strict=True)},
            made | dict(zip(self.made, cotangents, strict=True)),
            dict(copies),
            dict(self.current),
            turn,
            # What is computed again waits for them: until they are there, the memory is the caller's.
            list(cotangents),
        )
        run.do(self.after)
        return depending(run.results(self.results[1]), run.turn)
