"""Numbers as people read them."""

from hcp.graph.units import bytes_text, cost_text

__all__ = ["bytes_text", "cost_text", "duration_text", "one_line", "percent_text", "seconds_text"]


def one_line(text: str) -> str:
    """A text in which nothing breaks a line or moves a cursor: names come from files."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def percent_text(fraction: float | None) -> str:
    """A relative excess in percent with three decimals: ``"3.187 %"``; ``"-"`` for none."""
    return "-" if fraction is None else f"{100 * fraction:.3f} %"


def seconds_text(seconds: float | None) -> str:
    """A duration: ``"0.04 s"``; ``"-"`` for none."""
    return "-" if seconds is None else f"{seconds:.2f} s"


def duration_text(seconds: float) -> str:
    """A time to wait: ``"45 s"``, ``"12 min"``, ``"3.5 h"``."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
