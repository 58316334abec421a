"""A budget for all the memory of a training: what is there beside a step is taken off, and the step gets the rest."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import nn

from hcp.integrations.torch.ahead.amounts import reserve_bytes, total_bytes
from hcp.integrations.torch.ahead.optimizers import Optimizer, OptimizerMemory, local, optimizer_memory
from hcp.integrations.torch.errors import TorchError
from hcp.integrations.torch.internals import storage_id, tree_leaves
from hcp.report.units import bytes_text

# Stands for a whole that is not known yet.
_SOME_BYTES: Final = 2**60


@dataclass(frozen=True)
class Total:
    """A budget for all the memory, as ``total`` makes it.

    Attributes:
        amount: Bytes or a size; None for what the device has.
        optimizer: What is held beside.
        reserve: Bytes, a size or a percentage of ``amount``, for what is not counted.
        accumulate: Whether gradients of earlier steps are there while a step runs.
    """

    amount: int | str | None
    optimizer: Optimizer
    reserve: int | str
    accumulate: bool

    def beside(self, module: nn.Module) -> "Beside":
        """What there is of a module beside a step.

        Raises:
            HcpError: If an amount is not understood, or nobody knows how much memory there is.
        """
        parameters = list(module.parameters())
        trained = [parameter for parameter in parameters if parameter.requires_grad]
        whole = self._whole(parameters)
        return Beside(
            whole=whole,
            reserve=reserve_bytes(self.reserve, whole),
            parameters=_bytes(parameters),
            buffers=_bytes(module.buffers()),
            optimizer=optimizer_memory(self.optimizer, parameters),
            gradients=_bytes(trained),
            accumulated=_bytes(trained) if self.accumulate else 0,
        )

    def _whole(self, parameters: list[nn.Parameter]) -> int:
        if self.amount is not None:
            return total_bytes(self.amount)
        device = next((parameter.device for parameter in parameters if parameter.is_cuda), None)
        if device is None:
            raise TorchError(
                "total() got no amount, and the module is on no GPU that has one; give it, such as '24GiB'"
            )
        return int(torch.cuda.get_device_properties(device).total_memory)


@dataclass(frozen=True)
class Beside:
    """What there is beside a step, in bytes.

    Attributes:
        whole: Of the budget.
        reserve: For what is not counted.
        parameters: Of the module.
        buffers: Of the module.
        optimizer: What the optimizer takes.
        gradients: That the optimizer finds.
        accumulated: Gradients that are there before a step.
    """

    whole: int
    reserve: int
    parameters: int
    buffers: int
    optimizer: OptimizerMemory
    gradients: int
    accumulated: int

    def left(self, arguments: object) -> int:
        """What a step with some arguments may take.

        Raises:
            TorchError: If that is nothing; says where it all goes.
        """
        inputs = _bytes(leaf for leaf in tree_leaves(arguments) if isinstance(leaf, torch.Tensor))
        left = self.whole - self._held - inputs
        if left <= 0:
            raise TorchError(
                f"a total of {self.whole:,} bytes leaves nothing for a step: {self.told(inputs)}; give more"
            )
        return left

    def told(self, inputs: int) -> str:
        """Where it goes, for people."""
        parts = {
            "reserve": self.reserve,
            "parameters": self.parameters,
            "buffers": self.buffers,
            f"state of {self.optimizer.name}": self.optimizer.state,
            "inputs": inputs,
            "accumulated gradients": self.accumulated,
        }
        return ", ".join(f"{name} {bytes_text(amount)}" for name, amount in parts.items() if amount)

    @property
    def update(self) -> int:
        """What there is while the optimizer steps, of which what that takes for a while is an estimate."""
        there = self.reserve + self.parameters + self.buffers + self.optimizer.state
        return there + self.gradients + self.optimizer.workspace

    @property
    def _held(self) -> int:
        return self.reserve + self.parameters + self.buffers + self.optimizer.state + self.accumulated


def total(
    amount: int | str | None = None,
    *,
    optimizer: Optimizer = "adamw",
    reserve: int | str = "5%",
    accumulate: bool = False,
) -> Total:
    """A budget for all the memory of a training, for ``checkpoint(module, budget=total("24GiB"))``.

    What a step may take is the rest after parameters, buffers, the optimizer's state, the inputs of the call, and a
    reserve.

    Args:
        amount: Bytes, or a size; not given, what the GPU has that the module is on.
        optimizer: A name (``"adamw"``, ``"sgd"``, ...), a function that makes one of parameters, or the optimizer
            itself, whose state is measured; None for none.
        reserve: Bytes, a size or a percentage of the whole, for what is not counted: the driver's context, workspace of
            libraries, fragmentation. 0 for none.
        accumulate: Whether gradients add up over several steps, so that earlier ones are there while a step runs.

    Raises:
        BudgetError: If an amount is not understood.
        TorchError: If the amount is a percentage.
    """
    reserve_bytes(reserve, _SOME_BYTES if amount is None else total_bytes(amount))
    return Total(amount, optimizer, reserve, accumulate)


def _bytes(tensors: Iterable[Any]) -> int:
    """Bytes of the storages behind some tensors."""
    storages = {storage_id(tensor): tensor for tensor in map(local, tensors)}
    return sum(int(tensor.untyped_storage().nbytes()) for tensor in storages.values())
