"""An instance and the best that is known of it, as ``hcp-instance/1`` holds them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hcp.graph.errors import HcpError
from hcp.graph.fields import Record
from hcp.graph.format import graph_from_dict, graph_to_dict
from hcp.graph.ir import Graph
from hcp.planning.plan import Plan, excess
from hcp.planning.solution import Bound
from hcp.plans.file import outcome_from_record, outcome_to_dict
from hcp.schedule.budget import BudgetError, is_share, parse_budget
from hcp.schedule.scopes import ORDER_FREE

SCHEMA: Final = "hcp-instance/1"


@dataclass(frozen=True)
class Origin:
    """Where a schedule or a bound comes from.

    Attributes:
        by: A person or program, for people.
        date: When it was handed in, as in 2026-11-30.
        seconds: What its search took, as it says itself.
    """

    by: str
    date: str
    seconds: float

    def to_dict(self) -> dict[str, object]:
        """The origin, ready for JSON."""
        return {"by": self.by, "date": self.date, "seconds": round(self.seconds, 1)}

    @classmethod
    def from_record(cls, record: Record) -> "Origin":
        """The origin that a file holds."""
        seconds = record.get("seconds")
        return cls(record.text("by"), record.text("date"), float(seconds) if isinstance(seconds, int | float) else 0.0)


@dataclass(frozen=True)
class Best:
    """The best that is known of an instance within one budget.

    Attributes:
        budget: As it is written: a share of the keep-everything peak, such as ``"50%"``.
        plan: The cheapest schedule, replayed, with the best certified bound.
        schedule: Where the schedule comes from.
        bound: Where the bound comes from.
    """

    budget: str
    plan: Plan
    schedule: Origin
    bound: Origin

    @property
    def cost(self) -> int:
        """Of the schedule."""
        assert self.plan.cost is not None
        return self.plan.cost

    @property
    def certified(self) -> Bound:
        """The largest order-free bound on the cost of those that come with a certificate."""
        proved = [bound for bound in self.plan.bounds if is_order_free_proof(bound)]
        return max(proved, key=lambda bound: bound.value)

    @property
    def gap(self) -> float:
        """The cost over the certified bound, minus 1."""
        return excess(self.cost, self.certified.value)

    def to_dict(self) -> dict[str, object]:
        """What the file says of this budget."""
        return {
            "budget": self.budget,
            "schedule": self.schedule.to_dict(),
            "bound": self.bound.to_dict(),
            "plan": outcome_to_dict(self.plan),
        }

    @classmethod
    def from_record(cls, record: Record, graph: Graph) -> "Best":
        """What a file says of one budget, its schedule replayed.

        Raises:
            HcpError: If replay does not confirm it.
        """
        found = cls(
            record.text("budget"),
            outcome_from_record(Record(record.get("plan"), "the plan"), graph),
            Origin.from_record(Record(record.get("schedule"), "the schedule's origin")),
            Origin.from_record(Record(record.get("bound"), "the bound's origin")),
        )
        if share_of(found.budget) != found.budget or parse_budget(found.budget, graph) != found.plan.problem.budget:
            raise HcpError(
                f"the plan for {found.budget!r} has a budget of {found.plan.problem.budget} bytes, which is not that "
                "share; the file was changed"
            )
        if found.plan.schedule is None:
            raise HcpError(f"the plan for {found.budget} has no schedule; the file was changed")
        return found


@dataclass(frozen=True)
class Instance:
    """A graph of the library.

    Attributes:
        name: In the library; it stays.
        graph: The computation.
        family: What models it belongs to.
        level: Where it was captured: ``"aten"`` (PyTorch's operations), ``"inductor"``, ``"jaxpr"`` or ``"generated"``.
        training: Whether it has a backward pass.
        title: What it is.
        provenance: How it was made: the command, versions of packages, shapes, what costs are, the licence.
        best: By budget, the largest first.
    """

    name: str
    graph: Graph
    family: str
    level: str
    training: bool
    title: str
    provenance: Mapping[str, str]
    best: tuple[Best, ...] = ()

    def best_at(self, budget: str) -> Best:
        """What is known of a budget.

        Raises:
            HcpError: If nothing is; lists the budgets.
        """
        found = next((best for best in self.best if best.budget == budget), None)
        if found is None:
            known = ", ".join(best.budget for best in self.best) or "none"
            raise HcpError(f"instance {self.name!r} has no budget {budget!r}; there are {known}")
        return found

    def to_dict(self) -> dict[str, object]:
        """What the file holds."""
        return {
            "schema": SCHEMA,
            "name": self.name,
            "family": self.family,
            "level": self.level,
            "training": self.training,
            "title": self.title,
            "provenance": dict(self.provenance),
            "graph_hash": self.graph.fingerprint,
            "graph": graph_to_dict(self.graph),
            "best": [best.to_dict() for best in self.best],
        }

    @classmethod
    def from_dict(cls, data: object) -> "Instance":
        """The instance that a file holds; schedules are replayed, certificates not yet checked.

        Raises:
            HcpError: If it is none, or replay does not confirm what it says.
        """
        record = Record(data, "the instance")
        if record.get("schema") != SCHEMA:
            raise HcpError(f"the instance has schema {record.get('schema')!r}; expected {SCHEMA!r}")
        graph = graph_from_dict(record.get("graph"))
        if graph.fingerprint != record.text("graph_hash"):
            raise HcpError("the instance's graph does not match its graph_hash; the file was changed")
        provenance = record.get("provenance")
        if not isinstance(provenance, dict):
            raise HcpError("the instance's provenance is no object; expected texts by name")
        best = tuple(Best.from_record(Record(item, "a budget's best"), graph) for item in record.items("best"))
        if len({each.budget for each in best}) < len(best):
            raise HcpError("the instance has a budget twice; the file was changed")
        return cls(
            record.text("name"),
            graph,
            record.text("family"),
            record.text("level"),
            record.get("training") is True,
            record.text("title"),
            {str(key): str(value) for key, value in provenance.items()},
            best,
        )


def share_of(budget: str) -> str:
    """A share as the library writes it: ``"50%"`` for ``" 50.0 %"``.

    Raises:
        BudgetError: If it is no percentage.
    """
    if not is_share(budget):
        raise BudgetError(f"budget {budget!r} is no share of the keep-everything peak; give one, such as '50%'")
    # Checks what is before the sign.
    parse_budget(budget, None, 100 * 2**20)
    return f"{float(budget.replace('%', '').strip()):g}%"


def is_order_free_proof(bound: Bound) -> bool:
    """Whether a bound speaks of the cost of every schedule and comes with a certificate, which may yet be wrong."""
    return bound.of == "cost" and bound.scope == ORDER_FREE and bound.certificate is not None
