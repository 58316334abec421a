"""What a planner is, and how it is asked."""

from collections.abc import Callable
from inspect import Parameter, signature
from typing import Protocol, cast

from hcp.planning.problem import Control, Limits, Problem
from hcp.planning.solution import Solution

_POSITIONAL = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)


class Planner(Protocol):
    """A frozen dataclass of options that is called with a problem, limits, and who follows and steers."""

    def __call__(self, problem: Problem, limits: Limits = ..., control: Control = ..., /) -> Solution:
        """Plans within the limits and returns the best it has."""
        ...


# What has no use for limits may take the problem alone.
AnyPlanner = Planner | Callable[[Problem], Solution]


def ask(planner: AnyPlanner, problem: Problem, limits: Limits, control: Control) -> Solution:
    """Has a planner plan."""
    parameters = signature(planner).parameters.values()
    several = sum(p.kind in _POSITIONAL for p in parameters) > 1
    if several or any(p.kind is Parameter.VAR_POSITIONAL for p in parameters):
        return cast(Planner, planner)(problem, limits, control)
    return planner(problem)
