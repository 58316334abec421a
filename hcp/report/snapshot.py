"""A plan as a memory snapshot of PyTorch, which pytorch.org/memory_viz and ``torch.cuda._memory_viz`` show.

The file is what ``torch.cuda.memory._dump_snapshot`` writes, as its documentation specifies: what an allocator did, and
what it holds at the end. Sizes and their order are replay's. Addresses are made up, first fit in one segment that is as
large as that takes, so the segment may be larger than the peak; nothing is rounded. No PyTorch is needed.
"""

import os
import pickle
from bisect import bisect, insort
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from hcp.graph.files import write_atomically
from hcp.graph.ir import Graph
from hcp.graph.source import source_parts
from hcp.planning.plan import Plan
from hcp.report.steps import Taken, judged, steps_of
from hcp.schedule.actions import Compute
from hcp.schedule.lifetimes import lifetimes

# The viewer reads versions 2 to 4 of Python's format.
PROTOCOL: Final = 4
# As addresses on a device look; exact as a JavaScript number, like all behind it.
_START: Final = 2**46
_POOL: Final = (0, 0)
_GROWN: Final[list[dict[str, object]]] = [{"filename": "plan", "line": 0, "name": "room for all that it holds"}]
# The events' times are microseconds.
_MICRO: Final = 1000


def save_snapshot(plan: Plan, path: str | os.PathLike[str]) -> None:
    """Writes a plan's memory as a snapshot; the file is whole or not there.

    Raises:
        HcpError: If the plan has no schedule, or the file cannot be written there.
    """
    write_atomically(path, pickle.dumps(to_snapshot(plan), protocol=PROTOCOL))


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """Something that takes memory from one step to another.

    Attributes:
        size: Bytes.
        first: The step at whose start it is there.
        last: The step at whose end it goes; None where it stays.
        name: What it is.
        node: Whose it is; empty for what the graph is given.
    """

    size: int
    first: int
    last: int | None
    name: str
    node: str


def to_snapshot(plan: Plan) -> dict[str, Any]:
    """The snapshot: ``segments`` and ``device_traces``, of one device. A unit of cost is taken for a nanosecond.

    Raises:
        HcpError: If the plan has no schedule.
    """
    graph = plan.graph
    taken = steps_of(plan)
    begin: defaultdict[int, list[_Block]] = defaultdict(list)
    for block in _blocks(plan, taken):
        begin[block.first].append(block)
    recorder = _Recorder()
    ends: defaultdict[int, list[_Block]] = defaultdict(list)
    # The allocator's clock does not go back, as that of engines may.
    now = 0
    for step, each in enumerate(taken):
        now = max(now, each.start)
        for block in begin[step]:
            recorder.take(block, _frames(graph, block, each), now // _MICRO)
            if block.last is not None:
                ends[block.last].append(block)
        now = max(now, each.end)
        for block in ends[step]:
            recorder.give_back(block, now // _MICRO)
    return recorder.snapshot()


def _blocks(plan: Plan, taken: Sequence[Taken]) -> list[_Block]:
    """Instances of values, and workspaces, as far as they have bytes."""
    graph = plan.graph
    schedule, _ = judged(plan)
    sizes = graph.values
    blocks = [
        _Block(
            sizes[each.value].bytes,
            each.first,
            None if each.stays else each.last,
            each.value,
            graph.producer.get(each.value, ""),
        )
        for each in lifetimes(graph, schedule)
    ]
    for i, each in enumerate(taken):
        if isinstance(each.step, Compute):
            name = each.step.node
            blocks.append(_Block(graph.node[name].workspace, i, i, f"workspace of {name}", name))
    return [block for block in blocks if block.size]


def _frames(graph: Graph, block: _Block, taken: Taken) -> list[dict[str, object]]:
    """What takes the memory, innermost first: value and step, the operation, and the model's code."""
    if not block.node:
        return [{"filename": "input", "line": 0, "name": block.name}]
    node = graph.node[block.node]
    run = "" if taken.run < 2 else f", run {taken.run}"
    how = f"{node.name}{run}" if isinstance(taken.step, Compute) else "fetched"
    frames: list[dict[str, object]] = [
        {"filename": "step", "line": block.first, "name": f"{block.name} ({how})"},
        {"filename": "operation", "line": 0, "name": node.op or node.name},
    ]
    source = source_parts(node.source)
    if node.source:
        frames.append({"filename": source.file or "module", "line": source.line, "name": source.path or node.name})
    return frames


@dataclass
class _Recorder:
    """An allocator that notes what it does.

    Attributes:
        gaps: Free ranges below the highest address so far, as starts and ends, ascending.
        end: That address.
        live: Address and frames of each block that is there.
        events: What has happened.
    """

    gaps: list[tuple[int, int]] = field(default_factory=list)
    end: int = _START
    live: dict[_Block, tuple[int, list[dict[str, object]]]] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)

    def take(self, block: _Block, frames: list[dict[str, object]], time: int) -> None:
        address = self._place(block.size)
        self.live[block] = (address, frames)
        self._note("alloc", address, block.size, frames, time)

    def give_back(self, block: _Block, time: int) -> None:
        address, frames = self.live.pop(block)
        for action in ("free_requested", "free_completed"):
            self._note(action, address, block.size, frames, time)
        place = bisect(self.gaps, (address, 0))
        start, end = address, address + block.size
        if place < len(self.gaps) and self.gaps[place][0] == end:
            end = self.gaps.pop(place)[1]
        if place and self.gaps[place - 1][1] == start:
            start = self.gaps.pop(place - 1)[0]
        insort(self.gaps, (start, end))

    def snapshot(self) -> dict[str, Any]:
        size = self.end - _START
        if not size:
            return {"segments": [], "device_traces": [[]]}
        grown = {"action": "segment_alloc", "addr": _START, "size": size, "stream": 0, "time_us": 0, "frames": _GROWN}
        active = sum(block.size for block in self.live)
        segment = {
            "device": 0,
            "address": _START,
            "total_size": size,
            "stream": 0,
            "segment_type": "large",
            "segment_pool_id": _POOL,
            "is_expandable": False,
            "allocated_size": active,
            "active_size": active,
            "requested_size": active,
            "frames": _GROWN,
            "blocks": self._final(),
        }
        return {"segments": [segment], "device_traces": [[grown, *self.events]]}

    def _final(self) -> list[dict[str, Any]]:
        """All of the segment, block by block, with what is free."""
        held = [
            {"address": address, "size": block.size, "state": "active_allocated", "frames": frames}
            for block, (address, frames) in self.live.items()
        ]
        free = [{"address": start, "size": end - start, "state": "inactive", "frames": []} for start, end in self.gaps]
        blocks = sorted([*held, *free], key=lambda block: int(str(block["address"])))
        return [{**block, "requested_size": block["size"]} for block in blocks]

    def _place(self, size: int) -> int:
        """The first free range that is large enough, else room at the end."""
        for i, (start, end) in enumerate(self.gaps):
            if end - start >= size:
                self.gaps[i : i + 1] = [(start + size, end)] * (end - start > size)
                return start
        start = self.gaps.pop()[0] if self.gaps and self.gaps[-1][1] == self.end else self.end
        self.end = start + size
        return start

    def _note(self, action: str, address: int, size: int, frames: list[dict[str, object]], time: int) -> None:
        event = {"action": action, "addr": address, "size": size, "stream": 0, "time_us": time, "frames": frames}
        self.events.append(event)
