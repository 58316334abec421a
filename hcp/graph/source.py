"""Where nodes come from in the user's program, as the short text that ``Node.source`` is."""

import re
from pathlib import PurePath
from typing import Final, NamedTuple

_PLACE: Final = re.compile(r"(?:(?P<path>.*): )?(?P<file>[^:]+):(?P<line>\d+)", re.DOTALL)


class Source(NamedTuple):
    """The parts of such a text.

    Attributes:
        path: Of modules or named scopes; empty where it is not known.
        file: With the code; empty where it is not known.
        line: In the file, else 0.
    """

    path: str
    file: str
    line: int


def source_text(path: str, file: str, line: int) -> str:
    """What ``Node.source`` says, such as ``layers.3.attn: model.py:120``; parts that are not known are left out.

    Args:
        path: Of modules or named scopes.
        file: With the code; its folder is left out, as files of graphs may go to other machines.
        line: In the file.
    """
    place = f"{PurePath(file).name}:{line}" if file else ""
    return ": ".join(part for part in (path, place) if part)


def source_parts(text: str) -> Source:
    """What such a text says; any other text is taken for a path."""
    found = _PLACE.fullmatch(text)
    return Source(text, "", 0) if found is None else Source(found["path"] or "", found["file"], int(found["line"]))
