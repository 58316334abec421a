"""The library of instances as tables."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from hcp.instances.library import Summary
from hcp.instances.record import Instance
from hcp.report.tables import Table
from hcp.report.units import bytes_text, cost_text, percent_text

# A schedule is near its bound where it costs this share more at most.
NEAR: Final = 0.005


@dataclass(frozen=True)
class Standing:
    """How near the library's best schedules are to their certified bounds, at one budget.

    Attributes:
        instances: All of the library, also those without a schedule at this budget.
        near: Where the schedule costs at most ``NEAR`` more than the bound.
        optimal: Where it costs no more than the bound.
    """

    instances: int
    near: int
    optimal: int


def instances_table(summaries: Iterable[Summary]) -> Table:
    """Instances, and the certified gap of each budget."""
    rows = tuple(
        (
            each.name,
            each.level,
            "training" if each.training else "forward",
            str(each.nodes),
            bytes_text(each.base_peak),
            ", ".join(f"{best['budget']}: {_gap(best)}" for best in each.best),
        )
        for each in summaries
    )
    columns = ("instance", "level", "kind", "nodes", "keep-everything peak", "certified gap by budget")
    return Table(columns, rows, (False, False, False, True, True, False))


def provenance_table(instance: Instance) -> Table:
    """Where an instance comes from, as pairs."""
    rows = (("title", instance.title), ("family", instance.family), ("level", instance.level))
    return Table(("", "value"), (*rows, *instance.provenance.items()), (False, False))


def best_table(instance: Instance) -> Table:
    """The best that is known of an instance."""
    unit = instance.graph.cost_unit
    rows = []
    for best in Summary.of(instance).best:
        rows.append(
            (
                best["budget"],
                cost_text(best["cost"], unit),
                percent_text(best["overhead"]),
                f"{best['peak']} of {best['budget_bytes']}",
                cost_text(best["bound"], unit),
                _gap(best),
                *(f"{origin['by']}, {origin['date']}" for origin in (best["schedule"], best["bound_from"])),
            )
        )
    columns = (
        "budget",
        "cost",
        "overhead",
        "peak, bytes",
        "certified bound",
        "gap",
        "schedule by",
        "bound by",
    )
    return Table(columns, tuple(rows), (False, True, True, True, True, True, False, False))


def standing(summaries: Iterable[Summary], budget: str = "50%") -> Standing:
    """How many instances have a best schedule at a budget that is near its certified bound."""
    found = tuple(summaries)
    best = [best for each in found for best in each.best if best["budget"] == budget]
    return Standing(len(found), sum(each["gap"] <= NEAR for each in best), sum(each["optimal"] for each in best))


def leaderboard(summaries: Iterable[Summary]) -> str:
    """The best known of every instance and budget, a section for each family, in Markdown."""
    by_family: dict[str, list[Summary]] = {}
    for each in summaries:
        by_family.setdefault(each.family, []).append(each)
    ordered = sorted(by_family.items())
    links = " \u00b7 ".join(f"[{family}](#{family})" for family, _ in ordered)
    return "\n\n".join((links, *(f"### {family}\n\n{_family(rows)}" for family, rows in ordered)))


def _family(summaries: Iterable[Summary]) -> str:
    rows: list[tuple[str, ...]] = []
    for each in summaries:
        name = (f"`{each.name}`", f"{each.nodes:,}")
        if not each.best:
            rows.append((*name, *["-"] * 7))
        for best in each.best:
            rows.append(
                (
                    *(name if best is each.best[0] else ("", "")),
                    best["budget"],
                    f"{best['cost']:,}",
                    percent_text(best["overhead"]),
                    f"{best['bound']:,}",
                    _gap(best),
                    f"{best['schedule']['by']}, {best['schedule']['seconds']:g} s",
                    f"{best['bound_from']['by']}, {best['bound_from']['seconds']:g} s",
                )
            )
    columns = ("instance", "nodes", "budget", "cost", "overhead", "certified bound", "gap", "schedule", "bound")
    return Table(columns, tuple(rows), (False, True, True, True, True, True, True, False, False)).to_markdown()


def _gap(best: dict[str, object]) -> str:
    gap = best["gap"]
    assert isinstance(gap, float)
    return "optimal" if best["optimal"] else percent_text(gap)
