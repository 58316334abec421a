"""Commands in processes of their own: what ends one, and that it keeps none of the others from running."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.apart import answer, compare
from benchmarks.pieces import SKIPPED, Piece, run_piece, run_pieces

SLEEPER = """
import pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
pathlib.Path(sys.argv[1]).write_text(str(child.pid))
print("asleep", flush=True)
time.sleep(600)
"""
DRIVER = """
import pathlib, sys, time
from benchmarks.pieces import Piece, run_pieces
run_pieces([Piece("sleeper", (sys.executable, "-c", sys.argv[1], sys.argv[2]), 600)], pathlib.Path(sys.argv[3]),
           time.monotonic() + 600)
"""


def script(text, name="piece", seconds=60.0, **environment):
    return Piece(name, (sys.executable, "-c", text), seconds, environment)


def far():
    return time.monotonic() + 600


def runs(pid):
    """Whether a process is there, and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def comes_true(condition):
    for _ in range(200):
        if condition():
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize(
    ("code", "status", "detail"), [(0, "pass", "b"), (SKIPPED, "skip", "b"), (3, "fail", "code 3: b")]
)
def test_exit_codes_say_how_it_ended(tmp_path, code, status, detail):
    outcome = run_piece(script(f"print('a'); print('b'); print(); raise SystemExit({code})"), tmp_path, far())
    assert outcome.status == status
    assert outcome.detail.endswith(detail)
    assert (tmp_path / "piece.log").read_text() == "a\nb\n\n"


def test_it_gets_its_environment(tmp_path):
    outcome = run_piece(script("import os; print(os.environ['X'], os.environ['PATH'])", X="y"), tmp_path, far())
    assert outcome.detail == f"y {os.environ['PATH']}"[:300]


def test_a_program_that_is_not_there_fails(tmp_path):
    outcome = run_piece(Piece("piece", ("no-such-program",), 9), tmp_path, far())
    assert outcome.status == "fail"
    assert "no-such-program" in outcome.detail


def test_one_over_its_limit_ends_with_what_it_started(tmp_path):
    file = tmp_path / "pid"
    sleeper = Piece("sleeper", (sys.executable, "-c", SLEEPER, str(file)), 2.0)
    outcome = run_piece(sleeper, tmp_path, far())
    assert outcome.status == "fail"
    assert outcome.detail == "ended after 2 s, its limit; it was at: asleep"
    assert comes_true(lambda: not runs(int(file.read_text())))


def test_none_keeps_the_others_from_running(tmp_path):
    told = []
    pieces = [
        script("raise SystemExit(1)", "bad"),
        script("import os; os.kill(os.getpid(), 9)", "killed"),
        script("", "good"),
    ]
    outcomes = run_pieces(pieces, tmp_path, far(), at_once=2, ended=told.append)
    assert [(each.name, each.status) for each in outcomes] == [("bad", "fail"), ("killed", "fail"), ("good", "pass")]
    assert set(told) == set(outcomes)
    assert "exit code -9" in outcomes[1].detail


def test_what_has_no_time_left_is_skipped(tmp_path):
    (outcome,) = run_pieces([script("")], tmp_path, time.monotonic() + 1)
    assert (outcome.status, outcome.detail) == ("skip", "no time was left for it")


def test_who_is_asked_to_end_ends_what_it_runs(tmp_path):
    file = tmp_path / "pid"
    driver = subprocess.Popen([sys.executable, "-c", DRIVER, SLEEPER, str(file), str(tmp_path)])
    assert comes_true(file.exists)
    assert comes_true(file.read_text)
    driver.send_signal(signal.SIGTERM)
    assert driver.wait(20) == 128 + signal.SIGTERM
    assert comes_true(lambda: not runs(int(file.read_text())))


def test_a_comparison_shows_what_each_found_or_why_it_did_not(tmp_path, capsys):
    def piece_of(model, way, path):
        row = {"bytes": 1234, "error": {"over": "took too much"}.get(way)}
        write = f"import pathlib; pathlib.Path({str(path)!r}).write_text({json.dumps(row)!r});"
        code = {"fine": 0, "over": 1, "broken": 2}[way]
        return script(
            f"{write if way != 'broken' else ''}print('last words'); raise SystemExit({code})", f"{model} {way}"
        )

    asked = [("m", "fine"), ("m", "broken"), ("m", "over")]
    assert compare("things", asked, piece_of, ("bytes",), seconds=100, out=tmp_path, tiny=True) == 1
    rows = json.loads((tmp_path / "things.json").read_text())["rows"]
    assert [row["error"] for row in rows] == [None, "exit code 2: last words", "took too much"]
    table = (tmp_path / "things.md").read_text()
    assert "1,234" in table
    assert "tiny True" in table
    assert "1 ways measured, 2 failed, 0 skipped" in capsys.readouterr().out
    assert compare("things", asked[:1], piece_of, ("bytes",), seconds=100, out=None) == 0


def test_an_answer_says_what_is_wrong(tmp_path, capsys):
    assert answer(tmp_path / "a", {"error": None}) == 0
    assert answer(tmp_path / "a", {"error": "over"}) == 1
    assert capsys.readouterr().out == "measured\nover\n"
    assert json.loads((tmp_path / "a").read_text()) == {"error": "over"}
