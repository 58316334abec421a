"""How much the suite tries: what takes long, and most of the random examples, are for ``make test-slow`` alone."""

import os
from collections.abc import Iterable
from typing import TypeVar

import pytest

T = TypeVar("T")

THOROUGH = os.environ.get("HCP_SLOW_TESTS") == "1"

# For XLA_FLAGS: programs are compiled without LLVM's optimizations where tests do not ask for them.
UNOPTIMIZED = "--xla_backend_optimization_level=0"

slow = pytest.mark.skipif(not THOROUGH, reason="takes long; make test-slow runs it")


def examples(most: int, least: int = 10) -> int:
    """How many random examples to try: an eighth of the most (``make test-slow`` tries all), but some at the least."""
    return most if THOROUGH else max(most // 8, min(most, least))


def some(values: Iterable[T], most: int) -> list[T]:
    """The values that are tried: so many, evenly spread, and all of them in ``make test-slow``."""
    found = list(values)
    if THOROUGH or len(found) <= most:
        return found
    return [found[(2 * place + 1) * len(found) // (2 * most)] for place in range(most)]
