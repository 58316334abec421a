"""The judge: replays a schedule action by action, and alone decides its cost and peak."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from hcp.graph.ir import Graph
from hcp.schedule.actions import Compute, Free, Schedule, ScheduleError


@dataclass(frozen=True)
class Usage:
    """What a schedule costs.

    Attributes:
        cost: Sum of the costs of all executions, in the graph's cost unit.
        peak: Most bytes held at any time.
        profile: Bytes held while each execution runs: live values, its outputs and its workspace.
        peak_step: Index in ``profile`` of the first execution that reaches the peak.
        recomputed: Extra executions of each node that runs more than once.
        final: Bytes held after the last action.
    """

    cost: int
    peak: int
    profile: tuple[int, ...]
    peak_step: int
    recomputed: Mapping[str, int]
    final: int


def replay(graph: Graph, schedule: Schedule) -> Usage:
    """Replays a schedule.

    The graph's inputs are live throughout. A node that runs needs every input live; while it runs, memory is the live
    values plus all its outputs, created afresh, plus its workspace. A fresh instance takes the place of a live one
    when the node has run; of a resident value the first instance stays and a fresh one goes.

    Raises:
        ScheduleError: Where an action is illegal or a node never runs; names the step and the culprit.
    """
    live = {value.name for value in graph.inputs}
    held = sum(value.bytes for value in graph.inputs)
    runs: Counter[str] = Counter()
    profile: list[int] = []
    cost = 0
    for step, action in enumerate(schedule.actions):
        if isinstance(action, Compute):
            node = graph.node.get(action.node)
            if node is None:
                raise ScheduleError(f"step {step} computes unknown node {action.node!r}")
            if runs[node.name] and not node.recomputable:
                raise ScheduleError(f"step {step} runs node {node.name!r} again, which must run once")
            missing = next((name for name in node.inputs if name not in live), None)
            if missing is not None:
                raise ScheduleError(
                    f"step {step} runs node {node.name!r} while its input {missing!r} is not live; "
                    f"compute {graph.producer[missing]!r} before it"
                )
            runs[node.name] += 1
            cost += node.cost
            profile.append(held + node.workspace + sum(value.bytes for value in node.outputs))
            for value in node.outputs:
                if value.name not in live:
                    live.add(value.name)
                    held += value.bytes
        else:
            _check_free(graph, live, step, action)
            live.discard(action.value)
            held -= graph.values[action.value].bytes
    never = next((node.name for node in graph.nodes if not runs[node.name]), None)
    if never is not None:
        raise ScheduleError(f"the schedule never runs node {never!r}; every node has to run once")
    peak = max(profile)
    return Usage(
        cost=cost,
        peak=peak,
        profile=tuple(profile),
        peak_step=profile.index(peak),
        recomputed={name: count - 1 for name, count in runs.items() if count > 1},
        final=held,
    )


def _check_free(graph: Graph, live: set[str], step: int, action: Free) -> None:
    value = graph.values.get(action.value)
    if value is None:
        raise ScheduleError(f"step {step} frees unknown value {action.value!r}")
    if value.resident:
        raise ScheduleError(f"step {step} frees value {value.name!r}, which is resident and stays to the end")
    if value.name not in live:
        raise ScheduleError(f"step {step} frees value {value.name!r}, which is not live")
