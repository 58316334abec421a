"""The progress display."""

from hcp.planning.problem import Progress, ignore
from hcp.progress import Display, describe, live_progress, sweep_progress


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


def test_a_sweep_counts_its_rows_and_the_time_left(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("hcp.progress.perf_counter", lambda: now[0])
    display = Display(60.0)
    display.count(0, 10)
    assert display.__rich__().plain.startswith("row 1 of 10, about 10 min left | ")
    now[0] += 8
    display.count(4, 10)
    assert display.__rich__().plain.startswith("row 5 of 10, about 12 s left | ")


def test_verbose_lines_say_each_change_once(capsys):
    with sweep_progress(9.0, quiet=False, verbose=True) as (monitor, counter):
        for _ in range(3):
            monitor(Progress("anneal", 0.5, 7, 5, "cooling"))
        counter(1, 2)
    assert capsys.readouterr().err.splitlines() == [
        "    0.50 s | gap 40.000 % | incumbent 7 | bound 5 | anneal: cooling",
        "row 1 of 2 is done",
    ]
    with sweep_progress(9.0, quiet=True, verbose=True) as (monitor, counter):
        counter(1, 2)
    assert capsys.readouterr().err == ""


def test_ignore_where_nobody_looks():
    with live_progress(1.0, quiet=True) as monitor:
        assert monitor is ignore
    with live_progress(1.0, quiet=False) as monitor:
        # Under pytest stderr is no terminal.
        assert monitor is ignore


def test_shown_on_a_terminal(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    with live_progress(9.0, quiet=False) as monitor:
        monitor(Progress("anneal", 0.0, 7, 5, "cooling"))
    out, err = capsys.readouterr()
    assert out == ""
    assert "incumbent 7 | bound 5 | anneal: cooling" in err


def test_without_rich_nothing_is_shown(monkeypatch):
    monkeypatch.setattr("hcp.progress.find_spec", lambda name: None)
    with live_progress(9.0, quiet=False, verbose=True) as monitor:
        assert monitor is ignore
