"""Runs commands, each in processes of its own and within a limit of its own, so that none keeps others from running."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Lock, current_thread, main_thread
from typing import Final, Literal

Status = Literal["pass", "fail", "skip"]
# How a command says that it has nothing to do here, as test drivers understand it.
SKIPPED: Final = 77
# With less left nothing is begun.
LEAST_SECONDS: Final = 5.0
_DETAIL: Final = 300
_PULSE: Final = 0.2
# Seconds to end by itself.
_GRACE: Final = 2.0


@dataclass(frozen=True)
class Piece:
    """A command.

    Attributes:
        name: Of it and its log.
        command: A program and its arguments.
        seconds: What it may take at most.
        environment: Variables that it gets besides those of this process.
    """

    name: str
    command: tuple[str, ...]
    seconds: float
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """How a command ended.

    Attributes:
        name: The piece's.
        status: ``"pass"`` for exit code 0, ``"skip"`` for ``SKIPPED`` and for want of time, else ``"fail"``.
        seconds: What it took.
        detail: The last line that it printed, or why it has none.
    """

    name: str
    status: Status
    seconds: float
    detail: str


def python_module(module: str, *arguments: object) -> tuple[str, ...]:
    """The command that runs a module by the Python of this process."""
    return (sys.executable, "-m", module, *map(str, arguments))


def run_pieces(
    pieces: Sequence[Piece],
    logs: Path,
    deadline: float,
    *,
    at_once: int = 1,
    ended: Callable[[Outcome], None] = lambda outcome: None,  # noqa: ARG005
) -> list[Outcome]:
    """Runs pieces in order, several at once where asked for.

    Whatever ends this function early, SIGTERM included where it is called from the main thread, ends them as well.

    Args:
        pieces: What to run.
        logs: Folder that gets each one's output.
        deadline: On ``time.monotonic``: those that run then are ended, and no more begin.
        at_once: How many may run at a time.
        ended: Told of each as it ends, one at a time.
    """
    logs.mkdir(parents=True, exist_ok=True)
    lock, stopped = Lock(), Event()

    def run(piece: Piece) -> Outcome:
        outcome = run_piece(piece, logs, deadline, stopped)
        with lock:
            if not stopped.is_set():
                ended(outcome)
        return outcome

    with ThreadPoolExecutor(at_once) as pool, _ended_by_sigterm():
        try:
            return list(pool.map(run, pieces))
        except BaseException:
            stopped.set()
            raise


def run_piece(piece: Piece, logs: Path, deadline: float, stopped: Event | None = None) -> Outcome:
    """Runs a piece to its end, its limit or the deadline, whichever is first, or until it is to stop."""
    start = time.monotonic()
    limit = min(piece.seconds, deadline - start)
    if limit < min(LEAST_SECONDS, piece.seconds) or (stopped is not None and stopped.is_set()):
        return Outcome(piece.name, "skip", 0.0, "no time was left for it")
    log = logs / f"{piece.name.replace(' ', '_').replace(',', '')}.log"
    with log.open("wb") as out:
        try:
            # A session of its own, so that what it starts ends with it.
            process = subprocess.Popen(
                piece.command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=os.environ | piece.environment,
                start_new_session=True,
            )
        except OSError as error:
            return Outcome(piece.name, "fail", 0.0, str(error))
    code = _waited(process, start + limit, stopped)
    seconds, detail = time.monotonic() - start, _last_line(log)
    if code is None:
        return Outcome(piece.name, "fail", seconds, f"ended after {limit:.0f} s, its limit; it was at: {detail}")
    status: Status = "pass" if code == 0 else "skip" if code == SKIPPED else "fail"
    return Outcome(piece.name, status, seconds, f"exit code {code}: {detail}" if status == "fail" else detail)


def _waited(process: "subprocess.Popen[bytes]", deadline: float, stopped: Event | None) -> int | None:
    """A process' exit code; None where it had to be ended."""
    while time.monotonic() < deadline and not (stopped is not None and stopped.is_set()):
        try:
            return process.wait(min(_PULSE, max(0.0, deadline - time.monotonic())))
        except subprocess.TimeoutExpired:
            continue
    # What started processes in sessions of their own ends these first.
    for ending in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, ending)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)
    return None


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Lets SIGTERM raise SystemExit, so that what runs can be ended first."""
    if current_thread() is not main_thread():
        yield
        return

    def leave(number: int, frame: object) -> None:  # noqa: ARG001 - a handler
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1][:_DETAIL] if lines else ""
