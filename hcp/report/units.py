"""Numbers as people read them."""

from typing import Final

_BINARY: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def bytes_text(amount: int | None) -> str:
    """A size in binary units: ``"1.50 MiB"``; ``"-"`` for none."""
    if amount is None:
        return "-"
    scaled = float(amount)
    for unit in _BINARY[:-1]:
        if scaled < 1024:
            return f"{amount} B" if unit == "B" else f"{scaled:.2f} {unit}"
        scaled /= 1024
    return f"{scaled:.2f} {_BINARY[-1]}"


def percent_text(fraction: float | None) -> str:
    """A relative excess in percent with three decimals: ``"3.187 %"``; ``"-"`` for none."""
    return "-" if fraction is None else f"{100 * fraction:.3f} %"


def seconds_text(seconds: float | None) -> str:
    """A duration: ``"0.04 s"``; ``"-"`` for none."""
    return "-" if seconds is None else f"{seconds:.2f} s"
