"""What a planner is."""

from typing import Protocol

from hcp.planning.problem import Problem
from hcp.planning.solution import Solution


class Planner(Protocol):
    """A frozen dataclass of options that is called with a problem."""

    def __call__(self, problem: Problem, /) -> Solution:
        """Plans within the time limit and returns the best it has."""
        ...
