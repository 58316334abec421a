"""A plan as a trace that Perfetto (ui.perfetto.dev) and chrome://tracing open, before anything has run.

The format is the JSON object format of Chromium's "Trace Event Format": complete events (``"ph": "X"``) on a track for
the computation and one for each engine, counters (``"C"``) of memory, and metadata (``"M"``) with the tracks' names.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any, Final

from hcp.graph.files import write_atomically
from hcp.graph.ir import Graph
from hcp.planning.plan import Plan
from hcp.report.steps import Taken, judged, steps_of
from hcp.schedule.actions import Compute, Offload, Schedule, Step
from hcp.schedule.engines import FETCHES, OFFLOADS
from hcp.schedule.lifetimes import Return, lifetimes, returns

_COMPUTATION: Final = "computation"
# The format's times are microseconds.
_MICRO: Final = 1000
_PROCESS: Final = 1
# Values that a slice names as reasons; more are counted.
_NAMED: Final = 8


def save_trace(plan: Plan, path: str | os.PathLike[str]) -> None:
    """Writes the trace of a plan; the file is whole or not there.

    Raises:
        HcpError: If the plan has no schedule, or the file cannot be written there.
    """
    write_atomically(path, json.dumps(to_trace(plan), separators=(",", ":")) + "\n")


def to_trace(plan: Plan) -> dict[str, Any]:
    """The trace as an object for JSON. A unit of cost is shown as a nanosecond, which it is in most graphs.

    Raises:
        HcpError: If the plan has no schedule.
    """
    graph = plan.graph
    schedule, usage = judged(plan)
    taken = steps_of(plan)
    # Copies have tracks of their own, also where they wait their turn.
    moving = (OFFLOADS, FETCHES) if schedule.transfers else ()
    tracks = {name: i for i, name in enumerate((_COMPUTATION, *moving, *graph.engines), start=1)}
    why = returns(graph, lifetimes(graph, schedule), usage.profile)
    slices = (
        {
            **_what(each),
            "ph": "X",
            "ts": each.start / _MICRO,
            "dur": (each.end - each.start) / _MICRO,
            "pid": _PROCESS,
            "tid": tracks[_track(graph, each.step)],
            "args": _arguments(graph, i, each, usage.profile[i])
            | _reasons(schedule, why.get(i, ()), again=each.run > 1),
        }
        for i, each in enumerate(taken)
    )
    unit = graph.cost_unit
    return {
        "traceEvents": [
            *_metadata(f"{graph.name}: plan of {plan.planner}", tracks),
            *slices,
            *_memory(taken, (*usage.profile, usage.final), plan),
        ],
        "displayTimeUnit": "ns",
        "otherData": {
            "graph": graph.name,
            "planner": plan.planner,
            "budget_bytes": plan.problem.budget,
            "peak_bytes": usage.peak,
            "cost": usage.makespan,
            "time": "as planned, in nanoseconds" if unit == "ns" else f"1 ns stands for a cost of 1 ({unit})",
        },
    }


def _what(taken: Taken) -> dict[str, str]:
    """Name and category of a slice."""
    step = taken.step
    if isinstance(step, Compute):
        again = taken.run > 1
        return {"name": f"{step.node} (again)" if again else step.node, "cat": "recompute" if again else "compute"}
    kind = "offload" if isinstance(step, Offload) else "fetch"
    return {"name": f"{kind} {step.value}", "cat": kind}


def _track(graph: Graph, step: Step) -> str:
    if isinstance(step, Compute):
        return graph.node[step.node].engine or _COMPUTATION
    return OFFLOADS if isinstance(step, Offload) else FETCHES


def _arguments(graph: Graph, place: int, taken: Taken, held: int) -> dict[str, Any]:
    found: dict[str, Any] = {"step": place, "held_bytes": held, "cost": taken.end - taken.start}
    if isinstance(taken.step, Compute):
        node = graph.node[taken.step.node]
        found |= {"op": node.op, "run": taken.run, "output_bytes": sum(value.bytes for value in node.outputs)}
        found |= {"source": node.source} if node.source else {}
    else:
        found |= {"bytes": graph.values[taken.step.value].bytes}
    return found


def _reasons(schedule: Schedule, why: Sequence[Return], *, again: bool) -> dict[str, list[str]]:
    if not why:
        return {"because": ["nothing reads what this run makes"]} if again else {}
    texts = []
    for each in why[:_NAMED]:
        reader = schedule.steps[each.needed]
        who = reader.node if isinstance(reader, Compute) else f"offload of {reader.value}"
        was = "was live" if each.dropped is None else f"was freed after step {each.dropped}"
        texts.append(f"{each.value} {was}; step {each.needed} ({who}) reads it")
    return {"because": texts + [f"and {len(why) - _NAMED} more"] * (len(why) > _NAMED)}


def _metadata(name: str, tracks: Mapping[str, int]) -> Iterator[dict[str, Any]]:
    yield {"name": "process_name", "ph": "M", "pid": _PROCESS, "args": {"name": name}}
    for track, number in tracks.items():
        yield {"name": "thread_name", "ph": "M", "pid": _PROCESS, "tid": number, "args": {"name": track}}
        yield {
            "name": "thread_sort_index",
            "ph": "M",
            "pid": _PROCESS,
            "tid": number,
            "args": {"sort_index": number},
        }


def _memory(taken: Sequence[Taken], held: Sequence[int], plan: Plan) -> Iterator[dict[str, Any]]:
    """Counters: what replay counts for each step, from its start on, and the budget.

    Replay counts memory in the order of the steps. What starts later than a step behind it, as copies may, counts from
    the start of that one on: no sooner does it take memory, and the counter shows at least what is held.
    """
    end = max(each.end for each in taken)
    starts = list(accumulate((each.start for each in reversed(taken)), min))[::-1]
    counter = {"ph": "C", "pid": _PROCESS}
    for start, amount in zip((*starts, end), held, strict=True):
        yield {"name": "memory", "ts": start / _MICRO, "args": {"held_bytes": amount}, **counter}
    for time in (0, end):
        yield {"name": "budget", "ts": time / _MICRO, "args": {"bytes": plan.problem.budget}, **counter}
