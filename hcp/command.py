"""Ctrl-C for the command line, from the first line of hcp on: importing all of it takes a moment.

``hcp/__init__.py`` imports this before anything else. In a process that runs the command, Ctrl-C then ends it with one
sentence instead of a traceback from wherever the import is. Programs that import hcp keep Python's own handling.
"""

import os
import signal
import sys
import threading
from pathlib import PurePath
from types import FrameType
from typing import Final, NoReturn

# What shells call a process that Ctrl-C ended.
EXIT_CODE: Final = 130
STOPPED: Final = "hcp: stopped by the user before it was done"

_asked = threading.Event()


def interrupted() -> bool:
    """Whether Ctrl-C ended what the command was doing, whatever came of its exception on the way."""
    return _asked.is_set()


def take_interrupts() -> None:
    """From here on Ctrl-C raises ``KeyboardInterrupt``, so that what is half-written is removed."""
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, raise_interrupt)


def raise_interrupt(number: int, frame: FrameType | None) -> NoReturn:
    """Does what Python's own handler does, and remembers it: extensions make other exceptions of the one raised."""
    _asked.set()
    signal.default_int_handler(number, frame)
    raise KeyboardInterrupt


def _leave(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 - what the signal module passes
    os.write(2, f"{STOPPED}\n".encode())
    os._exit(EXIT_CODE)


def _is_command() -> bool:
    """Whether this process runs ``hcp`` or ``python -m hcp.cli``."""
    given = sys.orig_argv
    module = given[given.index("-m") + 1 :][:1] if "-m" in given else []
    return module == ["hcp.cli"] or (bool(sys.argv) and PurePath(sys.argv[0]).stem == "hcp")


def _begin() -> None:
    main = threading.current_thread() is threading.main_thread()
    if main and _is_command() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)


_begin()
