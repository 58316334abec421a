"""What a program of the user's runs of a captured step: watched while it runs, operation by operation.

Nothing of PyTorch's checkpointing is modelled: the program, with ``torch.utils.checkpoint`` in it or anything else,
runs once, and each operation that reaches the device is found among those of the captured step. So the order is the one
in which autograd ran them, and what is computed again is what was seen to be.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from unittest.mock import patch

import torch
from torch.nn import functional

from hcp.integrations.torch.capture import Joint
from hcp.integrations.torch.errors import TorchError
from hcp.integrations.torch.internals import (
    OperationSpy,
    OpOverload,
    captured_as,
    input_place,
    storage_gone,
    storage_id,
    tree_leaves,
)
from hcp.integrations.torch.peers.executed import Executed
from hcp.integrations.torch.peers.signatures import Signatures, Storages
from hcp.integrations.torch.program import tensors_of
from hcp.integrations.torch.rng import random_state_kept

_EAGER_DROPOUT: Final = functional.dropout


def recorded(
    joint: Joint, signatures: Signatures, call: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Executed:
    """Runs a forward and a backward, and says which operations of the captured step ran, in order.

    Buffers and the random state are put back, and no gradient is left.

    Args:
        joint: The step as it was captured.
        signatures: Of its operations.
        call: What is called in the module's place.
        args: Of the call that was captured: the same tensors.
        kwargs: The same.

    Raises:
        TorchError: If the call does not run the captured operations, or PyTorch refuses the backward.
    """
    watch = _Watch(signatures)
    given = {node: tensor for node in joint.primals if (tensor := _input(joint, node)) is not None}
    for node, tensor in given.items():
        watch.input(node.name, tensor)
    pairs = zip(joint.primals, joint.gradients, strict=True)
    wanted = [given[node] for node, gradient in pairs if gradient is not None and node in given]
    with _contents_kept(tuple(given.values())), random_state_kept(), patch.object(functional, "dropout", _dropout):
        with OperationSpy(watch.see):
            outputs = call(*args, **kwargs)
        forward = tuple(watch.ran)
        ends, tangents = _ends(joint, outputs)
        for node, tangent in zip(joint.tangents, tangents, strict=True):
            watch.input(node.name, tangent)
        with OperationSpy(watch.see):
            try:
                torch.autograd.grad(ends, wanted, tangents, allow_unused=True)
            except RuntimeError as error:
                raise TorchError(f"PyTorch refuses its backward: {str(error).splitlines()[0]}") from error
    found = Executed(forward, tuple(watch.ran[len(forward) :]))
    watch.check()
    return found


def _input(joint: Joint, primal: Any) -> torch.Tensor | None:  # noqa: ANN401 - a node
    """The tensor that a primal stands for; None where PyTorch made it up from several, or it is a number."""
    place = input_place(primal)
    given = None if place is None else joint.traced.inputs[place]
    return given if isinstance(given, torch.Tensor) else None


def _ends(joint: Joint, outputs: object) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """What a backward begins with, and its gradients."""
    leaves = [leaf for leaf in tree_leaves(outputs) if isinstance(leaf, torch.Tensor) and leaf.requires_grad]
    examples = [tensor for node in joint.tangents for tensor in tensors_of(node)]
    if [leaf.shape for leaf in leaves] != [example.shape for example in examples]:
        raise TorchError(
            f"it returns tensors of shapes {[tuple(leaf.shape) for leaf in leaves]} that ask for gradients, and the "
            f"module of {[tuple(example.shape) for example in examples]}; give what computes the same"
        )
    ones = [torch.empty_strided(e.shape, e.stride(), dtype=e.dtype, device=e.device).fill_(1) for e in examples]
    return leaves, ones


@contextmanager
def _contents_kept(tensors: Sequence[torch.Tensor]) -> Iterator[None]:
    """Puts back what is written into tensors that no gradient is asked of, such as running statistics."""
    before = [(tensor, tensor.clone()) for tensor in tensors if not tensor.requires_grad]
    try:
        yield
    finally:
        with torch.no_grad():
            for tensor, content in before:
                tensor.copy_(content)


def _dropout(input: torch.Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> torch.Tensor:
    """Dropout as the one operation that capture makes of it; on the CPU, eager programs run several."""
    if not training or inplace or not 0 <= p < 1:
        return _EAGER_DROPOUT(input, p, training, inplace)
    return torch.native_dropout(input, p, True)[0] if p else input.clone()


@dataclass
class _Watch:
    """What was seen so far.

    Attributes:
        signatures: Of the captured step's operations.
        ran: Names of those that ran, in order.
        storages: Who made what exists.
    """

    signatures: Signatures
    ran: list[str] = field(default_factory=list)
    storages: Storages = field(default_factory=Storages)

    def __post_init__(self) -> None:
        self._last = -1
        self._strange: OpOverload | None = None
        # As long as one can be asked whether it is gone, no other storage gets its identity.
        self._held: dict[int, Callable[[], bool]] = {}

    def input(self, name: str, tensor: torch.Tensor) -> None:
        """Notes a primal or a tangent."""
        self.storages.written(name, tensor)
        self._hold(tensor)

    def see(self, operation: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any], result: object) -> None:
        """Notes an operation that has run."""
        wanted, in_place = captured_as(operation)
        place = self.signatures.known(self.storages.signature(wanted, args, kwargs), self._last)
        name = None
        if place is not None:
            name, self._last = place.name, place.number
            self.ran.append(name)
        returned = _tensors(result)
        fresh = self.storages.made(name, returned, _tensors((args, kwargs)))
        if name is None and fresh and self._strange is None:
            self._strange = operation
        if in_place:
            self.storages.written(name, args[0])
        for tensor in returned:
            self._hold(tensor)

    def check(self) -> None:
        """Raises TorchError unless all that was captured has run, so that nothing of the step is left out."""
        ran = set(self.ran)
        missing = next((name for name in self.signatures.needed if name not in ran), None)
        if missing is not None:
            strange = "" if self._strange is None else f"; the first to run that was not captured is {self._strange}"
            raise TorchError(
                f"operation {missing} of the captured step was not seen to run{strange}: give what runs the operations "
                "that torch.compile captures of the module, on the same parameters"
            )

    def _hold(self, tensor: torch.Tensor) -> None:
        self._held.setdefault(storage_id(tensor), storage_gone(tensor))


def _tensors(tree: object) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)]
