"""How long kernels take, each distinct one compiled by itself and timed once, where measured costs are asked for."""

from collections.abc import Iterable
from functools import partial
from typing import Any

from torch import fx

from hcp.integrations.measurements import Measurements
from hcp.integrations.torch.capture import real_tensors
from hcp.integrations.torch.inductor.internals import compile_kernel
from hcp.integrations.torch.inductor.kernels import Kernel
from hcp.integrations.torch.probe import call_time, digest_of, layout_of, stand_ins
from hcp.integrations.torch.rng import random_state_kept


def kernel_times(kernels: Iterable[Kernel], times: Measurements) -> dict[Kernel, int]:
    """Nanoseconds of each kernel, on stand-ins; those that differ in names alone are one.

    Args:
        kernels: What to time, without those that stand for what is between the passes.
        times: Where times are looked up and kept.
    """
    found = {}
    with real_tensors(), random_state_kept():
        for kernel in kernels:
            graph = graph_of(kernel)
            layouts = [layout_of(read.meta["val"]) for read in kernel.reads]
            # Names of nodes number the program's operations, which this graph numbers anew.
            found[kernel] = round(times.get(digest_of(f"{graph}{layouts}"), partial(_time, graph, layouts)))
    return found


def graph_of(kernel: Kernel) -> fx.Graph:
    """A kernel as a graph of its own: of what it reads, to what it leaves behind."""
    graph = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    for place, read in enumerate(kernel.reads):
        copies[read] = graph.placeholder(f"read_{place}")
        copies[read].meta.update(read.meta)

    def copied(node: fx.Node) -> fx.Node:
        if node not in copies:
            args, kwargs = fx.node.map_arg((node.args, dict(node.kwargs)), copied)
            copies[node] = graph.call_function(node.target, args, kwargs)  # type: ignore[arg-type]
            copies[node].meta.update(node.meta)
        return copies[node]

    for node in kernel.operations:
        copied(node)
    graph.output(tuple(copied(tensor) for tensor in kernel.outputs or kernel.operations[-1:]))
    return graph


def _time(graph: fx.Graph, layouts: list[Any]) -> int:
    return call_time(compile_kernel(fx.GraphModule({}, graph), stand_ins(layouts)), layouts)
