"""What can go wrong between hcp and PyTorch; each message names what is wrong and the remedy."""

from hcp.graph.errors import HcpError


class TorchError(HcpError):
    """Base of the errors of this integration."""


class TorchVersionError(TorchError):
    """The installed PyTorch is outside the range that this integration was tested with."""


class CaptureError(TorchError):
    """The training step cannot be captured as one graph, or holds an operation that cannot be planned."""


class ExecutionError(TorchError):
    """A planned module was called in a way that its plan cannot serve."""


class BudgetWarning(UserWarning):
    """The module keeps its budget, but not with what the program does between its forward and its backward."""
