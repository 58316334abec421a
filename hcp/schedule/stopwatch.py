"""Time limits."""

from time import monotonic


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
