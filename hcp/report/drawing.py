"""What all pictures share: matplotlib without a display, sizes, colours, and files that are whole or not there."""

import io
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Final

from hcp.graph.errors import HcpError
from hcp.report.units import one_line

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend

# Inches of a column and of a page in a two-column paper, and of a panel's height there.
COLUMN: Final = 3.5
PAGE: Final = 7.2
PANEL: Final = 2.5
# Inches of a line of a legend, and lines for which a panel has room.
_LEGEND_LINE: Final = 0.15
_FREE_LINES: Final = 2
# Inches that a picture may have.
_SMALLEST, _LARGEST = 2.0, 50.0
# Letters of a title in an inch.
_LETTERS: Final = 14

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
    "legend.fontsize": 7,
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
# A panel narrower than this has no room for its labels.
_NARROWEST: Final = 2.3
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
    except OSError as error:
        raise HcpError(
            f"matplotlib cannot keep its settings ({error}); set MPLCONFIGDIR to a folder with space"
        ) from None
    return plt


@dataclass(frozen=True)
class Size:
    """How large a picture is, in inches.

    Attributes:
        width: Of all panels in a row.
        height: Of the whole; None for a fixed height of each panel, and room for the legend.
    """

    width: float
    height: float | None = None

    def columns(self, panels: int) -> int:
        """How many panels stand in a row."""
        return max(1, min(panels, int(self.width / _NARROWEST)))


def size_from(text: str) -> Size:
    """The size that ``column``, ``page``, or width and height in inches stand for, such as ``5x3.5``.

    Raises:
        HcpError: If it is something else.
    """
    if text in SIZES:
        return SIZES[text]
    found = re.fullmatch(r"(\d+(?:\.\d+)?)x(\d+(?:\.\d+)?)", text)
    if found is None or not all(_SMALLEST <= float(part) <= _LARGEST for part in found.groups()):
        raise HcpError(
            f"figure size {text!r} is not understood; give {', '.join(SIZES)}, or inches from {_SMALLEST:g} to "
            f"{_LARGEST:g} such as 5x3.5"
        )
    return Size(float(found[1]), float(found[2]))


# Sizes by name.
SIZES: Final = {"column": Size(COLUMN), "page": Size(PAGE)}


@contextmanager
def drawing(
    target: str | os.PathLike[str] | io.BytesIO,
    rows: int,
    columns: int = 1,
    height: float = PANEL,
    size: Size | None = None,
) -> "Iterator[list[Axes]]":
    """Panels to draw into, row by row, each as wide as a column of a paper; written when the block is left.

    Args:
        target: The image file, whole or not there, whose ending says the format; or a buffer, for SVG.
        rows: Panels above each other.
        columns: Panels in a row.
        height: Of a panel in inches.
        size: Of the whole, where it is another.

    Raises:
        HcpError: If matplotlib is missing, the file cannot be written there, or no such format is known.
    """
    plt = pyplot()
    width = COLUMN if columns == 1 else PAGE * columns / 2
    whole = size or Size(width)
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            rows, columns, figsize=(whole.width, whole.height or height * rows), squeeze=False, layout="constrained"
        )
        try:
            yield list(axes.flat)
            if isinstance(target, io.BytesIO):
                figure.savefig(target, format="svg", metadata=_undated(".svg"))
            else:
                _save(figure, Path(target))
        finally:
            plt.close(figure)


def check_figures(names: Sequence[str], known: Iterable[str], what: str) -> None:
    """Refuses figures that are not known, before the work that they are for.

    Raises:
        HcpError: Names the choices.
    """
    unknown = next((name for name in names if name not in known), None)
    if unknown is not None:
        raise HcpError(f"there is no figure {unknown!r} of {what}; choose from {', '.join(known)}")


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


def shown_name(text: str, inches: float = COLUMN) -> str:
    """A name as matplotlib writes it on one line, without its middle where it is long; nothing in it is mathematics."""
    text, most = one_line(text), max(12, int(_LETTERS * inches))
    if len(text) > most:
        text = f"{text[: most // 2]}...{text[-(most // 2) + 3 :]}"
    # A label that begins with an underscore would be left out of the legend.
    return (" " if text.startswith("_") else "") + text.replace("$", r"\$")


def legend_below(axes: "Axes", columns: int = 4, under: float = -0.2) -> None:
    """A legend under the axes, where it covers nothing and leaves nothing; ``under`` leaves room for their labels."""
    if not axes.get_legend_handles_labels()[0]:
        return
    figure = axes.get_figure()
    place = axes.get_subplotspec()
    panels = 1 if place is None else place.get_gridspec().ncols

    def legend(ncols: int) -> "Legend":
        return axes.legend(
            loc="upper center", bbox_to_anchor=(0.5, under), ncols=ncols, columnspacing=1.0, handlelength=1.8
        )

    if figure is not None:
        _fitted(legend, columns, figure.bbox.width / panels)


def shared_legend(figure: "Figure", handles: "dict[str, Artist]", size: Size) -> None:
    """One legend under all panels, for which the picture grows where its height is not fixed."""
    if not handles:
        return

    def legend(ncols: int) -> "Legend":
        for other in list(figure.legends):
            other.remove()
        return figure.legend(
            handles.values(), handles.keys(), loc="outside lower center", ncols=ncols, columnspacing=1.0
        )

    columns = _fitted(legend, len(handles), figure.bbox.width)
    lines = -(-len(handles) // columns)
    if size.height is None:
        width, height = figure.get_size_inches()
        figure.set_size_inches(width, height + _LEGEND_LINE * max(0, lines - _FREE_LINES))


def _fitted(legend: "Callable[[int], Legend]", most: int, width: float) -> int:
    """Draws a legend with as many columns as the width in pixels has room for."""
    columns = most
    while legend(columns).get_window_extent().width > width and columns > 1:
        columns -= 1
    return columns


def _undated(suffix: str) -> dict[str, None]:
    key = {".pdf": "CreationDate", ".svg": "Date"}.get(suffix.lower())
    return {} if key is None else {key: None}
