"""What can go wrong between hcp and JAX; each message names what is wrong and the remedy."""

from hcp.graph.errors import HcpError
from hcp.planning.problem import InfeasibleBudget


class JaxError(HcpError):
    """Base of the errors of this integration."""


class JaxVersionError(JaxError):
    """The installed JAX is outside the range that this integration was tested with."""


class CaptureError(JaxError):
    """The function cannot be captured as a jaxpr, or holds an operation that cannot be planned."""


class ExecutionError(JaxError):
    """A planned function was used in a way that its plan cannot serve."""


class UnreachableBudget(JaxError, InfeasibleBudget):
    """No plan was found whose compiled program keeps the budget; the message names the smallest that was measured."""
