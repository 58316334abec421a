"""Ctrl-C as a request to stop: the one place that turns the signal into one."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from hcp.command import raise_interrupt
from hcp.planning.deadline import Stop, never


@contextmanager
def stop_on_interrupt(stop: Stop = never) -> Iterator[Stop]:
    """Gives a request to stop that Ctrl-C makes while the block runs.

    A second Ctrl-C does what Ctrl-C does elsewhere. Outside of the main thread, and where the program handles the
    signal itself, nothing changes.

    Args:
        stop: Another request to stop, which counts as well.
    """
    before = signal.getsignal(signal.SIGINT)
    ours = before in (signal.default_int_handler, raise_interrupt)
    if threading.current_thread() is not threading.main_thread() or not ours:
        yield stop
        return
    asked = threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - what the signal module passes
        asked.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, ask)
    try:
        yield lambda: asked.is_set() or stop()
    finally:
        signal.signal(signal.SIGINT, before)
