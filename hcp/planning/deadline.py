"""Time limits."""

from time import monotonic

from hcp.graph.errors import HcpError


class Stopwatch:
    """Measures the time since it was made against a limit in seconds."""

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self._start = monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return monotonic() - self._start

    @property
    def left(self) -> float:
        """Seconds until the limit, never negative."""
        return max(0.0, self.limit - self.seconds)


def check_moves(moves: int | None) -> None:
    """Refuses a limit in moves, in place of one in seconds, that is not above zero."""
    if moves is not None and (type(moves) is not int or moves < 1):
        raise HcpError(f"moves is {moves!r}; give a whole number above zero, or None to use the time limit")
