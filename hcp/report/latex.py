"""LaTeX that compiles whatever names it is given: text of any characters, and tables that fit where they stand."""

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from hcp.graph.errors import HcpError
from hcp.report.units import one_line

_SPECIAL: Final = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "`": r"\textasciigrave{}",
    # LaTeX's own encoding has other characters in the places of these.
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"{\ttfamily\char34}",
    # Behind the end of a row these would be its options.
    "[": "{[}",
    "*": "{*}",
    # What LaTeX's own encoding has, by other means than bytes.
    "\N{LATIN SMALL LETTER SHARP S}": r"\ss{}",
    "\N{LATIN SMALL LETTER AE}": r"\ae{}",
    "\N{LATIN CAPITAL LETTER AE}": r"\AE{}",
    "\N{LATIN SMALL LETTER O WITH STROKE}": r"\o{}",
    "\N{LATIN CAPITAL LETTER O WITH STROKE}": r"\O{}",
    "\N{LATIN SMALL LIGATURE OE}": r"\oe{}",
    "\N{LATIN CAPITAL LIGATURE OE}": r"\OE{}",
    "\N{LATIN SMALL LETTER L WITH STROKE}": r"\l{}",
    "\N{LATIN CAPITAL LETTER L WITH STROKE}": r"\L{}",
    "\N{EN DASH}": "--",
    "\N{EM DASH}": "---",
    "\N{LEFT SINGLE QUOTATION MARK}": "`",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "\N{LEFT DOUBLE QUOTATION MARK}": "``",
    "\N{RIGHT DOUBLE QUOTATION MARK}": "''",
    "\N{HORIZONTAL ELLIPSIS}": r"\ldots{}",
    "\N{MIDDLE DOT}": r"$\cdot$",
    "\N{MULTIPLICATION SIGN}": r"$\times$",
    "\N{PLUS-MINUS SIGN}": r"$\pm$",
    "\N{LESS-THAN OR EQUAL TO}": r"$\le$",
    "\N{GREATER-THAN OR EQUAL TO}": r"$\ge$",
    "\N{RIGHTWARDS ARROW}": r"$\to$",
    "\N{INFINITY}": r"$\infty$",
    "\N{MICRO SIGN}": r"$\mu$",
    "\N{DEGREE SIGN}": r"$^{\circ}$",
    "\N{ASTERISK OPERATOR}": r"$^{\ast}$",
    "\N{DAGGER}": r"$^{\dagger}$",
    "\N{DOUBLE DAGGER}": r"$^{\ddagger}$",
}
_ACCENTS: Final = dict(
    zip("\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030a\u030b\u030c\u0327", "`'^~=u.\"rHvc", strict=True)
)
_GREEK: Final = re.compile(
    "alpha|beta|gamma|delta|epsilon|zeta|eta|theta|iota|kappa|lambda|mu|nu|xi|pi|rho|sigma|tau|upsilon|phi|chi|psi|omega"
    "|Gamma|Delta|Theta|Lambda|Xi|Pi|Sigma|Upsilon|Phi|Psi|Omega"
)

# Columns of a table that fits one of two columns of text, and how wide that is in points on either paper.
_ONE_COLUMN: Final = 4
_COLUMN_POINTS: Final = 220
# Of a digit of 8 points, and between two columns of the table.
_DIGIT_POINTS: Final = 4.25
_BETWEEN_POINTS: Final = 8
# Letters of a line in a cell of text, and of all of them; what is longer is cut in its middle.
_LINE: Final = 16
_LONGEST: Final = 64
# Lines that fit a page, what a rule between two groups takes of it, and letters in a line of the caption.
_PAGE: Final = 50
_RULE: Final = 0.8
_SENTENCE: Final = 70
# Letters in a row after which a text between tables may break.
_UNBROKEN: Final = 12


def latex_text(text: str) -> str:
    """A text that every LaTeX shows, with the standard fonts: characters of no use there become their numbers."""
    text = one_line(text)
    # Two hyphens or two quotes would become one other sign.
    parts = ("{}" if c in "-'" and c == before else "" for before, c in zip(f" {text}", text, strict=False))
    return "".join(part + _character(c) for part, c in zip(parts, text, strict=True))


def check_label(label: str) -> str:
    """A label that LaTeX takes.

    Raises:
        HcpError: If LaTeX would stumble over it.
    """
    if not label.isascii() or not label.isprintable() or set(label) & set("\\{}%#~^$& ,"):
        raise HcpError(
            rf"label {label!r} cannot be one in LaTeX; give letters, digits and -_:./ alone, such as 'tab:hcp'"
        )
    return label


def latex_table(
    headers: Sequence[str],
    rows: Sequence[Sequence[str]],
    numeric: Sequence[bool],
    *,
    bold: frozenset[tuple[int, int]] = frozenset(),
    marks: Mapping[tuple[int, int], str] | None = None,
    caption: str = "",
    label: str = "",
    below: str = "",
) -> str:
    r"""A tabular that needs the booktabs package, with a rule between groups of the first column.

    Long names are broken into lines. Within a table environment it takes a smaller font where it would be too wide, and
    one of more rows than a page has becomes several.

    Args:
        headers: One a column; a line break in one is a line break.
        rows: Cells, as many as headers. An empty one at the beginning of a row goes on with the group above.
        numeric: Per column: whether it is aligned to the right.
        bold: Row and column of cells to point out.
        marks: By row and column: signs behind a cell that are no part of its text.
        caption: Where given, a table environment with it above the tabular, ``table*`` where one column is too narrow.
        label: Of that environment.
        below: A sentence under the tabular of that environment.

    Raises:
        HcpError: If LaTeX cannot take the label.
    """
    marked = {} if marks is None else marks
    head = [_row([_stacked(header.split("\n"), "b", right) for header, right in zip(headers, numeric, strict=True)])]

    def cell(i: int, j: int, lines: Sequence[str]) -> str:
        text = _stacked(lines, "t", numeric[j], r"\textbf" if (i, j) in bold else "")
        # As much room in every row, so that numbers stand below each other.
        room = any(column == j for _, column in marked)
        return text + (rf"\makebox[0.6em][l]{{{latex_text(marked.get((i, j), ''))}}}" if room else "")

    whole = _Tabular(numeric, head, rows, cell)
    if not caption:
        return "\n".join(whole.lines(range(len(rows)))) + "\n"
    check_label(label)
    wide = len(headers) > _ONE_COLUMN or whole.points(headers) > _COLUMN_POINTS
    found: list[str] = []
    for part in whole.pages(_PAGE - max(len(caption), len(below)) / _SENTENCE):
        text = _loose(caption)
        if found:
            text = rf"Continued from Table~\ref{{{label}}}." if label else "Continued."
        named = [rf"\label{{{label}}}"] if label and not found else []
        last = part.stop == len(rows)
        found += _environment(
            "table*" if wide else "table",
            [rf"\caption{{{text}}}", *named, r"\par\smallskip"],
            whole.lines(part),
            below if last else "",
        )
    return "\n".join(found) + "\n"


def _environment(kind: str, top: Sequence[str], tabular: Sequence[str], below: str) -> list[str]:
    """A float whose tabular takes a smaller font where it is wider than the text."""
    return [
        rf"\begin{{{kind}}}",
        r"\centering",
        r"\sloppy",
        r"\footnotesize",
        r"\setlength{\tabcolsep}{4pt}",
        *top,
        # Sizes end with the group.
        r"{\def\hcptabular{%",
        *tabular[:-1],
        tabular[-1] + "}%",
        *(
            rf"\setbox0\hbox{{\hcptabular}}\ifdim\wd0>\linewidth {size}\setlength{{\tabcolsep}}{{{between}}}\fi"
            for size, between in ((r"\footnotesize", "2.5pt"), (r"\scriptsize", "2.5pt"), (r"\tiny", "1.5pt"))
        ),
        r"\hcptabular\par}",
        *([rf"\smallskip\parbox{{\linewidth}}{{{_loose(below)}}}"] if below else []),
        rf"\end{{{kind}}}",
    ]


class _Tabular:
    """Rows that can be laid out in parts."""

    def __init__(
        self,
        numeric: Sequence[bool],
        head: Sequence[str],
        rows: Sequence[Sequence[str]],
        cell: Callable[[int, int, Sequence[str]], str],
    ) -> None:
        self.columns = "".join("r" if right else "l" for right in numeric)
        self.numeric, self.head, self.rows, self.cell = numeric, head, rows, cell

    def lines(self, part: range) -> list[str]:
        """The tabular of some of the rows."""
        lines = [rf"\begin{{tabular}}{{@{{}}{self.columns}@{{}}}}", r"\toprule", *self.head, r"\midrule"]
        grid = [self._cells(i, first=i == part.start) for i in part]
        for place, i in enumerate(part):
            if place and self.rows[i][0] not in ("", self.rows[i - 1][0]):
                lines.append(r"\midrule")
            # The rest of a long name stands beside the rows that it is about.
            while len(grid[place][0]) > 1 and self._goes_on(i + 1, part):
                grid[place + 1][0] = grid[place][0][1:]
                grid[place][0] = grid[place][0][:1]
            lines.append(_row([self.cell(i, j, cell) for j, cell in enumerate(grid[place])]))
        return [*lines, r"\bottomrule", r"\end{tabular}"]

    def _goes_on(self, i: int, part: range) -> bool:
        return i in part and not self.rows[i][0]

    def _cells(self, i: int, *, first: bool) -> list[list[str]]:
        """The cells of a row in lines; those of the first row on a page are named again."""
        named = [self.rows[self._named(i, j) if first else i][j] for j in range(len(self.numeric))]
        return [[text] if right else _broken(text) for text, right in zip(named, self.numeric, strict=True)]

    def pages(self, room: float) -> Iterator[range]:
        """The rows by page of so many lines; one part where there are no rows."""
        start, height = 0, 0.0
        for i, row in enumerate(self.rows):
            lines = max(
                (len(_broken(text)) for text, right in zip(row, self.numeric, strict=True) if not right), default=1
            )
            if height + lines > room and i > start:
                yield range(start, i)
                start, height = i, 0.0
            height += lines + (_RULE if row[0] else 0)
        yield range(start, len(self.rows))

    def points(self, headers: Sequence[str]) -> float:
        """About how wide it is."""
        texts = [header.split("\n") for header in headers]
        for row in self.rows:
            for j, text in enumerate(row):
                texts[j] += [text] if self.numeric[j] else _broken(text)
        widest = sum(max(map(_width, column)) for column in texts)
        return widest * _DIGIT_POINTS + (len(headers) - 1) * _BETWEEN_POINTS

    def _named(self, i: int, j: int) -> int:
        """The row that says what an empty cell at the beginning of row i stands for."""
        if any(self.rows[i][: j + 1]):
            return i
        return next((above for above in range(i, -1, -1) if self.rows[above][j]), i)


def _row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _stacked(lines: Sequence[str], place: str, right: bool, command: str = "") -> str:
    texts = [latex_text(line) for line in lines]
    texts = [f"{command}{{{text}}}" for text in texts] if command else texts
    if len(texts) == 1:
        return texts[0]
    column = "r" if right else "l"
    return rf"\begin{{tabular}}[{place}]{{@{{}}{column}@{{}}}}" + r" \\ ".join(texts) + r"\end{tabular}"


def _broken(text: str) -> list[str]:
    """A name in lines, broken behind what joins words where there is such a place."""
    text = shortened(text)
    lines = []
    while _width(text) > _LINE:
        line = _start(text, _LINE)
        joint = max((line.rfind(joiner) for joiner in "-_./:, "), default=-1) + 1
        line = line[:joint] if joint > len(line) // 3 else line
        lines.append(line.rstrip())
        text = text[len(line) :]
    return [*lines, text]


def shortened(text: str) -> str:
    """A name, without its middle where it is very long."""
    if _width(text) <= _LONGEST:
        return text
    return f"{_start(text, _LONGEST // 2)}...{_start(text[::-1], _LONGEST // 2)[::-1]}"


def _start(text: str, width: float) -> str:
    """As much of the beginning as is so wide, and one character at least."""
    taken = 0.0
    for i, character in enumerate(text):
        taken += _width(character)
        if taken > width:
            return text[: max(1, i)]
    return text


def _width(text: str) -> float:
    """About how wide a text is, in digits."""
    return sum(_character_width(character) for character in text)


def _character_width(character: str) -> float:
    if character in "mwMW%@":
        return 1.95
    if character.isupper():
        return 1.4
    shown = _character(character)
    return float(len("<U+0000>")) * 1.1 if shown.startswith(r"\texttt") else 1.0


def _loose(text: str) -> str:
    """A sentence in which words of any length can be broken."""
    words = (
        r"\allowbreak{}".join(latex_text(word[i : i + _UNBROKEN]) for i in range(0, len(word), _UNBROKEN))
        for word in text.split()
    )
    return " ".join(words)


def _character(character: str) -> str:
    if character in _SPECIAL:
        return _SPECIAL[character]
    if character.isascii():
        return character
    parts = unicodedata.normalize("NFD", character)
    letter, accent = parts[0], parts[1:]
    if accent in _ACCENTS and letter.isascii():
        # An accent takes the place of the dot.
        return rf"\{_ACCENTS[accent]}{{" + ("\\" if letter in "ij" else "") + letter + "}"
    return _greek(character) or rf"\texttt{{<U+{ord(character):04X}>}}"


def _greek(character: str) -> str:
    """A Greek letter in mathematics; empty for others."""
    words = unicodedata.name(character, "").split()
    if len(words) != 4 or words[0] != "GREEK" or words[2] != "LETTER":
        return ""
    name = words[3].lower().replace("lamda", "lambda")
    name = name.capitalize() if words[1] == "CAPITAL" else name
    return rf"$\{name}$" if _GREEK.fullmatch(name) else ""
