"""What is known of a training that has not begun: what it takes, and whether a device has it."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from hcp.feasibility import floor_proof
from hcp.graph.ir import Graph
from hcp.integrations.devices import ALLOCATION_BYTES, DEVICES, Device
from hcp.integrations.torch.ahead.amounts import reserve_bytes, total_bytes
from hcp.integrations.torch.ahead.optimizers import OptimizerMemory
from hcp.integrations.torch.errors import TorchError
from hcp.integrations.torch.lower import gradient_bytes
from hcp.planning.plan import Plan
from hcp.planning.solution import Bound
from hcp.report.units import bytes_text, percent_text
from hcp.schedule.replay import keep_everything_usage

# Larger batches are not looked for.
MOST_BATCH: Final = 2**16


@dataclass(frozen=True, kw_only=True)
class Fit:
    """What ``fit`` tells; amounts are bytes on one device.

    Attributes:
        name: The module's class.
        device: Where it is to train.
        total: Most that it may take in all.
        reserve: Of that, for what is not counted.
        ranks: Devices that share parameters, gradients and the optimizer's state.
        batch: The batch size; None where the inputs do not depend on one.
        parameters: Of the module.
        buffers: Of the module.
        optimizer: What the optimizer takes.
        inputs: Of the step.
        graph: The step; its memory is what it takes besides all that, gradients included.
        floor: No schedule of the step takes less; with its certificate.
        smallest: The schedule with the smallest peak that was found.
        counted: The same without what hooks are estimated to take for a while; the floor is its.
        kernels: Calls of library kernels, whose workspace is not counted, by operation.
        plan: The plan for what the device has left; None where there is none, or none was found.
        smallest_device: The device with the least memory in which it is known to fit; None for none in the table.
        batches: The largest batches that fit: kept whole, and (within two percent) for which a plan was found; None
            where no other batch can be made.
    """

    name: str
    device: Device
    total: int
    reserve: int
    ranks: int
    batch: int | None
    parameters: int
    buffers: int
    optimizer: OptimizerMemory
    inputs: int
    graph: Graph
    floor: Bound
    smallest: Plan
    counted: Graph
    kernels: dict[str, int] = field(default_factory=dict)
    plan: Plan | None = None
    smallest_device: str | None = None
    batches: tuple[int, int] | None = None

    @staticmethod
    def room(device: Device, total: int | str | None, reserve: int | str) -> tuple[int, int]:
        """What a training may take in all, and what of that is reserved.

        Raises:
            HcpError: If either is not understood, or nothing is left.
        """
        amount = device.memory if total is None else total_bytes(total)
        kept = reserve_bytes(reserve, amount)
        if kept >= amount:
            raise TorchError(f"reserve {reserve!r} leaves nothing of {amount:,} bytes; give less, such as '5%'")
        return amount, kept

    @property
    def held(self) -> int:
        """What is there before a step begins."""
        return self.parameters + self.buffers + self.optimizer.state + self.inputs

    @property
    def left(self) -> int:
        """What a step may take besides; below zero where there is not even room for what it begins with."""
        return self.total - self.reserve - self.held

    @cached_property
    def gradients(self) -> int:
        """What the backward leaves behind for the optimizer."""
        return gradient_bytes(self.graph)

    @cached_property
    def kept(self) -> int:
        """Peak of a step without recomputation."""
        return keep_everything_usage(self.graph).peak

    @property
    def update(self) -> int:
        """What there is while the optimizer steps, the reserve apart."""
        return self.held + self.gradients + self.optimizer.workspace

    @property
    def update_fits(self) -> bool:
        """Whether the optimizer's step fits, what it takes for a while included, which is an estimate."""
        return self.update <= self.total - self.reserve

    @property
    def fits(self) -> bool:
        """Whether training fits, with the plan."""
        return self.plan is not None and self.update_fits

    @property
    def refuted(self) -> bool:
        """Whether it is proved not to fit: what is there before a step, and the bound on the step, are too much."""
        return self.floor.value > self.left

    def fits_in(self, device: Device) -> bool:
        """Whether it is known to fit another device, with the same share of its memory in reserve."""
        room = device.memory - device.memory * self.reserve // self.total - self.held
        peak = self.smallest.peak
        return peak is not None and max(peak, self.gradients + self.optimizer.workspace) <= room

    @property
    def verdict(self) -> str:
        """Whether it fits and why not, in one line."""
        if self.fits:
            assert self.plan is not None
            return f"fits, with {percent_text(self.plan.overhead)} more work"
        named = self.smallest_device
        other = "no device of the table is known to hold it" if named is None else f"{named} is the smallest that does"
        if self.refuted:
            return f"does not fit, which is proved; {other}"
        if self.plan is not None:
            return (
                "a step fits, but the optimizer's is estimated not to (fused=True, or foreach=False, takes less at a "
                f"time); {other}"
            )
        return f"no plan was found that fits, and none was proved not to be; more time may find one; {other}"

    @property
    def proof(self) -> str:
        """Why it cannot fit, in words; empty where that is not proved."""
        if not self.refuted:
            return ""
        rest = f"leaves {self.left:,} for a step" if self.left >= 0 else f"is {-self.left:,} more than there are"
        return (
            f"parameters, buffers, the optimizer's state and inputs are {self.held:,} bytes, which "
            f"{rest}; no schedule takes less than {self.floor.value:,} in any order: "
            f"{floor_proof(self.counted, max(self.left, 0))}"
        )

    def __str__(self) -> str:
        several = f", each of {self.ranks}" if self.ranks > 1 else ""
        batch = "" if self.batch is None else f", batch {self.batch}"
        lines = [
            f"{self.name}{batch} on {self.device.title}{several}: {self.verdict}",
            *([f"  proof      {self.proof}"] if self.proof else []),
            _line("total", self.total, "in all"),
            _line("reserve", self.reserve, "for the driver, workspace of libraries, fragmentation"),
            _line("parameters", self.parameters),
            _line("buffers", self.buffers),
            _line("optimizer", self.optimizer.state, self.optimizer.name),
            _line("inputs", self.inputs),
            _line("left", self.left, "for a step: activations and gradients"),
            _line("gradients", self.gradients, "at the end of a step"),
            _line("kept whole", self.kept, "a step that recomputes nothing"),
            _line("smallest", self.smallest.peak or 0, f"the smallest peak found; {self._floor()}"),
            *self._plan(),
            _line("update", self.update, f"as the optimizer steps; {self.optimizer.workspace:,} of it is an estimate"),
            *self._batches(),
            f"  estimated  {self._estimated()}",
        ]
        return "\n".join(lines)

    def _floor(self) -> str:
        return f"none takes less than {self.floor.value:,}, in any order (certified: {self.floor.source})"

    def _plan(self) -> list[str]:
        plan = self.plan
        if plan is None or plan.peak is None:
            return []
        return [
            _line("plan", plan.peak, f"at {percent_text(plan.overhead)} more work by the device's roofline"),
            f"  gap        {percent_text(plan.gap)} ({plan.gap_scope}), by {plan.planner} in {plan.seconds:.1f} s",
        ]

    def _batches(self) -> list[str]:
        if self.batches is None:
            return []
        kept, planned = self.batches
        most = [f"{number:,}{' or more' if number >= MOST_BATCH else ''}" for number in (kept, planned)]
        return [f"  batch      at most {most[0]} kept whole; plans were found for up to {most[1]}"]

    def _estimated(self) -> str:
        calls = ", ".join(f"{count} x {name}" for name, count in sorted(self.kernels.items()))
        return (
            f"kernels are those of a capture for the CPU; tensors take portions of {ALLOCATION_BYTES} bytes; workspace "
            f"inside kernels is in the reserve ({calls or 'no library calls'}), as are the allocator's gaps; times are "
            f"{self.device.title}'s roofline ({self.device.source}); the optimizer's workspace grows as measured on "
            "small parameters"
        )

    def to_dict(self) -> dict[str, object]:
        """The figures, ready for JSON."""
        plan = self.plan
        return {
            "model": self.name,
            "device": next((name for name, device in DEVICES.items() if device == self.device), self.device.title),
            "fits": self.fits,
            "refuted": self.refuted,
            "proof": self.proof,
            "smallest_device": self.smallest_device,
            "ranks": self.ranks,
            "batch": self.batch,
            "total": self.total,
            "reserve": self.reserve,
            "parameters": self.parameters,
            "buffers": self.buffers,
            "optimizer": self.optimizer.name,
            "optimizer_state": self.optimizer.state,
            "optimizer_workspace": self.optimizer.workspace,
            "inputs": self.inputs,
            "left": self.left,
            "gradients": self.gradients,
            "kept_whole": self.kept,
            "floor": self.floor.value,
            "floor_scope": self.floor.scope,
            "floor_verified": self.smallest.verified(self.floor),
            "smallest": self.smallest.peak,
            "plan": None if plan is None else plan.to_dict(),
            "update": self.update,
            "largest_batch_kept": None if self.batches is None else self.batches[0],
            "largest_batch_planned": None if self.batches is None else self.batches[1],
            "estimated": self._estimated(),
        }


def _line(name: str, amount: int, about: str = "") -> str:
    size = bytes_text(amount) if amount >= 0 else f"-{bytes_text(-amount)}"
    return f"  {name:<10} {amount:,} bytes ({size}){f' {about}' if about else ''}"
