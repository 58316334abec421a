"""What devices hold and do, by their makers' data sheets."""

from dataclasses import dataclass
from typing import Final

from hcp.graph.errors import HcpError
from hcp.integrations.roofline import Constants

_GIB: Final = 2**30

# What the caching allocator of PyTorch rounds every tensor on a GPU up to:
# https://pytorch.org/docs/stable/notes/cuda.html, c10/cuda/CUDACachingAllocator.h (kMinBlockSize).
ALLOCATION_BYTES: Final = 512

# Of an operation on next to nothing, in nanoseconds: what launching a kernel takes.
LAUNCH_NANOSECONDS: Final = 5_000


@dataclass(frozen=True)
class Device:
    """A device to plan for.

    Attributes:
        title: Its maker's name for it.
        memory: Bytes that PyTorch reports for it, which is less than what is printed on the box.
        bandwidth: Bytes a nanosecond, read and written.
        dense: Operations a nanosecond of products of 16-bit numbers, without sparsity.
        single: The same of 32-bit numbers, as PyTorch multiplies them by default.
        link: Bytes a nanosecond that it sends to others like it, in one direction.
        source: Where the figures are from.
    """

    title: str
    memory: int
    bandwidth: float
    dense: float
    single: float
    link: float
    source: str = "as given"

    def nanoseconds(self, flops: float, moved_bytes: float, item_bytes: int) -> int:
        """A launch, and the larger of arithmetic and memory traffic: the roofline.

        Args:
            flops: Arithmetic operations.
            moved_bytes: Bytes read and written.
            item_bytes: Of a number.
        """
        rate = self.dense if item_bytes <= 2 else self.single
        return Constants(rate, self.bandwidth, LAUNCH_NANOSECONDS).nanoseconds(flops, moved_bytes)


def _gib(amount: float) -> int:
    return int(amount * _GIB)


# Memory: what out-of-memory messages name as the total capacity, rounded down. Rates: the data sheets, dense.
DEVICES: Final[dict[str, Device]] = {
    "rtx4090": Device(
        "GeForce RTX 4090", _gib(23.5), 1_008, 165_200, 82_600, 32, "NVIDIA Ada GPU architecture whitepaper, 2022"
    ),
    "rtx5090": Device(
        "GeForce RTX 5090",
        _gib(31.3),
        1_792,
        209_500,
        104_800,
        64,
        "NVIDIA RTX Blackwell whitepaper, 2025",
    ),
    "a100-40gb": Device("A100 SXM 40 GB", _gib(39.3), 1_555, 312_000, 19_500, 300, "NVIDIA A100 data sheet, 2021"),
    "l40s": Device("L40S", _gib(44.3), 864, 362_000, 91_600, 32, "NVIDIA L40S data sheet, 2023"),
    "h100-80gb": Device("H100 SXM 80 GB", _gib(79.1), 3_350, 989_400, 67_000, 450, "NVIDIA H100 data sheet, 2023"),
    "a100-80gb": Device("A100 SXM 80 GB", _gib(79.1), 2_039, 312_000, 19_500, 300, "NVIDIA A100 data sheet, 2021"),
    "h200": Device("H200 SXM 141 GB", _gib(139.7), 4_800, 989_400, 67_000, 450, "NVIDIA H200 data sheet, 2024"),
    "b200": Device("B200 SXM 180 GB", _gib(178.3), 8_000, 2_250_000, 75_000, 900, "NVIDIA DGX B200 data sheet, 2025"),
    "mi300x": Device(
        "Instinct MI300X", _gib(191.9), 5_300, 1_307_400, 163_400, 448, "AMD Instinct MI300X data sheet, 2023"
    ),
}


def device_named(name: str | Device) -> Device:
    """The device of a name; a device itself as it is.

    Raises:
        HcpError: Lists the names.
    """
    if isinstance(name, Device):
        return name
    found = DEVICES.get(name.lower())
    if found is None:
        raise HcpError(f"device {name!r} is not known; give one of {', '.join(DEVICES)}, or a Device with its figures")
    return found
