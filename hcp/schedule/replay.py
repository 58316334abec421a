"""The judge: replays a schedule action by action, and alone decides its cost and peak."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from hcp.graph.cancellation import TICK_EVERY, tick
from hcp.graph.ir import Graph, Value
from hcp.schedule.actions import Compute, Fetch, Free, Offload, Schedule, ScheduleError, keep_everything
from hcp.schedule.host import HostLink
from hcp.schedule.transfers import HostCopies

Moving = Free | Offload | Fetch
_VERBS: Final = {Free: "frees", Offload: "offloads", Fetch: "fetches"}


@dataclass(frozen=True)
class Usage:
    """What a schedule costs.

    Attributes:
        cost: Sum of the costs of all executions and transfers, in the graph's cost unit: the work.
        peak: Most bytes held at any time.
        profile: Bytes held during each of ``Schedule.steps``: live values, and what the step makes or needs.
        peak_step: Index in ``profile`` of the first step that reaches the peak.
        recomputed: Extra executions of each node that runs more than once.
        final: Bytes held after the last action.
        host_peak: Most bytes of copies that the host holds at any time.
        transferred: Bytes moved between device and host, both ways together.
        transfer_cost: The part of ``cost`` that transfers make up.
        makespan: When all is done, in the graph's cost unit: the cost, unless copies overlap the computation, or nodes
            run beside it; see ``engines``.
        waited: How much of that the computation waits for fetches, for offloads of what is to be freed, and for engines
            that nodes run on, by name.
        spans: When each action starts and ends; empty without a host or engines.
    """

    cost: int
    peak: int
    profile: tuple[int, ...]
    peak_step: int
    recomputed: Mapping[str, int]
    final: int
    host_peak: int = 0
    transferred: int = 0
    transfer_cost: int = 0
    makespan: int = 0
    waited: Mapping[str, int] = field(default_factory=dict)
    spans: tuple[tuple[int, int], ...] = ()


# Long on purpose: the only judge is read in one piece.
def replay(graph: Graph, schedule: Schedule, host: HostLink | None = None) -> Usage:
    """Replays a schedule.

    The graph's inputs are live throughout. A node that runs needs every input live; while it runs, memory is the live
    values plus all its outputs, created afresh, plus its workspace. A fresh instance takes the place of a live one
    when the node has run; of a resident value the first instance stays and a fresh one goes.

    An offload copies a live value to the host. A fetch makes an instance of a value of which the host has a copy and
    no instance is live, and adds its bytes. The cost is that of all executions and transfers; where the host's copies
    overlap the computation, or nodes have engines, the makespan is shorter, and needs no more memory.

    Args:
        graph: The computation.
        schedule: What happens.
        host: What transfers cost and how much the host holds; without it none is legal.

    Raises:
        ScheduleError: Where an action is illegal or a node never runs; names the step and what is wrong.
    """
    nodes, values = graph.node, graph.values
    live = {value.name for value in graph.inputs}
    held = sum(value.bytes for value in graph.inputs)
    runs: dict[str, int] = {}
    profile: list[int] = []
    cost = 0
    copies = HostCopies.of(schedule, host, graph.engines)
    engines = copies.engines
    for step, action in enumerate(schedule.actions):
        if step % TICK_EVERY == 0:
            tick()
        if isinstance(action, Compute):
            node = nodes.get(action.node)
            if node is None:
                raise ScheduleError(f"step {step} computes unknown node {action.node!r}")
            if node.name in runs and not node.recomputable:
                raise ScheduleError(f"step {step} runs node {node.name!r} again, which must run once")
            for name in node.inputs:
                if name not in live:
                    raise ScheduleError(
                        f"step {step} runs node {node.name!r} while its input {name!r} is not live; "
                        f"compute {graph.producer[name]!r} before it"
                    )
            runs[node.name] = runs.get(node.name, 0) + 1
            cost += node.cost
            copies.compute(node)
            needed = held + node.workspace
            for value in node.outputs:
                needed += value.bytes
                if value.name not in live:
                    live.add(value.name)
                    held += value.bytes
            profile.append(needed)
        else:
            held += _moved(values, live, copies, step, action)
            if not isinstance(action, Free):
                profile.append(held)
    never = next((node.name for node in graph.nodes if node.name not in runs), None)
    if never is not None:
        raise ScheduleError(f"the schedule never runs node {never!r}; every node has to run once")
    peak = max(profile)
    return Usage(
        cost=cost + copies.cost,
        peak=peak,
        profile=tuple(profile),
        peak_step=profile.index(peak),
        recomputed={name: count - 1 for name, count in runs.items() if count > 1},
        final=held,
        host_peak=copies.peak,
        transferred=copies.moved,
        transfer_cost=copies.cost,
        makespan=cost if engines is None else engines.makespan,
        waited={} if engines is None else engines.waited,
        spans=() if engines is None else tuple(engines.spans),
    )


@lru_cache(maxsize=8)
def keep_everything_usage(graph: Graph) -> Usage:
    """The keep-everything figures of the graph's own order."""
    return replay(graph, keep_everything(graph))


def _moved(values: Mapping[str, Value], live: set[str], copies: HostCopies, step: int, action: Moving) -> int:
    """Takes an action that computes nothing; returns the bytes that live values grow by."""
    value = values.get(action.value)
    if value is None:
        raise ScheduleError(f"step {step} {_VERBS[type(action)]} unknown value {action.value!r}")
    if value.resident:
        raise ScheduleError(
            f"step {step} {_VERBS[type(action)]} value {value.name!r}, which is resident and stays to the end"
        )
    if isinstance(action, Fetch):
        if value.name in live:
            raise ScheduleError(f"step {step} fetches value {value.name!r}, which is live; free it before")
        copies.fetch(step, value)
        live.add(value.name)
        return value.bytes
    if value.name not in live:
        raise ScheduleError(f"step {step} {_VERBS[type(action)]} value {value.name!r}, which is not live")
    if isinstance(action, Offload):
        copies.offload(step, value)
        return 0
    live.discard(value.name)
    copies.free(value)
    return -value.bytes
