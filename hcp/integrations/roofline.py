"""The roofline: how long an operation takes on a common machine of a kind, for plans that have to be reproducible."""

from typing import Final

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
    busy = max(moved_bytes / BYTES_PER_NANOSECOND[kind], flops / FLOPS_PER_NANOSECOND[kind])
    return round(LAUNCH_NANOSECONDS[kind] + busy)
