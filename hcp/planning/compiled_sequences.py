"""The walk of ``hcp.planning.sequences``, compiled; importing this loads numba."""

from typing import Final, cast

import numba
import numpy as np

from hcp.graph.index import GraphIndex, IntArray
from hcp.graph.instances import chain
from hcp.planning.sequences import Found, Tables, Walk, walk

compiled_function: Final = cast("Walk", numba.njit(cache=True, nogil=True)(walk))


def run_compiled(index: GraphIndex, nodes: IntArray) -> Found:
    """What ``walk`` finds of a sequence, and the profile."""
    held = np.zeros(len(nodes) + 1, np.int64)
    held[0] = index.base_bytes
    ran, last = np.zeros(index.n, np.bool_), np.zeros(index.m, np.int64)
    return *compiled_function(Tables.of(index), nodes, ran, last, held), held[:-1]


def compile_all() -> None:
    """Calls what is compiled once, for ``hcp.planning.compilation``."""
    index = chain(2).index
    run_compiled(index, index.order)
