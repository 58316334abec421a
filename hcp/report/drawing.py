"""What all pictures share: matplotlib without a display, sizes, colours, and files that are whole or not there."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Final

from hcp.graph.errors import HcpError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Inches of a column in a two-column paper, and of a panel's height there.
COLUMN: Final = 3.4
PANEL: Final = 2.5

# Okabe and Ito's colours, which colour-blind readers tell apart, and two of Tol's in place of black and yellow.
BLUE, VERMILION, GREEN, PINK, SKY, ORANGE = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00"
COLOURS: Final = (BLUE, VERMILION, GREEN, PINK, SKY, ORANGE, "#882255", "#332288")
MARKERS: Final = "os^Dvx+*<>Pp"
LINES: Final = ("-", "--", "-.", ":")

# Settings of matplotlib that the pictures are made for, for ``matplotlib.rc_context``.
STYLE: Final = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 6.5,
    "legend.frameon": False,
    "lines.linewidth": 1.2,
    "lines.markersize": 3.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    # Text that stays text in PDF and SVG files.
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    # The same picture gives the same file.
    "svg.hashsalt": "hcp",
}
_DPI: Final = 200
FORMATS: Final = (".pdf", ".svg", ".png", ".eps", ".jpg", ".webp")
_BINARY: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def pyplot() -> ModuleType:
    """The pyplot module, drawing to files only.

    Raises:
        HcpError: If matplotlib is missing.
    """
    try:
        import matplotlib

        matplotlib.use("Agg")
        import matplotlib.pyplot as plt
    except ImportError:
        raise HcpError("matplotlib is not installed; pip install 'hcp-checkpointing[plot]'") from None
    return plt


@contextmanager
def drawing(path: str | os.PathLike[str], rows: int, columns: int = 1, height: float = PANEL) -> "Iterator[list[Axes]]":
    """Panels to draw into, row by row, each as wide as a column of a paper; written when the block is left.

    Args:
        path: The image file, whole or not there; its ending says the format.
        rows: Panels above each other.
        columns: Panels in a row.
        height: Of a panel in inches.

    Raises:
        HcpError: If matplotlib is missing, the file cannot be written there, or no such format is known.
    """
    plt = pyplot()
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            rows, columns, figsize=(COLUMN * columns, height * rows), squeeze=False, layout="constrained"
        )
        try:
            yield list(axes.flat)
            _save(figure, Path(path))
        finally:
            plt.close(figure)


def check_format(path: Path) -> None:
    """Refuses an image file whose ending is not known, and a missing matplotlib, before the work that it is for.

    Raises:
        HcpError: In both cases.
    """
    pyplot()
    if path.suffix.lower() not in FORMATS:
        raise HcpError(f"cannot draw {str(path)!r}; give a file that ends in {', '.join(FORMATS)}")


def _save(figure: "Figure", file: Path) -> None:
    temporary = file.with_name(f".{os.getpid()}.{file.name}")
    try:
        figure.savefig(temporary, dpi=_DPI, metadata=_undated(file.suffix))
        temporary.replace(file)
    except (OSError, ValueError) as error:
        raise HcpError(f"cannot write {str(file)!r} ({error}); give an image file such as 'plot.pdf'") from None
    finally:
        temporary.unlink(missing_ok=True)


def scaled_bytes(amounts: Sequence[float]) -> tuple[float, str]:
    """A binary unit that suits all of these amounts: its bytes and its name."""
    largest = max(amounts, default=0)
    power = 0
    while largest >= 1024 and power < len(_BINARY) - 1:
        largest /= 1024
        power += 1
    return 1024.0**power, _BINARY[power]


def legend_below(axes: "Axes", columns: int = 3, under: float = -0.2) -> None:
    """A legend under the axes, where it covers nothing; ``under`` leaves room for their labels."""
    if not axes.get_legend_handles_labels()[0]:
        return
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, under), ncols=columns, columnspacing=1.0, handlelength=1.8)


def _undated(suffix: str) -> dict[str, None]:
    key = {".pdf": "CreationDate", ".svg": "Date"}.get(suffix.lower())
    return {} if key is None else {key: None}
