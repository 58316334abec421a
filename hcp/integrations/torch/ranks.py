"""One process plans for all of a distributed program that run the same step; the others take its plan.

They meet in the store that ``torch.distributed`` keeps for the whole program. Unlike a collective call it asks nothing
of processes that have another step at hand, or none: the ranks of a data-parallel program need not meet the same
lengths of sequences, nor in one order.
"""

import pickle
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

from hcp.graph.errors import HcpError
from hcp.integrations.torch.errors import TorchError
from hcp.integrations.torch.internals import shared_store

T = TypeVar("T")

# How often the others look, and how long after the search's own limit they give up on it.
_LOOK_SECONDS: Final = 0.05
_PATIENCE_SECONDS: Final = 600.0


def once(key: str, make: Callable[[], T], seconds: float) -> T:
    """What a function makes, in the first of the processes that ask for a key; the others wait for it.

    Args:
        key: What is made.
        make: Its result, if any, can be pickled.
        seconds: How long it may take to make, give or take.

    Raises:
        HcpError: What the function raised, or that it did in another process, with its message.
    """
    store = shared_store()
    if store is None:
        return make()
    name = f"hcp/{key}"
    if store.add(f"{name}/asked", 1) > 1:
        found = _awaited(store, name, seconds)
        if found is not None:
            outcome, error = found
            if error is not None:
                raise TorchError(error)
            return outcome  # type: ignore[no-any-return]
        return make()
    try:
        outcome = make()
    except BaseException as failure:
        error = str(failure) if isinstance(failure, HcpError) else f"another process was stopped while planning {key}"
        store.set(name, pickle.dumps((None, error)))
        raise
    store.set(name, pickle.dumps((outcome, None)))
    return outcome


def _awaited(store: Any, name: str, seconds: float) -> tuple[Any, str | None] | None:  # noqa: ANN401
    """What another process made, or why it failed; None where that process seems to be gone."""
    end = time.monotonic() + seconds + _PATIENCE_SECONDS
    # Not the store's own way to wait, which does not heed Ctrl-C.
    while not store.check([name]):
        if time.monotonic() > end:
            return None
        time.sleep(_LOOK_SECONDS)
    return pickle.loads(store.get(name))  # type: ignore[no-any-return]
