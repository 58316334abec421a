"""The steps of a plan as reports tell of them: which run of which node, and when."""

from collections import Counter
from typing import NamedTuple

from hcp.graph.errors import HcpError
from hcp.planning.plan import Plan
from hcp.schedule.actions import Compute, Free, Schedule, Step
from hcp.schedule.replay import Usage


class Taken(NamedTuple):
    """A step of a plan.

    Attributes:
        step: The execution or transfer.
        run: Which run of its node it is, from 1; 0 for a transfer.
        start: When it starts, in the graph's cost unit.
        end: When it ends. The difference is what it costs.
    """

    step: Step
    run: int
    start: int
    end: int


def steps_of(plan: Plan) -> list[Taken]:
    """The steps of a plan in order, with replay's times; one after the other where nothing runs beside the computation.

    Raises:
        HcpError: If the plan has no schedule.
    """
    schedule, usage = judged(plan)
    if usage.spans:
        pairs = zip(usage.spans, schedule.actions, strict=True)
        spans = [span for span, action in pairs if not isinstance(action, Free)]
    else:
        now, spans = 0, []
        for name in schedule.computes:
            spans.append((now, now + plan.graph.node[name].cost))
            now = spans[-1][1]
    runs: Counter[str] = Counter()
    taken = []
    for step, (start, end) in zip(schedule.steps, spans, strict=True):
        if isinstance(step, Compute):
            runs[step.node] += 1
        taken.append(Taken(step, runs[step.node] if isinstance(step, Compute) else 0, start, end))
    return taken


def judged(plan: Plan) -> tuple[Schedule, Usage]:
    """A plan's schedule, and what replay finds of it.

    Raises:
        HcpError: If it has none.
    """
    if plan.schedule is None or plan.usage is None:
        raise HcpError(f"planner {plan.planner!r} found no schedule, so there is nothing to draw; {plan.status.remedy}")
    return plan.schedule, plan.usage
