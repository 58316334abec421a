"""What the checks share: the failure of a claim, and what the runner needs to know of a check."""

from typing import Protocol


class ClaimFailed(AssertionError):
    """A claim does not hold; the message names the instance."""


class Check(Protocol):
    """A module of this package."""

    CLAIM: str
    SOURCE: str

    def check(self, full: bool = True) -> int:
        """Checks the claim, on fewer and smaller instances where not ``full``; returns how many."""
        ...


def require(holds: bool, instance: str) -> None:
    """Raises ``ClaimFailed`` with the instance unless the claim holds there."""
    if not holds:
        raise ClaimFailed(instance)
