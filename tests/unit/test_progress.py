"""The progress display."""

from hcp.progress import Display, describe, live_progress
from hcp.schedule.solution import Progress, silent


def test_reports_name_incumbent_bound_and_gap():
    text = describe(Progress("cpsat", 1.0, 103, 100, "search"))
    assert text == "gap 3.000 % | incumbent 103 | bound 100 | cpsat: search"
    assert describe(Progress("lp", 1.0, None, 100, "")) == "bound 100 | lp"
    assert describe(None) == "starting"


def test_the_clock_follows_the_reports(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("hcp.progress.perf_counter", lambda: now[0])
    display = Display(60.0)
    display.update(Progress("a", 10.0, None, None, ""))
    now[0] += 5
    assert "15 s, 45 s left" in display.__rich__().plain
    display.update(Progress("b", 1.0, None, None, ""))
    assert "1 s, 59 s left" in display.__rich__().plain


def test_silent_where_nobody_looks():
    with live_progress(1.0, quiet=True) as monitor:
        assert monitor is silent
    with live_progress(1.0, quiet=False) as monitor:
        # Under pytest stderr is no terminal.
        assert monitor is silent


def test_shown_on_a_terminal(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    with live_progress(9.0, quiet=False) as monitor:
        monitor(Progress("anneal", 0.0, 7, 5, "cooling"))
    out, err = capsys.readouterr()
    assert out == ""
    assert "incumbent 7 | bound 5 | anneal: cooling" in err
