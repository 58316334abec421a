"""Rows, verdicts and promises of the executed PyTorch comparison: what holds, what does not, and the cause."""

import pytest

pytest.importorskip("torch")

from benchmarks.torch_checks import budget_checks, checks_of, checks_table, falling
from benchmarks.torch_peers import BLOCKS, PLAIN, activation_name
from benchmarks.torch_report import (
    Failed,
    Measured,
    Start,
    rows_table,
    starts_of,
    starts_table,
    verdicts_of,
    verdicts_table,
)

FAILED = Failed("m", "hcp inductor at 30%", "no schedule fits")
LOW = activation_name(0.05)


def row(method, peak, x, budget=None, **more):
    options = {"difference": 0.0, "same_random_state": True, "quartiles": (x, x)}
    if budget is not None:
        options |= {"budget_bytes": budget, "kept": peak <= budget, "planned_bytes": peak, "overhead": 0.0, "gap": 0.0}
    return Measured("m", method, peak, 100 * x, x, **options | more)


def verdict(x, peak=90, **more):
    (found,) = verdicts_of([row("peer", 100, 2.0), row("hcp inductor at 90%", peak, x, 120, **more), FAILED])
    return found


def test_a_way_that_takes_no_more_and_is_no_slower_holds():
    found = verdict(2.03)
    assert found.holds
    assert found.ratio == pytest.approx(1.015)
    assert (found.peer, found.peak_bytes, found.by, found.by_peak_bytes) == ("peer", 100, "hcp inductor at 90%", 90)
    assert not found.cause


@pytest.mark.parametrize(
    ("found", "cause"),
    [
        (verdict(2.05, overhead=0.25, gap=0.1), "computes 25.0% again by its costs, and is at most 10.0% from optimal"),
        (verdict(2.05, overhead=0.25, gap=None), "of unknown gap"),
        (verdict(2.05), "other kernels"),
        (verdict(2.05, quartiles=(2.03, 2.2)), "within the clock's spread"),
        (verdict(1.0, peak=101), "the smallest hcp program takes 101 bytes"),
    ],
)
def test_the_table_names_the_cause_where_it_does_not_hold(found, cause):
    assert not found.holds
    assert cause in found.cause
    assert cause in verdicts_table([found]).to_markdown()


def test_of_the_ways_that_fit_the_quickest_counts():
    rows = [row("peer", 100, 1.0), row("a", 90, 0.9, 95), row("b", 99, 0.8, 100), row("c", 120, 0.1, 120)]
    assert verdicts_of(rows)[0].by == "b"


def test_rows_tell_of_eager_too_and_why_some_are_missing():
    rows = [row("eager", 100, 1.25), row("hcp inductor at 90%", 95, 1.5, 90, same_random_state=False), FAILED]
    text = rows_table(rows).to_markdown()
    assert " 1.200 |" in text
    assert "NO" in text
    assert "OTHER" in text
    assert "no schedule fits" in text


def test_second_starts_are_compared_pair_by_pair():
    starts = starts_of("m", "plain", {"plain": [1.0, 2.0, 10.0], "hcp": [1.1, 2.4, 10.0]})
    assert starts == [Start("m", "plain", 2.0, 1.0), Start("m", "hcp", 2.4, pytest.approx(1.1))]
    assert "no schedule fits" in starts_table([*starts, FAILED]).to_markdown()


KEPT = [
    row(PLAIN, 1000, 1.0),
    row(LOW, 500, 1.3),
    row(BLOCKS, 480, 1.4),
    row("hcp inductor at 100%", 1000, 1.0, 1000),
    row("hcp inductor at 45%", 440, 1.1, 450),
    row("hcp inductor at 30%", 290, 1.2, 300),
]


def checks(rows, *starts):
    return list(checks_of(rows, starts, verdicts_of(rows)))


def test_all_promises_are_checked():
    found = checks(KEPT, Start("m", "hcp inductor at 100%", 5.0, 1.1))
    assert [check.cause for check in found] == [""] * len(found)
    assert all(check.holds for check in found)
    assert len(found) == 9


def test_plans_that_run_operation_by_operation_have_the_gradients_of_eager():
    plan = row("hcp aot_eager at 60%", 590, 1.1, 600, difference=1e-3)
    (check,) = (each for each in checks([*KEPT, plan]) if "eager's" in each.promise)
    assert not check.holds
    (check,) = (
        each for each in checks([*KEPT, row("eager", 1000, 1.0, difference=1e-3), plan]) if "eager's" in each.promise
    )
    assert (check.holds, check.found) == (True, 1e-3)


def broken(method, **changes):
    """The promises, one row being another."""
    by_name = {each.method: each for each in KEPT}
    other = row(method, **changes)
    return checks([other if name == method else each for name, each in by_name.items()])


@pytest.mark.parametrize(
    ("found", "promise", "cause"),
    [
        (broken("hcp inductor at 30%", peak=301, x=1.2, budget=300), "keeps its budget", "over it: hcp inductor at 30"),
        (broken("hcp inductor at 30%", peak=290, x=1.2, budget=300, difference=1e-3), "gradients", "further off: hcp"),
        (broken("hcp inductor at 30%", peak=290, x=1.2, budget=300, same_random_state=False), "random", "another: hcp"),
        (broken("hcp inductor at 100%", peak=1000, x=1.1, budget=1000), "the step at 100%", "other kernels"),
        (broken(LOW, peak=500, x=1.0), "every point", f"{LOW}: other kernels"),
        (broken("hcp inductor at 30%", peak=400, x=1.2, budget=400), "smallest peak", "program takes 400 bytes"),
        (broken("hcp inductor at 30%", peak=290, x=1.4, budget=300), "0.7 x the lowest", "other kernels"),
        (broken(BLOCKS, peak=480, x=1.15), "checkpointed blocks", "other kernels"),
        (checks(KEPT, Start("m", "hcp inductor at 60%", 5.0, 1.3)), "second start", "5.00 s"),
        (checks(KEPT, FAILED), "second start", "no schedule fits"),
        (checks([FAILED]), "keeps its budget", "no plan was measured"),
    ],
)
def test_a_broken_promise_is_named_with_its_cause(found, promise, cause):
    (check,) = (check for check in found if promise in check.promise and not check.holds)
    assert cause in check.cause
    assert "NO" in checks_table(found).to_markdown()


def test_peaks_have_to_fall_with_the_budget():
    falls = [row("hcp inductor at 0.5", 450, 1.0, 500), row("hcp inductor at 0.3", 290, 1.1, 300), FAILED]
    assert falling(falls).holds
    assert all(check.holds for check in budget_checks(falls))
    rises = [*falls, row("hcp inductor at 0.1", 300, 1.2, 100)]
    assert not falling(rises).holds
    assert "hcp inductor at 0.1 takes more than hcp inductor at 0.3" in falling(rises).cause
    assert not falling([FAILED]).holds
