"""What the programs of a captured call take once compiled; each is measured once."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax

from hcp.integrations.jax.emit import emit, results_of
from hcp.integrations.jax.internals import (
    Atom,
    ClosedJaxpr,
    Equation,
    asks_again,
    is_variable,
    run_jaxpr,
    without_addresses,
)
from hcp.integrations.jax.lower import Lowered
from hcp.integrations.jax.measure import measure
from hcp.integrations.jax.measurements import measurements_of
from hcp.integrations.jax.program import Program
from hcp.integrations.measurements import Measurements
from hcp.plans.cache import CacheOption
from hcp.schedule.actions import Schedule


def unplanned(closed: ClosedJaxpr) -> Callable[..., list[Any]]:
    """The program as JAX makes it: a function of the constants and then the arguments of the jaxpr."""
    constants = len(closed.consts)

    def run(*sources: Any) -> list[Any]:  # noqa: ANN401
        return run_jaxpr(closed.jaxpr, sources[:constants], *sources[constants:])

    return run


def flat(program: Program) -> Callable[..., list[Any]]:
    """A flat program as it is: a function of its constants and then its arguments."""
    return flat_part(program, program.equations, program.sources, program.outvars)


def flat_part(
    program: Program, equations: Sequence[Equation], invars: Sequence[Any], outvars: Sequence[Atom]
) -> Callable[..., list[Any]]:
    """Some equations of a flat program as a function of variables, which returns variables or literals."""
    made = list(dict.fromkeys(filter(is_variable, outvars)))
    function = program.function(equations, invars, made)

    def run(*inputs: Any) -> list[Any]:  # noqa: ANN401
        return results_of(outvars, dict(zip(made, function(*inputs), strict=True)))

    return run


class Source(NamedTuple):
    """A constant or argument of a program.

    Attributes:
        shape: Its shape, type and sharding; of all copies where a ``vmap`` maps over it.
        mapped: Whether one does.
    """

    shape: jax.ShapeDtypeStruct
    mapped: bool


@dataclass(frozen=True, eq=False)
class Programs:
    """The programs that may run a captured call.

    Attributes:
        lowered: The graph of the call.
        closed: What was captured.
        sources: The program's constants and arguments, for the compiler.
        captured: Those of what was captured.
        cache: Where measurements are kept.
        slimmer: Whether its long loops stack up less than what was captured does; it is the flat program then that runs
            where nothing is planned.
    """

    lowered: Lowered
    closed: ClosedJaxpr
    sources: Sequence[Source]
    captured: Sequence[Source]
    cache: CacheOption
    slimmer: bool = False

    def plain(self, *, within: bool = False) -> int:
        """Bytes of temporary and output memory of the program as JAX makes it.

        Args:
            within: As part of a program with planned parts, rather than compiled by default: its options keep what the
                program computes again by itself.

        Raises:
            ExecutionError: If the platform's compiler does not say.
        """
        # Other programs may come to the same plan: of these, marks and what is computed again are left aside.
        name = f"plain {hashlib.sha256(without_addresses(self.closed.jaxpr).encode()).hexdigest()[:32]}"
        within = within and asks_again(self.closed)
        program = unplanned(self.closed)
        return self._measured(f"{name}{' within' * within}", lambda: self._take(program, self.captured, planned=within))

    def as_it_is(self) -> int:
        """The same of what runs where nothing is planned, as part of a program with planned parts.

        Raises:
            ExecutionError: If the platform's compiler does not say.
        """
        if not self.slimmer:
            return self.plain(within=True)
        return self._measured("flat", lambda: self._take(flat(self.lowered.program), self.sources))

    def taken(self, schedule: Schedule) -> int:
        """The same of the program that runs a schedule.

        Raises:
            ExecutionError: If the platform's compiler does not say.
        """
        name = hashlib.sha256(str(schedule.actions).encode()).hexdigest()[:32]
        taken = self._measured(name, lambda: self._take(emit(self.lowered, schedule), self.sources))
        self._measurements.about[name] = schedule
        return taken

    def within(self, budget: int) -> list[tuple[Schedule, int]]:
        """The schedules measured in this process whose programs keep a budget, with what these take."""
        measurements = self._measurements
        found = ((schedule, round(measurements.figures[name])) for name, schedule in measurements.about.items())
        return [(schedule, taken) for schedule, taken in found if taken <= budget]

    @property
    def seconds(self) -> float:
        """How long it may take to measure one that is not known."""
        return self._measurements.seconds

    @property
    def _measurements(self) -> Measurements:
        given = [(shape.shape, str(shape.dtype), str(shape.sharding), mapped) for shape, mapped in self.sources]
        return measurements_of(str((self.lowered.fingerprint, given)), self.cache)

    def _measured(self, name: str, take: Callable[[], int]) -> int:
        measurements = self._measurements
        found = measurements.get(name, take)
        measurements.save()
        return round(found)

    def _take(self, function: Callable[..., list[Any]], given: Sequence[Source], *, planned: bool = True) -> int:
        if any(each.mapped for each in given):
            function = jax.vmap(function, [0 if each.mapped else None for each in given])
        return measure(function, [each.shape for each in given], planned=planned).total
