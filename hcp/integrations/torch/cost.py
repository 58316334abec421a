"""What an operation costs, in nanoseconds: a deterministic roofline, measured times, or a function of the user's."""

from collections.abc import Callable, Mapping
from typing import Final, Literal

import torch
from torch import fx
from torch.utils.flop_counter import flop_registry

from hcp.integrations.torch.errors import TorchError
from hcp.integrations.torch.probe import Footprint
from hcp.integrations.torch.program import tensor_bytes

Cost = Literal["roofline", "measured"] | Callable[[fx.Node], int]

# Orders of magnitude of common machines; plans depend on their ratios only.
FLOPS_PER_NANOSECOND: Final = {"cpu": 40.0, "cuda": 60_000.0}
BYTES_PER_NANOSECOND: Final = {"cpu": 8.0, "cuda": 1_500.0}
LAUNCH_NANOSECONDS: Final = {"cpu": 3_000, "cuda": 5_000}


def check_cost(cost: object) -> None:
    """Refuses anything but the known cost options.

    Raises:
        TorchError: Lists the choices.
    """
    if cost not in ("roofline", "measured") and not callable(cost):
        raise TorchError(
            f"cost {cost!r} is not understood; give 'roofline', 'measured', "
            "or a function from an fx.Node to nanoseconds"
        )


def costs(cost: Cost, footprints: Mapping[fx.Node, Footprint]) -> dict[fx.Node, int]:
    """The cost of every operation, in whole nanoseconds.

    Raises:
        TorchError: If a function of the user's gives anything but a whole number of zero or more.
    """
    if cost == "measured":
        return {node: footprint.nanoseconds for node, footprint in footprints.items()}
    if cost == "roofline":
        return {node: roofline(node) for node in footprints}
    found = {}
    for node in footprints:
        amount = cost(node)
        if isinstance(amount, bool) or not isinstance(amount, int) or amount < 0:
            raise TorchError(
                f"the cost function gave {amount!r} for {node.name}; expected a whole number, zero or more"
            )
        found[node] = amount
    return found


def roofline(node: fx.Node) -> int:
    """Nanoseconds by the roofline: a launch, and the larger of arithmetic and memory traffic."""
    device = _device(node)
    read = sum(tensor_bytes(source) for source in node.all_input_nodes)
    traffic = (read + tensor_bytes(node)) / BYTES_PER_NANOSECOND[device]
    return round(LAUNCH_NANOSECONDS[device] + max(traffic, _flops(node) / FLOPS_PER_NANOSECOND[device]))


def _flops(node: fx.Node) -> int:
    packet = getattr(node.target, "overloadpacket", None)
    formula = flop_registry.get(packet)
    if formula is None:
        return 0

    args, kwargs = fx.node.map_arg((node.args, dict(node.kwargs)), lambda source: source.meta.get("val"))
    return int(formula(*args, **kwargs, out_val=node.meta["val"]))


def _device(node: fx.Node) -> str:
    for source in (node, *node.all_input_nodes):
        value = source.meta.get("val")
        items = value if isinstance(value, list | tuple) else (value,)
        for item in items:
            if isinstance(item, torch.Tensor) and item.device.type in LAUNCH_NANOSECONDS:
                return item.device.type
    return "cpu"
