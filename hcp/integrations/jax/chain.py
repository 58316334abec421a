"""A scan as a chain: its graph, and from a schedule to the table that a loop can run.

The chain's values are the carries c_0 ... c_n and their cotangents. A forward step reads c_i and makes c_{i+1}; a
backward step reads c_i and the cotangent of c_{i+1}, and runs the step itself once more inside. With equal steps that
is the problem of Griewank & Walther (Algorithm 799, Revolve): the fewest forward steps for a number of carries to hold.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hcp.graph.ir import Graph, Node, Value
from hcp.schedule.actions import Compute, Free, Schedule

BOUNDARY: Final = "boundary"

IntTable = NDArray[np.int32]


@dataclass(frozen=True)
class StepSizes:
    """One step of a scan in bytes and nanoseconds; the carry's cotangent is smaller where parts have none."""

    carry: int
    cotangent: int
    forward_cost: int
    backward_cost: int
    forward_workspace: int = 0
    backward_workspace: int = 0


def chain_graph(length: int, sizes: StepSizes, name: str) -> Graph:
    """The graph of a scan and its way back. What the scan reads, stacks and accumulates is no part of it."""
    forward = [
        Node(
            f"forward_{i}",
            "step",
            (_carry(i),),
            (Value(_carry(i + 1), sizes.carry, *(("output", True) if i + 1 == length else ())),),
            sizes.forward_cost,
            sizes.forward_workspace,
        )
        for i in range(length)
    ]
    boundary = Node(
        BOUNDARY,
        "boundary",
        (_carry(length),),
        (Value(_cotangent(length), sizes.cotangent, "gradient"),),
        recomputable=False,
    )
    backward = [
        Node(
            f"backward_{i}",
            "step's transpose",
            (_carry(i), _cotangent(i + 1)),
            (Value(_cotangent(i), sizes.cotangent, "gradient", resident=i == 0),),
            sizes.backward_cost,
            sizes.backward_workspace,
        )
        for i in reversed(range(length))
    ]
    start = Value(_carry(0), sizes.carry, "input")
    return Graph((*forward, boundary, *backward), (start,), name=name, cost_unit="ns")


@dataclass(frozen=True)
class Table:
    """A schedule of a chain for a machine that holds carries in numbered slots.

    Attributes:
        slots: How many there are; the first carry is in slot 0.
        way_out: For each step of the way out, the slot that its output is written to; the slots of outputs that are
            not held are written to again.
        again: Forward steps of the way back: rows of (step, slot read, slot written).
        way_back: For each backward step: (step, slot read, first and end of the rows of ``again`` before it).
    """

    slots: int
    way_out: IntTable
    again: IntTable
    way_back: IntTable

    @property
    def forward_steps(self) -> int:
        """All forward steps, those inside of backward steps not counted."""
        return len(self.way_out) + len(self.again)


def table(length: int, schedule: Schedule) -> Table:
    """Gives every carry that is held a slot, and lists the steps."""
    return _Tabulator(length).run(schedule)


class _Tabulator:
    def __init__(self, length: int) -> None:
        self.length = length
        self.slot_of = {0: 0}
        self.used = 1
        self.free: list[int] = []

    def run(self, schedule: Schedule) -> Table:
        again: list[tuple[int, int, int]] = []
        back: list[tuple[int, int, int, int]] = []
        way_out: list[tuple[int]] = []
        for action in schedule.actions:
            match action:
                case Compute(node) if node == BOUNDARY:
                    # One sweep leaves behind what is held now, whatever was computed twice until here.
                    spare = self.slot_of[self.length]
                    way_out = [(self.slot_of.get(i + 1, spare),) for i in range(self.length)]
                    # The last carry has gone to the loss; nobody on the way back reads it.
                    self.drop(self.length)
                    again.clear()
                case Compute(node) if node.startswith("forward"):
                    i = int(node.rpartition("_")[2])
                    again.append((i, self.slot_of[i], self.take(i + 1)))
                case Compute(node):
                    i = int(node.rpartition("_")[2])
                    begin = back[-1][3] if back else 0
                    back.append((i, self.slot_of[i], begin, len(again)))
                case Free(value) if value.startswith("carry"):
                    self.drop(int(value.rpartition("_")[2]))
        return Table(self.used, _array(way_out, 1)[:, 0], _array(again, 3), _array(back, 4))

    def take(self, carry: int) -> int:
        """A slot to write a carry to; its old one where it is still held."""
        if carry not in self.slot_of:
            if not self.free:
                self.free.append(self.used)
                self.used += 1
            self.slot_of[carry] = self.free.pop()
        return self.slot_of[carry]

    def drop(self, carry: int) -> None:
        if carry in self.slot_of:
            self.free.append(self.slot_of.pop(carry))


def _array(rows: Sequence[tuple[int, ...]], width: int) -> IntTable:
    return np.array(rows, np.int32).reshape(len(rows), width)


def _carry(i: int) -> str:
    return f"carry_{i}"


def _cotangent(i: int) -> str:
    return f"cotangent_{i}"
