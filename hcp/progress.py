"""The live display of running planners on stderr: incumbent, bound, gap and the time left."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from time import perf_counter
from typing import TYPE_CHECKING

from hcp.planning.plan import excess
from hcp.planning.problem import Monitor, Progress, ignore
from hcp.report.units import duration_text, percent_text

if TYPE_CHECKING:
    # Loaded where something is shown, so that planning does without it.
    from rich.console import Console
    from rich.text import Text


class Display:
    """The last report of the running planner as one line, with a clock that goes on between reports."""

    def __init__(self, time_limit: float) -> None:
        self._time_limit = time_limit
        self._last: Progress | None = None
        self._since = self._start = perf_counter()
        self._rows = (0, 0)

    def update(self, progress: Progress) -> None:
        """Takes a report; a planner's first one starts its clock."""
        if self._last is None or self._last.planner != progress.planner or progress.seconds < self._last.seconds:
            self._since = perf_counter() - progress.seconds
        self._last = progress

    def count(self, done: int, total: int) -> None:
        """Takes how many rows of a sweep are done, of how many that had to be run."""
        self._rows = (done, total)

    def __rich__(self) -> "Text":
        """The line to show now."""
        from rich.text import Text

        seconds = perf_counter() - self._since
        left = max(0.0, self._time_limit - seconds)
        # What matters most comes first: narrow terminals cut the end off.
        clock = f"{self._sweep()}{seconds:.0f} s, {left:.0f} s left"
        return Text(f"{clock} | {describe(self._last)}", no_wrap=True, overflow="ellipsis")

    def _sweep(self) -> str:
        done, total = self._rows
        if not total:
            return ""
        elapsed = perf_counter() - self._start
        # Before the first row is done its limit is all that is known.
        each = elapsed / done if done else self._time_limit
        return f"row {min(done + 1, total)} of {total}, about {duration_text((total - done) * each)} left | "


def describe(progress: Progress | None) -> str:
    """A report without its clock."""
    if progress is None:
        return "starting"
    parts = []
    if progress.incumbent is not None and progress.bound is not None:
        parts.append(f"gap {percent_text(max(0.0, excess(progress.incumbent, progress.bound)))}")
    if progress.incumbent is not None:
        parts.append(f"incumbent {progress.incumbent}")
    if progress.bound is not None:
        parts.append(f"bound {progress.bound}")
    parts.append(f"{progress.planner}: {progress.phase}" if progress.phase else progress.planner)
    return " | ".join(parts)


class Log:
    """Every change of incumbent, bound or phase as a line of its own on stderr."""

    def __init__(self, console: "Console") -> None:
        self._console = console
        self._last = ""

    def update(self, progress: Progress) -> None:
        """Takes a report."""
        text = describe(progress)
        if text != self._last:
            self._last = text
            self._print(f"{progress.seconds:8.2f} s | {text}")

    def count(self, done: int, total: int) -> None:
        """Takes how many rows of a sweep are done, of how many that had to be run."""
        self._print(f"row {done} of {total} is done")

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


Counter = Callable[[int, int], None]


@contextmanager
def sweep_progress(time_limit: float, quiet: bool, verbose: bool = False) -> Iterator[tuple[Monitor, Counter]]:
    """As ``live_progress``, with what takes the number of rows that are done and that had to be run."""
    with live_progress(time_limit, quiet, verbose) as monitor:
        owner = getattr(monitor, "__self__", None)
        yield monitor, owner.count if isinstance(owner, Display | Log) else ignore


@contextmanager
def live_progress(time_limit: float, quiet: bool, verbose: bool = False) -> Iterator[Monitor]:
    """A monitor that shows progress while the block runs; none where quiet, on no terminal or without rich.

    Args:
        time_limit: Seconds of each planner, for the time left.
        quiet: Show nothing.
        verbose: Show every step as a line, also where stderr is no terminal.
    """
    if quiet or find_spec("rich") is None:
        yield ignore
        return
    from rich.console import Console
    from rich.live import Live

    console = Console(stderr=True)
    if verbose:
        yield Log(console).update
        return
    if not console.is_terminal:
        yield ignore
        return
    display = Display(time_limit)
    with Live(display, console=console, refresh_per_second=4, transient=True):
        yield display.update
