"""Is this schedule legal, and does it do what was asked? The answer comes from replay."""

from dataclasses import dataclass

from hcp.graph.ir import Graph
from hcp.schedule.actions import Schedule, ScheduleError
from hcp.schedule.host import HostLink
from hcp.schedule.replay import Usage, replay


@dataclass(frozen=True)
class Verdict:
    """The outcome of a validation.

    Attributes:
        usage: What the schedule costs; None where it is illegal.
        faults: What is wrong, one sentence each; empty where nothing is.
    """

    usage: Usage | None
    faults: tuple[str, ...]

    @property
    def valid(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults


def validate_plan(
    graph: Graph,
    schedule: Schedule,
    budget: int | None = None,
    order: tuple[str, ...] | None = None,
    host: HostLink | None = None,
) -> Verdict:
    """Judges a schedule.

    Args:
        graph: The computation.
        schedule: What to judge.
        budget: Where given, the peak must not exceed this many bytes.
        order: Where given, first executions must follow it.
        host: What transfers between device and host cost; without it none is legal.
    """
    try:
        usage = replay(graph, schedule, host)
    except ScheduleError as error:
        return Verdict(None, (str(error),))
    faults = []
    if budget is not None and usage.peak > budget:
        faults.append(
            f"the peak of {usage.peak} bytes, at step {usage.peak_step}, exceeds the budget of {budget} bytes; "
            "raise the budget or plan again"
        )
    if order is not None and not schedule.follows(order):
        faults.append("first executions do not follow the order that was given")
    return Verdict(usage, tuple(faults))
