"""How much the suite tries: what takes long, and most of the random examples, are for ``make test-slow`` alone."""

import os

import pytest

THOROUGH = os.environ.get("HCP_SLOW_TESTS") == "1"

slow = pytest.mark.skipif(not THOROUGH, reason="takes minutes; make test-slow runs it")


def examples(most: int) -> int:
    """How many random examples to try: a third of the most, which are for ``make test-slow``, but at least fifteen."""
    return most if THOROUGH else max(most // 3, min(most, 15))
