"""Amounts as people read them."""

from typing import Final

_BINARY: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_NANOSECONDS: Final = (("ns", 1), ("us", 1000), ("ms", 1000), ("s", 1000))
_FLOPS: Final = (("flop", 1), ("Kflop", 1000), ("Mflop", 1000), ("Gflop", 1000), ("Tflop", 1000), ("Pflop", 1000))


def bytes_text(amount: float | None) -> str:
    """A size in binary units: ``"1.50 MiB"``; ``"-"`` for none."""
    if amount is None:
        return "-"
    scaled = float(amount)
    for unit in _BINARY[:-1]:
        if scaled < 1024:
            return f"{amount:.0f} B" if unit == "B" else f"{scaled:.2f} {unit}"
        scaled /= 1024
    return f"{scaled:.2f} {_BINARY[-1]}"


def cost_text(cost: int | None, unit: str) -> str:
    """A cost in the graph's unit, scaled where the unit is nanoseconds or flops: ``"1.50 ms"``; ``"-"`` for none."""
    if cost is None:
        return "-"
    steps = {"ns": _NANOSECONDS, "flops": _FLOPS, "flop": _FLOPS}.get(unit)
    if steps is None:
        return f"{cost} {unit}"
    scaled, name = float(cost), steps[0][0]
    for larger, factor in steps[1:]:
        if scaled < factor:
            break
        scaled, name = scaled / factor, larger
    return f"{cost} {name}" if name == steps[0][0] else f"{scaled:.2f} {name}"
