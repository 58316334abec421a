"""A comparison whose ways are commands: each measures one way of one model, and none keeps the others from running."""

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.harness import failure, publish
from benchmarks.pieces import Outcome, Piece, python_module, run_pieces
from hcp.graph.files import write_atomically
from hcp.report.tables import Table

Row = dict[str, Any]


def compare(
    title: str,
    asked: Sequence[tuple[str, str]],
    piece_of: Callable[[str, str, Path], Piece],
    shown: Sequence[str],
    *,
    seconds: float,
    out: Path | None,
    at_once: int = 1,
    **settings: object,
) -> int:
    """Runs the commands, and writes the table and JSON anew whenever one ends; 0 where none failed.

    Args:
        title: Of the benchmark and its files.
        asked: Model and way of each command, the most important first.
        piece_of: The command for a model, a way, and the file that gets its answer.
        shown: What of the answers the table shows.
        seconds: For all of them; what has not begun then is skipped.
        out: Folder for the table, JSON and logs.
        at_once: How many run at a time.
        settings: What the benchmark was asked for.
    """
    deadline = time.monotonic() + seconds
    rows: list[Row] = []
    with TemporaryDirectory() as folder:
        answers = [Path(folder) / f"{place}.json" for place in range(len(asked))]
        pieces = [piece_of(model, way, path) for (model, way), path in zip(asked, answers, strict=True)]
        places = {piece.name: place for place, piece in enumerate(pieces)}

        def ended(outcome: Outcome) -> None:
            place = places[outcome.name]
            model, way = asked[place]
            rows.append({"model": model, "way": way} | _found(outcome, answers[place]))
            print(f"{outcome.name}: {outcome.status} in {outcome.seconds:.0f} s, {outcome.detail}", flush=True)
            with redirect_stdout(StringIO()):
                publish(title, table_of(rows, shown), rows, out, **settings)

        logs = Path(folder) if out is None else out / "logs"
        outcomes = run_pieces(pieces, logs, deadline, at_once=at_once, ended=ended)
    print(table_of(rows, shown).to_text())
    counts = {status: sum(outcome.status == status for outcome in outcomes) for status in ("pass", "fail", "skip")}
    print(f"{counts['pass']} ways measured, {counts['fail']} failed, {counts['skip']} skipped")
    return 1 if counts["fail"] else 0


def add_options(
    parser: argparse.ArgumentParser,
    devices: Sequence[str],
    seconds: float,
    each: float,
    ways: Sequence[str] | None = None,
) -> None:
    """The options that such comparisons share.

    Args:
        parser: Gets them.
        devices: Names that ``--device`` takes; the first is the default.
        seconds: For all of it, by default.
        each: For each way of each model, by default.
        ways: Names that ``--way`` takes; None where the caller checks them.
    """
    parser.add_argument("--device", choices=devices, default=devices[0], help="cpu rehearses")
    parser.add_argument("--tiny", action="store_true", help="small models, as a rehearsal")
    parser.add_argument(
        "--way", action="append", choices=ways, help="how to run it; repeat for several; all by default"
    )
    parser.add_argument("--seconds", type=float, default=seconds, help="for all of it; what is left then is skipped")
    parser.add_argument("--each", type=float, default=each, help="seconds for each way of each model")
    parser.add_argument("--at-once", type=int, default=1, help="how many processes run at a time")
    # What a process is asked for that measures one way.
    parser.add_argument("--answer", type=Path, help=argparse.SUPPRESS)


def piece(options: argparse.Namespace, module: str, name: str, given: Mapping[str, object], *flags: str) -> Piece:
    """The command that measures one way of one model: a benchmark with the options given, and those at hand."""
    flat = [item for pair in given.items() for item in pair]
    tiny = ["--tiny"] if options.tiny else []
    command = python_module(module, "--device", options.device, *flat, *tiny, *flags)
    return Piece(name, command, options.each)


def answer(path: Path, row: Row) -> int:
    """Writes what a command found, and says what of it is wrong by ``row["error"]``; the command's exit code."""
    write_atomically(path, json.dumps(row))
    print(row["error"] or "measured")
    return 0 if row["error"] is None else 1


def _found(outcome: Outcome, path: Path) -> Row:
    """What a command found of a way, or why it did not."""
    row: Row = json.loads(path.read_text()) if path.exists() else {}
    # A measurement that shows a promise broken says so itself.
    return row if outcome.status == "pass" or row.get("error") else row | {"error": outcome.detail}


def table_of(rows: Sequence[Row], shown: Sequence[str]) -> Table:
    """All measurements, and why some are missing or wrong."""
    body = tuple(
        (str(row["model"]), str(row["way"]), *(_cell(row.get(key)) for key in shown), failure(row.get("error")))
        for row in rows
    )
    headers = ("model", "way", *(key.replace("_", " ") for key in shown), "failure")
    return Table(headers, body, (False, False, *[True] * len(shown), False))


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:.3g}"
