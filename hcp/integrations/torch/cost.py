"""What an operation costs, in nanoseconds.

``"roofline"`` is deterministic on every machine alike; ``"calibrated"`` is the roofline with constants of this machine;
``"measured"`` times every operation. A function of the user's is the fourth choice.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final, Literal

from torch import fx
from torch.utils.flop_counter import flop_registry

from hcp.integrations.roofline import nanoseconds
from hcp.integrations.torch.calibration import constants
from hcp.integrations.torch.errors import TorchError
from hcp.integrations.torch.internals import SAME_FLOPS
from hcp.integrations.torch.probe import Footprint
from hcp.integrations.torch.program import tensor_bytes, tensors_of
from hcp.plans.cache import CacheOption

Cost = Literal["roofline", "calibrated", "measured"] | Callable[[fx.Node], int]

NAMES: Final = ("roofline", "calibrated", "measured")


def check_cost(cost: object) -> None:
    """Refuses anything but the known cost options.

    Raises:
        TorchError: Lists the choices.
    """
    if cost not in NAMES and not callable(cost):
        raise TorchError(
            f"cost {cost!r} is not understood; give 'roofline', 'calibrated', 'measured', "
            "or a function from an fx.Node to nanoseconds"
        )


def costs(cost: Cost, footprints: Mapping[fx.Node, Footprint], cache: CacheOption = False) -> dict[fx.Node, int]:
    """The cost of every operation, in whole nanoseconds; ``cache`` is where a machine's constants are kept.

    Raises:
        TorchError: If a function of the user's gives anything but a whole number of zero or more.
    """
    if cost == "measured":
        return {node: footprint.nanoseconds for node, footprint in footprints.items()}
    if cost == "roofline":
        return {node: roofline(node) for node in footprints}
    if cost == "calibrated":
        return {node: constants(_device(node), cache).nanoseconds(*work_of(node)) for node in footprints}
    return {node: own_cost(cost, node) for node in footprints}


def own_cost(cost: Callable[[fx.Node], int], node: fx.Node) -> int:
    """What a function of the user's says that an operation costs.

    Raises:
        TorchError: If it is anything but a whole number of zero or more.
    """
    amount = cost(node)
    if isinstance(amount, bool) or not isinstance(amount, int) or amount < 0:
        raise TorchError(f"the cost function gave {amount!r} for {node.name}; expected a whole number, zero or more")
    return amount


def roofline(node: fx.Node) -> int:
    """Nanoseconds by the roofline of a common machine of the node's kind."""
    return nanoseconds(*work_of(node), _device(node))


def _device(node: fx.Node) -> str:
    return device_of((node, *node.all_input_nodes))


def work_of(node: fx.Node) -> tuple[int, int]:
    """Arithmetic operations, and bytes read and written."""
    return flops(node), sum(tensor_bytes(source) for source in node.all_input_nodes) + tensor_bytes(node)


def flops(node: fx.Node) -> int:
    """Arithmetic operations of a product, a convolution or an attention; zero for others."""
    formula = flop_formula(node)
    if formula is None:
        return 0
    args, kwargs = fx.node.map_arg((node.args, dict(node.kwargs)), lambda source: source.meta.get("val"))
    return int(formula(*args, **kwargs, out_val=node.meta["val"]))


def flop_formula(node: fx.Node) -> Callable[..., int] | None:
    """How the arithmetic of a product, a convolution or an attention is counted; None for other operations."""
    packet = getattr(node.target, "overloadpacket", None)
    formula: Callable[..., int] | None = flop_registry.get(SAME_FLOPS.get(packet, packet))
    return formula


def device_of(nodes: Iterable[fx.Node]) -> str:
    """The kind of device that nodes' tensors are on; an accelerator where there are several."""
    kinds = {tensor.device.type for node in nodes for tensor in tensors_of(node)}
    return min(kinds - {"cpu", "meta"}, default="cpu")
