"""The plan that a block size alone stands for: equal blocks of the forward pass, as in Chen et al. 2016."""

from hcp.graph.ir import Graph
from hcp.runtime.errors import RunError
from hcp.schedule.actions import Schedule
from hcp.schedule.rematerialize import Retention, rematerialize
from hcp.schedule.replay import keep_everything_usage


def block_schedule(graph: Graph, block_size: int) -> Schedule:
    """Keeps what crosses blocks of this many nodes, drops the rest after its block and recomputes it when it is read.

    The graph's order up to the peak of keep-everything stands for the forward pass; what nodes make after it is kept
    as long as it is read.

    Raises:
        RunError: If the block size is not positive.
    """
    if block_size < 1:
        raise RunError(f"block size {block_size} is not positive; give the number of forward nodes in a block")
    index = graph.index
    rise = keep_everything_usage(graph).peak_step + 1
    last = (rise - 1) // block_size
    block = {node: min(place // block_size, last) for place, node in enumerate(index.order.tolist())}
    forward = set(index.order[:rise].tolist())
    kept = set()
    for x, maker in enumerate(index.producer.tolist()):
        readers = forward.intersection(index.readers[x].tolist())
        if maker not in forward or any(block[reader] != block[maker] for reader in readers):
            kept.add(x)
    return rematerialize(graph, graph.order, Retention(list(block.values()), [kept] * (last + 1)))
