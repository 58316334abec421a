"""What kernels cost, in nanoseconds: they move what they read from outside and make for others, and no more."""

from collections.abc import Mapping, Sequence

from torch import fx

from hcp.integrations.roofline import nanoseconds
from hcp.integrations.torch.calibration import constants
from hcp.integrations.torch.cost import Cost, device_of, flops, own_cost
from hcp.integrations.torch.inductor.kernels import Kernel
from hcp.integrations.torch.program import tensor_bytes
from hcp.plans.cache import CacheOption


def kernel_costs(
    cost: Cost, kernels: Sequence[Kernel], times: Mapping[Kernel, int], cache: CacheOption
) -> dict[Kernel, int]:
    """The cost of every kernel, in whole nanoseconds; what stands between the passes costs nothing.

    Args:
        cost: As for ``checkpoint``; a function's costs of a kernel's operations are added up.
        kernels: They.
        times: Measured times, for ``"measured"``; the rare kernels without one, such as random draws, cost what the
            roofline says.
        cache: Where a machine's constants are kept.

    Raises:
        TorchError: If a function of the user's gives anything but a whole number of zero or more.
    """
    return {kernel: _cost(cost, kernel, times, cache) if kernel.operations else 0 for kernel in kernels}


def _cost(cost: Cost, kernel: Kernel, times: Mapping[Kernel, int], cache: CacheOption) -> int:
    if callable(cost):
        return sum(own_cost(cost, node) for node in kernel.operations)
    if cost == "measured" and kernel in times:
        return times[kernel]
    work = sum(map(flops, kernel.operations)), moved_bytes(kernel)
    device = device_of((*kernel.operations, *kernel.reads))
    return constants(device, cache).nanoseconds(*work) if cost == "calibrated" else nanoseconds(*work, device)


def moved_bytes(kernel: Kernel) -> int:
    """Bytes that a kernel reads from outside and writes for others, or into inputs."""
    written: tuple[fx.Node, ...] = kernel.outputs or kernel.operations[-1:]
    return sum(map(tensor_bytes, (*kernel.reads, *written)))
