"""The roofline: how long an operation takes on a machine, or a common one of a kind where plans are to be the same."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Constants:
    """A device's roofline.

    Attributes:
        flops: A nanosecond, of a large matrix product.
        moved_bytes: A nanosecond, read and written by a large copy.
        launch: Nanoseconds of an operation on next to nothing.
    """

    flops: float
    moved_bytes: float
    launch: float

    def nanoseconds(self, flops: float, moved_bytes: float) -> int:
        """A launch, and the larger of arithmetic and memory traffic."""
        return round(self.launch + max(moved_bytes / self.moved_bytes, flops / self.flops))


# Orders of magnitude; plans depend on their ratios only.
FLOPS_PER_NANOSECOND: Final = {"cpu": 40.0, "cuda": 60_000.0, "tpu": 100_000.0}
BYTES_PER_NANOSECOND: Final = {"cpu": 8.0, "cuda": 1_500.0, "tpu": 1_200.0}
LAUNCH_NANOSECONDS: Final = {"cpu": 3_000, "cuda": 5_000, "tpu": 2_000}

_ALIASES: Final = {"gpu": "cuda", "rocm": "cuda"}


def nanoseconds(flops: float, moved_bytes: float, platform: str) -> int:
    """A launch, and the larger of arithmetic and memory traffic.

    Args:
        flops: Arithmetic operations.
        moved_bytes: Bytes read and written.
        platform: ``"cpu"``, ``"cuda"``, ``"gpu"`` or ``"tpu"``; others count as the CPU.
    """
    kind = _ALIASES.get(platform, platform)
    if kind not in LAUNCH_NANOSECONDS:
        kind = "cpu"
    known = Constants(FLOPS_PER_NANOSECOND[kind], BYTES_PER_NANOSECOND[kind], LAUNCH_NANOSECONDS[kind])
    return known.nanoseconds(flops, moved_bytes)
