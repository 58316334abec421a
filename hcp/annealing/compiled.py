"""The one decorator for compiled functions, and the random numbers they share."""

from collections.abc import Callable
from typing import Any, Final, ParamSpec, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

P = ParamSpec("P")
R = TypeVar("R")
Random = NDArray[np.uint64]

_SHIFT_A: Final = np.uint64(13)
_SHIFT_B: Final = np.uint64(7)
_SHIFT_C: Final = np.uint64(17)
_TO_53_BITS: Final = np.uint64(11)
_SCALE: Final = 2.0**-53


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compiles a function on its first call and keeps the machine code on disk beside its file.

    numba notices a change of the file that holds the called function only: after an edit of a callee in another file
    of this package, run ``hcp compile``.
    """
    return cast("Callable[P, R]", numba.njit(cache=True, nogil=True)(function))


def compiled_inside(function: Callable[P, R]) -> Callable[P, R]:
    """As ``compiled``, for functions that compiled ones alone call.

    Python cannot call them: taking its arguments apart, a dozen arrays, would make for a third of the compile time.
    """
    options: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    return cast("Callable[P, R]", numba.njit(cache=True, nogil=True, **options)(function))


def new_random(seed: int) -> Random:
    """The state of a generator, one word: the same seed draws the same numbers on every machine."""
    # splitmix64 spreads neighbouring seeds apart; xorshift must not start at zero.
    mixed = (seed * 0x9E3779B97F4A7C15 + 0x9E3779B97F4A7C15) % 2**64
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) % 2**64
    return np.array([(mixed ^ (mixed >> 31)) or 1], np.uint64)


@compiled_inside
def uniform(state: Random) -> float:
    """A number in [0, 1) from xorshift64 (Marsaglia 2003)."""
    word = state[0]
    word ^= word << _SHIFT_A
    word ^= word >> _SHIFT_B
    word ^= word << _SHIFT_C
    state[0] = word
    return float(word >> _TO_53_BITS) * _SCALE


@compiled_inside
def below(state: Random, count: int) -> int:
    """A whole number in 0..count-1."""
    return int(uniform(state) * count)
