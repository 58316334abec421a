"""Work that is given up once its time limit is over.

Long loops call ``tick``. Whoever has a limit opens a scope around the work; inside it a tick raises ``Cancelled`` once
the limit is over. So a limit holds for replay, for dynamic programmes and for whatever else they call, without a
parameter through all of them. (Trio and AnyIO call this a cancel scope.)
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, TypeVar

Item = TypeVar("Item")


# Of quick steps, how many may pass between two ticks.
TICK_EVERY: Final = 4096


class Cancelled(Exception):
    """The limit of the scope is over; caught where the scope was opened."""


def _never() -> bool:
    return False


_OVER: Final[ContextVar[Callable[[], bool]]] = ContextVar("over", default=_never)


def tick() -> None:
    """Gives the work around it up if its limit is over.

    Raises:
        Cancelled: If so.
    """
    if _OVER.get()():
        raise Cancelled


def ticking(items: Iterable[Item]) -> Iterator[Item]:
    """The same items, with a tick now and then."""
    for count, item in enumerate(items):
        if count % TICK_EVERY == 0:
            tick()
        yield item


@contextmanager
def cancelled_when(over: Callable[[], bool]) -> Iterator[None]:
    """A scope in which ticks raise ``Cancelled`` when a limit is over, or that of a scope around it.

    Args:
        over: Asked at every tick; quick.
    """
    outer = _OVER.get()
    token = _OVER.set(lambda: over() or outer())
    try:
        yield
    finally:
        _OVER.reset(token)
