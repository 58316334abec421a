"""What may be asked for: the options of every framework, and this one's errors."""

from dataclasses import dataclass
from typing import ClassVar

from hcp import HcpError
from hcp.integrations.request import Errors, Request


class TapeError(HcpError):
    """What can go wrong between hcp and the tape."""


@dataclass(frozen=True, kw_only=True)
class TapeRequest(Request):
    """The options of ``planned``.

    Attributes:
        compiled: Whether steps run as generated code, instead of node by node.
    """

    errors: ClassVar[Errors] = Errors(option=TapeError, misfit=TapeError, nothing=TapeError)

    compiled: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.host is not None:
            raise TapeError("the tape has no memory but one; leave host out")
