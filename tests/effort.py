"""How much the suite tries: what takes long, and most of the random examples, are for ``make test-slow`` alone."""

import getpass
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

import pytest

T = TypeVar("T")

THOROUGH = os.environ.get("HCP_SLOW_TESTS") == "1"

# LLVM's optimizations are most of what XLA's compiler takes, and come after memory has been assigned; its threads wait
# for work that tests do not have. What a test compiles in another way by options is compiled so.
XLA_FLAGS = "--xla_backend_optimization_level=0 --xla_cpu_multi_thread_eigen=false"
# Programs that were compiled before, by another test or in an earlier run, are not compiled again. JAX knows them by
# all that decides what they are. Each process has a folder: another's files may be half written.
_OWN = f"hcp-tests-jax-{getpass.getuser()}-{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}"
XLA_CACHE = {
    "JAX_COMPILATION_CACHE_DIR": str(Path(tempfile.gettempdir()) / _OWN),
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
}


def hasten_frameworks() -> None:
    """Has JAX compile quickly, and PyTorch use one thread, unless the suite is to be thorough.

    Before either is used, here and in processes that tests start.
    """
    if not THOROUGH:
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {XLA_FLAGS}".strip()
        os.environ.update(XLA_CACHE)
        # Tensors are small, and other cores run other tests.
        os.environ.setdefault("OMP_NUM_THREADS", "1")


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
