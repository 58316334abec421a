"""What a back end for integer programs takes and returns."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from hcp.planning.deadline import Deadline
from hcp.planning.problem import ignore
from hcp.solvers.models.rows import FloatArray, Model


class IntegerStatus(Enum):
    """How an integer program ended."""

    OPTIMAL = "optimal"
    FEASIBLE = "feasible"
    INFEASIBLE = "infeasible"
    STOPPED = "stopped"


@dataclass(frozen=True)
class IntegerResult:
    """The outcome of an integer program; bound and status are the solver's word.

    Attributes:
        status: How it ended.
        point: The best point found, one number a column.
        bound: No integer point costs less, with the model's constant.
    """

    status: IntegerStatus
    point: FloatArray | None
    bound: int


@dataclass(frozen=True)
class IntegerTask:
    """One integer program.

    Attributes:
        model: The model.
        hint: Values of some columns that make a good start.
        bound: A cost that is known to be a lower bound.
        deadline: Of the solver; a limit in units of work is charged for what it does.
        workers: Threads.
        seed: For the solver's random choices.
        on_bound: Called with better bounds as they are found, in any thread.
        on_point: Called with better points as they are found, in any thread, by back ends that can.
        poll: Called now and then in the caller's thread.
    """

    model: Model
    hint: Mapping[int, bool]
    bound: int
    deadline: Deadline
    workers: int
    seed: int
    on_bound: Callable[[int], None] = ignore
    on_point: Callable[[FloatArray], None] = ignore
    poll: Callable[[], None] | None = None


class IntegerBackend(Protocol):
    """Solves an integer program."""

    def __call__(self, task: IntegerTask, /) -> IntegerResult:
        """Solves it within the time limit."""
        ...
