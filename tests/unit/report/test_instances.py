"""The library of instances as tables."""

import dataclasses

from hcp.instances import summaries
from hcp.report.instances import NEAR, Standing, leaderboard, standing

SAMPLE = next(each for each in summaries() if each.best)


def with_gap(gap, budget="50%", **changes):
    best = SAMPLE.best[0] | {"budget": budget, "gap": gap, "optimal": gap <= 0}
    return dataclasses.replace(SAMPLE, best=(best,), **changes)


def test_counted_are_schedules_near_their_bound_at_the_budget():
    nothing = dataclasses.replace(SAMPLE, best=())
    rows = [with_gap(0.0), with_gap(NEAR), with_gap(NEAR + 1e-9), with_gap(0.0, "30%"), nothing]
    assert standing(rows) == Standing(instances=5, near=2, optimal=1)
    assert standing(rows, "30%") == Standing(instances=5, near=1, optimal=1)
    assert standing([]) == Standing(0, 0, 0)


def test_a_section_for_each_family_and_a_link_to_it():
    text = leaderboard([with_gap(0.01, name="b", family="two"), with_gap(0.0, name="a", family="one")])
    assert text.startswith("[one](#one) \u00b7 [two](#two)\n\n### one\n")
    assert text.index("`a`") < text.index("### two") < text.index("`b`")
    assert "optimal" in text
    assert "1.000 %" in text


def test_an_instance_without_a_schedule_is_listed():
    (line,) = [line for line in leaderboard([dataclasses.replace(SAMPLE, best=())]).splitlines() if SAMPLE.name in line]
    assert [cell.strip() for cell in line.strip("|").split("|")][2:] == ["-"] * 7
