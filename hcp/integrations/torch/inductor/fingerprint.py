"""What tells a step that Dynamo captured from others, before anything is lowered."""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, fx

from hcp.integrations.torch.capture import Traced
from hcp.integrations.torch.inductor.internals import settings_in_force
from hcp.version import __version__


def fingerprint_of(traced: Traced, patches: Mapping[str, Any], cost: str) -> str:
    """A digest of a step and of all that decides how it is planned and compiled, save the budget and the planner.

    It is for finding things: what is found is checked against the program at hand, or compiled under a key of
    Inductor's own.
    """
    digest = hashlib.sha256()
    for part in (__version__, torch.__version__, cost, str(torch.get_num_threads()), *_modes(), *_described(traced)):
        digest.update(part.encode() + b"\0")
    digest.update(settings_in_force(patches))
    return digest.hexdigest()[:32]


def _modes() -> Iterator[str]:
    yield str(torch.get_default_dtype())
    yield str(torch.are_deterministic_algorithms_enabled())
    yield str([torch.is_autocast_enabled(kind) for kind in ("cpu", "cuda")])


def _described(traced: Traced) -> Iterator[str]:
    for item in traced.inputs:
        yield _layout(item)
    for name, module in traced.module.named_modules():
        if isinstance(module, fx.GraphModule):
            yield name
            for node in module.graph.nodes:
                target = node.target if isinstance(node.target, str) else _qualified(node.target)
                yield f"{node.name} {node.op} {target} {node.args} {node.kwargs}"
    for name, tensor in (*traced.module.named_parameters(), *traced.module.named_buffers()):
        yield f"{name} {_layout(tensor)}"


def _qualified(function: Any) -> str:  # noqa: ANN401 - whatever a graph calls
    return f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', function)}"


def _layout(item: object) -> str:
    if not isinstance(item, Tensor):
        return repr(item)
    about = (tuple(item.shape), item.stride(), item.dtype, item.device, item.requires_grad, item.storage_offset())
    return str(about)
