"""What the README says is proved is what the committed results and the library of instances hold."""

import json
import re
from pathlib import Path

from hcp.instances import summaries
from hcp.report.instances import NEAR, standing

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def results(name):
    return json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text(encoding="utf-8"))["rows"]


def said(pattern):
    """The numbers of a pattern that has to be there, and once."""
    (found,) = re.finditer(pattern, README)
    return tuple(map(float, found.groups()))


def test_the_library_is_no_worse_than_the_readme_says():
    instances, near, within, optimal = said(
        r"that comes with hcp, (\d+) graphs \| 50 % \| at least (\d+) of them within ([\d.]+) %, at least (\d+) optimal"
    )
    found = standing(summaries())
    assert within == 100 * NEAR
    assert instances == found.instances
    # Bounds and schedules get better; who adds some may raise the numbers.
    assert found.near >= near >= optimal
    assert found.optimal >= optimal


def test_published_gaps():
    optimal, rows, most = said(r"(\d+) of (\d+) optimal, the others at most ([\d.]+) %")
    found = results("published")
    assert len(found) == rows
    assert sum(row["status"] == "OPTIMAL" for row in found) == optimal
    assert {row["optimality"] for row in found if row["status"] == "OPTIMAL"} == {"certified"}
    assert most - 0.1 < 100 * max(row["gap"] for row in found) <= most
    for row in found:
        proved = [
            each["value"] for each in row["bounds"] if each["certificate_verified"] and each["scope"] == "order-free"
        ]
        assert row["gap"] == row["cost"] / max(proved) - 1


def test_the_production_step():
    peak, gap = said(r"by makespan\]\(\S+\) \| ([\d.]+) GiB \| ([\d.]+) %")
    as_it_is, reordered, planned, least = said(
        r"takes ([\d.]+) s as it is, ([\d.]+) s with the same executions in a better order, "
        r"and ([\d.]+) s as hcp plans it; that\sit takes at least ([\d.]+) s is certified"
    )
    rows = {row["schedule"]: row for row in results("production")}
    assert all(row["verified"] for row in rows.values())
    assert f"{100 * rows['hcp']['over']:.2f}" == f"{gap:.2f}"
    assert f"{rows['hcp']['peak'] / 2**30:.2f}" == f"{peak:.2f}"
    for name, seconds in (("production", as_it_is), ("production, earlier", reordered), ("hcp", planned)):
        assert f"{rows[name]['makespan'] / 1e9:.2f}" == f"{seconds:.2f}"
    # Rounded down: a bound.
    assert least <= rows["hcp"]["bound"] / 1e9


def test_the_graded_plans():
    least, most, low, high, points = said(
        r"recomputes for ([\d.]+) to\s([\d.]+) %\. At the same peaks hcp needs ([\d.]+) to ([\d.]+) %, "
        r"at most ([\d.]+) points above"
    )
    rows = [row for row in results("graded") if row["schedule"].startswith("activation_memory_budget")]
    assert len(rows) == 9
    theirs = [100 * row["overhead"] for row in rows]
    ours = [100 * row["plan"]["overhead"] for row in rows]
    bounds = [
        our - 100 * (row["plan"]["cost"] - row["bound"]) * (1 + row["overhead"]) / row["cost"]
        for our, row in zip(ours, rows, strict=True)
    ]
    assert (f"{min(theirs):.1f}", f"{max(theirs):.1f}") == (f"{least:.1f}", f"{most:.1f}")
    assert (f"{min(ours):.1f}", f"{max(ours):.1f}") == (f"{low:.1f}", f"{high:.1f}")
    assert max(our - bound for our, bound in zip(ours, bounds, strict=True)) <= points
