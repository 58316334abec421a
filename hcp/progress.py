"""The live display of running planners on stderr: incumbent, bound, gap and the time left."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from rich.console import Console
from rich.live import Live
from rich.text import Text

from hcp.report.units import percent_text
from hcp.schedule.plan import excess
from hcp.schedule.solution import Monitor, Progress, silent


class Display:
    """The last report of the running planner as one line, with a clock that goes on between reports."""

    def __init__(self, time_limit: float) -> None:
        self._time_limit = time_limit
        self._last: Progress | None = None
        self._since = perf_counter()

    def update(self, progress: Progress) -> None:
        """Takes a report; a planner's first one starts its clock."""
        if self._last is None or self._last.planner != progress.planner or progress.seconds < self._last.seconds:
            self._since = perf_counter() - progress.seconds
        self._last = progress

    def __rich__(self) -> Text:
        """The line to show now."""
        seconds = perf_counter() - self._since
        left = max(0.0, self._time_limit - seconds)
        # What matters most comes first: narrow terminals cut the end off.
        return Text(f"{seconds:.0f} s, {left:.0f} s left | {describe(self._last)}", no_wrap=True, overflow="ellipsis")


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

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last = ""

    def update(self, progress: Progress) -> None:
        """Takes a report."""
        text = describe(progress)
        if text != self._last:
            self._last = text
            self._console.print(f"{progress.seconds:8.2f} s | {text}", markup=False, highlight=False, soft_wrap=True)


@contextmanager
def live_progress(time_limit: float, quiet: bool, verbose: bool = False) -> Iterator[Monitor]:
    """A monitor that shows progress while the block runs; silent where quiet or where stderr is no terminal.

    Args:
        time_limit: Seconds of each planner, for the time left.
        quiet: Show nothing.
        verbose: Show every step as a line, also where stderr is no terminal.
    """
    console = Console(stderr=True)
    if verbose and not quiet:
        yield Log(console).update
        return
    if quiet or not console.is_terminal:
        yield silent
        return
    display = Display(time_limit)
    with Live(display, console=console, refresh_per_second=4, transient=True):
        yield display.update
