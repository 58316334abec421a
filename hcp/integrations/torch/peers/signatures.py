"""Tells an operation of a captured step by what it does to what, so that it is known again when it runs.

An operation's signature is what it is, its numbers, and the tensors that it reads: each by the operation that made its
storage, and by its place, shape and strides there. Views make no storage, so it does not matter how one came about.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import torch
from torch import fx

from hcp.integrations.torch.capture import Joint
from hcp.integrations.torch.internals import FUNCTIONAL_BATCH_NORM, captured_as, is_operation, storage_id
from hcp.integrations.torch.program import tensors_of

# Operations that have running statistics as their fourth and fifth argument, which they do not read in training, and
# which eager programs renew in place and captured ones return.
_BATCH_NORMS: Final = (FUNCTIONAL_BATCH_NORM, torch.ops.aten.native_batch_norm_backward.default)
_STATISTICS: Final = slice(3, 5)

# Whose storage a tensor looks at: a node of the joint graph, and which of its results; or an input.
Origin = tuple[str, int]
Signature = tuple[Any, ...]


class Place(NamedTuple):
    """A node of the joint graph.

    Attributes:
        number: Its place in the order of capture.
        name: Its name.
    """

    number: int
    name: str


@dataclass
class Storages:
    """Who made the storages that exist.

    Attributes:
        origins: By what ``storage_id`` says, as long as they live.
    """

    origins: dict[int, Origin] = field(default_factory=dict)

    def signature(self, operation: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Signature:  # noqa: ANN401
        """Of an operation on real tensors, or on the examples of a captured graph."""
        # Autograd passes what is left open, and capture leaves it out.
        named = tuple(sorted((name, self._told(item)) for name, item in kwargs.items() if item is not None))
        told = list(map(self._told, args))
        if operation in _BATCH_NORMS:
            del told[_STATISTICS]
        return (operation, *told, named)

    def _told(self, item: Any) -> Any:  # noqa: ANN401 - whatever operations take
        if isinstance(item, torch.Tensor):
            origin = self.origins.get(storage_id(item))
            # Along a side of one element nothing depends on the stride, and examples may have another.
            strides = tuple(stride for size, stride in zip(item.shape, item.stride(), strict=True) if size > 1)
            return origin, item.storage_offset(), tuple(item.shape), strides, str(item.dtype)
        if isinstance(item, list | tuple):
            return tuple(map(self._told, item))
        # One and True are equal, and so are 1 and 1.0.
        return type(item).__name__, str(item)

    def made(self, name: str | None, tensors: Sequence[torch.Tensor], given: Sequence[torch.Tensor]) -> bool:
        """Notes the fresh storages among what an operation returned, and says whether there are any.

        Args:
            name: The operation's in the joint graph; None where it has none.
            tensors: What it returned.
            given: What it read, whose storages are not fresh.
        """
        old = set(map(storage_id, given))
        fresh = {place: storage for place, each in enumerate(tensors) if (storage := storage_id(each)) not in old}
        for place, storage in fresh.items():
            self._set(storage, None if name is None else (name, place))
        return bool(fresh)

    def written(self, name: str | None, tensor: torch.Tensor) -> None:
        """Notes that an operation has put its result into a storage that was there, or that it is an input."""
        self._set(storage_id(tensor), None if name is None else (name, 0))

    def _set(self, storage: int, origin: Origin | None) -> None:
        if origin is None:
            self.origins.pop(storage, None)
        else:
            self.origins[storage] = origin


@dataclass(frozen=True)
class Signatures:
    """The operations of a captured step by their signatures.

    Attributes:
        places: Those with a signature, in the order of capture: several, where the same is done twice.
        needed: Names of those without which a run is not one of the step.
    """

    places: Mapping[Signature, tuple[Place, ...]]
    needed: tuple[str, ...]

    def known(self, signature: Signature, after: int) -> Place | None:
        """The operation with a signature; of several, the next one after a place, as programs run in that order."""
        places = self.places.get(signature, ())
        return next((place for place in places if place.number > after), places[0] if places else None)


def signatures_of(joint: Joint, planned: Set[str]) -> Signatures:
    """The operations of a joint graph as it was captured, before it is made fit for planning.

    Args:
        joint: It.
        planned: Names of nodes of the graph that is planned, which may do without some.
    """
    storages = Storages()
    for node in (*joint.primals, *joint.tangents):
        for tensor in tensors_of(node):
            storages.written(node.name, tensor)
    places: dict[Signature, list[Place]] = {}
    for number, node in enumerate(joint.module.graph.nodes):
        if node.op != "call_function" or not is_operation(node.target):
            continue
        args, kwargs = fx.node.map_arg((node.args, dict(node.kwargs)), _example)
        signature = storages.signature(captured_as(node.target)[0], args, kwargs)
        read = [tensor for source in node.all_input_nodes for tensor in tensors_of(source)]
        storages.made(node.name, tensors_of(node), read)
        places.setdefault(signature, []).append(Place(number, node.name))
    needed = tuple(place.name for found in places.values() for place in found if place.name in planned)
    return Signatures({signature: tuple(found) for signature, found in places.items()}, needed)


def _example(node: fx.Node) -> Any:  # noqa: ANN401 - whatever the node returns
    return node.meta.get("val")
