"""Plans in files: ``hcp-plan/1``, which holds the graph and the certificates, so that anyone can check a plan again."""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from hcp.graph.errors import GraphError, HcpError
from hcp.graph.fields import Record, as_list, shown
from hcp.graph.files import read_json, write_atomically
from hcp.graph.format import graph_from_dict, graph_to_dict
from hcp.graph.ir import Graph
from hcp.planning.plan import EveryNodeOnce, Plan, refutation, refuted_bounds, replayed, with_shown_status
from hcp.planning.problem import Problem
from hcp.planning.solution import Bound, Solution, Status, TracePoint
from hcp.schedule.actions import Action, Compute, Fetch, Free, Offload, Schedule
from hcp.schedule.host import HostLink

SCHEMA: Final = "hcp-plan/1"
# Of a file that is read: plans of tens of thousands of nodes have less.
MOST_MEGABYTES: Final = 128

_ACTIONS: Final[Mapping[str, type[Action]]] = {
    "compute": Compute,
    "free": Free,
    "offload": Offload,
    "fetch": Fetch,
}


class PlanFileError(HcpError):
    """A plan file that is damaged, or whose claims replay does not confirm."""


def save_plan(plan: Plan, path: str | os.PathLike[str]) -> None:
    """Writes a judged plan; the file is whole or not there.

    Raises:
        HcpError: If the plan has no schedule, or the file cannot be written there.
    """
    if plan.schedule is None:
        raise HcpError(f"planner {plan.planner!r} found no schedule, so there is no plan to save; {plan.status.remedy}")
    graph = {"schema": SCHEMA, "graph_hash": plan.graph.fingerprint, "graph": graph_to_dict(plan.graph)}
    write_atomically(path, json.dumps(graph | outcome_to_dict(plan), separators=(",", ":")) + "\n")


def outcome_to_dict(plan: Plan) -> dict[str, object]:
    """What a plan says apart from its graph, ready for JSON; a plan without a schedule as well."""
    host, order = plan.problem.host, plan.problem.order
    return {
        "budget_bytes": plan.problem.budget,
        **({} if host is None else {"host": host.to_dict()}),
        **({} if order is None else {"order": list(order)}),
        "solver": plan.planner,
        "status": plan.status.name,
        "optimality": plan.optimality,
        "cost": plan.cost,
        "peak": plan.peak,
        "seconds": plan.seconds,
        "bounds": [
            {
                "of": bound.of,
                "value": bound.value,
                "scope": bound.scope,
                "source": bound.source,
                "certificate": None if bound.certificate is None else bound.certificate.to_dict(plan.graph),
            }
            for bound in plan.bounds
            # The judge adds this one by itself.
            if not isinstance(bound.certificate, EveryNodeOnce)
        ],
        "note": plan.note,
        "trace": [[point.seconds, point.incumbent, point.bound] for point in plan.trace],
        "actions": None
        if plan.schedule is None
        else [
            [kind, action.node if isinstance(action, Compute) else action.value]
            for action in plan.schedule.actions
            for kind, of in _ACTIONS.items()
            if isinstance(action, of)
        ],
    }


def load_plan(path: str | os.PathLike[str]) -> Plan:
    """The plan in a file, replayed: its cost and peak are the judge's, and must be what the file says.

    What cannot be true together is refused: a bound above the schedule's cost, INFEASIBLE with a schedule, OPTIMAL
    without a bound that says so. What certificates prove is checked by ``hcp.plans.verify``.

    Raises:
        GraphError: If the file is unreadable or not JSON.
        PlanFileError: If it is no plan, was changed, or its schedule does not do what it says.
    """
    return plan_in(read_plan_file(path), path)


def read_plan_file(path: str | os.PathLike[str]) -> object:
    """What a plan file holds, as JSON.

    Raises:
        GraphError: If the file is unreadable, not JSON, or larger than plans are.
    """
    with suppress(OSError):
        if Path(path).stat().st_size > MOST_MEGABYTES * 2**20:
            raise GraphError(f"plan file {os.fspath(path)!r} has more than {MOST_MEGABYTES} MiB; expected a plan")
    return read_json(path, "plan file", strict=True)


def plan_in(data: object, path: str | os.PathLike[str], *, unknown: bool = False) -> Plan:
    """The plan that a file holds, from what was read of it; see ``load_plan``.

    With ``unknown`` it may have certificates that this hcp cannot check; else they are refused.
    """
    try:
        return _plan(Record(data, "the plan"), unknown)
    except HcpError as error:
        raise PlanFileError(f"plan file {os.fspath(path)!r}: {error}") from None


def _plan(record: Record, unknown: bool) -> Plan:
    if record.get("schema") != SCHEMA:
        raise PlanFileError(f"the plan has schema {shown(record.get('schema'))}; expected {SCHEMA!r}")
    graph = graph_from_dict(record.get("graph"))
    if graph.fingerprint != record.text("graph_hash"):
        raise PlanFileError("the plan's graph does not match its graph_hash; the file was changed: plan again")
    record.items("actions")
    # Graphs elsewhere may do without.
    Record(record.get("graph"), "the plan's graph").items("order")
    return outcome_from_record(record, graph, unknown=unknown)


def outcome_from_record(record: Record, graph: Graph, *, unknown: bool = False) -> Plan:
    """The plan that ``outcome_to_dict`` wrote, its schedule replayed.

    Raises:
        HcpError: If replay does not confirm what it says.
    """
    budget, seconds = record.amount("budget_bytes"), record.get("seconds")
    status = record.text("status")
    if status not in Status.__members__:
        raise PlanFileError(f"the plan has status {status!r}; expected one of {', '.join(Status.__members__)}")
    link = record.get("host")
    host = None if link is None else HostLink.from_record(Record(link, "the plan's host"))
    order = tuple(record.texts("order")) if "order" in record else None
    solution = Solution(
        _schedule(record),
        Status[status],
        tuple(_bound(item, i, graph, unknown) for i, item in enumerate(record.items("bounds"))),
        record.text("solver", ""),
        float(seconds) if isinstance(seconds, int | float) else 0.0,
        tuple(_point(item, i) for i, item in enumerate(record.items("trace"))) if "trace" in record else (),
        record.text("note", ""),
    )
    plan = replayed(Problem(graph, budget, order, host=host), solution)
    _refuse_contradictions(plan, record)
    return with_shown_status(plan)


def _refuse_contradictions(plan: Plan, record: Record) -> None:
    """Raises an error where replay, the bounds and what the record says cannot be true together."""
    status = plan.status
    if plan.usage is None:
        if status is Status.OPTIMAL:
            raise PlanFileError("the plan claims to be OPTIMAL, but has no schedule; plan again")
        return
    for what, found in (("cost", plan.usage.makespan), ("peak", plan.usage.peak)):
        if record.amount(what) != found:
            raise PlanFileError(f"the plan claims {what} {record.amount(what)}, but replay gives {found}; plan again")
    budget = plan.problem.budget
    if plan.usage.peak > budget:
        raise PlanFileError(f"the plan's peak of {plan.usage.peak} bytes breaks its budget of {budget}; plan again")
    if plan.problem.order is not None and not plan.in_given_order:
        raise PlanFileError("the plan's schedule does not follow the order that the plan gives; plan again")
    for bound in refuted_bounds(plan):
        raise PlanFileError(f"the plan contradicts itself: {refutation(plan, bound)}; plan again")
    if status in (Status.INFEASIBLE, Status.NO_SOLUTION):
        raise PlanFileError(f"the plan claims to be {status.name}, but has a schedule within the budget; plan again")
    if status is Status.OPTIMAL and with_shown_status(plan).status is not status:
        raise PlanFileError(
            f"the plan claims to be OPTIMAL, but no bound of scope {' or '.join(plan.problem.scopes)} meets its cost "
            f"of {plan.cost}; plan again"
        )


def _schedule(record: Record) -> Schedule | None:
    if record.get("actions") is None:
        return None
    return Schedule(tuple(_action(item, i) for i, item in enumerate(record.items("actions"))))


def _action(item: object, position: int) -> Action:
    pair = as_list(item, f"entry {position} of the actions", "content")
    match pair:
        case [str(kind), str(name)] if kind in _ACTIONS:
            return _ACTIONS[kind](name)
    raise PlanFileError(
        f"entry {position} of the actions is {shown(item)}; expected ['compute', node], or a value with one of "
        + ", ".join(repr(kind) for kind in _ACTIONS if kind != "compute")
    )


def _point(item: object, position: int) -> TracePoint:
    match item:
        case [int() | float() as seconds, int() | None as incumbent, int() | None as bound]:
            return TracePoint(float(seconds), incumbent, bound)
    raise PlanFileError(
        f"entry {position} of the trace is {shown(item)}; expected [seconds, incumbent or null, bound or null]"
    )


def _bound(item: object, position: int, graph: Graph, unknown: bool) -> Bound:
    from hcp.solvers.certificates.file import read_certificate, read_or_keep

    record = Record(item, f"entry {position} of the bounds")
    value, scope, source = record.amount("value"), record.text("scope"), record.text("source", "")
    data = record.get("certificate")
    match record.text("of"):
        case "cost" | "peak" as of:
            owner = f"the certificate of bound {position}"
            if data is None:
                return Bound(value, of, scope, None, source)
            read = read_or_keep(data, owner, graph, of) if unknown else read_certificate(data, owner, graph)
            return Bound(value, of, scope, read, source)
        case other:
            raise PlanFileError(f"entry {position} of the bounds is of {other!r}; expected 'cost' or 'peak'")
