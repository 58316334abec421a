"""Names and versions of what plan files hold, and the choice of who reads it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from hcp.graph.errors import GraphError

Entry = TypeVar("Entry")


class NotChecked(GraphError):
    """What this hcp cannot check, though it may be right: it is of an unknown kind or version, or too large."""


@dataclass(frozen=True)
class Format:
    """A format of plan files, defined beside the code that rebuilds rows from it.

    Attributes:
        name: What files call it.
        version: Goes up with every change of those rows: files that count on the old ones are refused then, and not
            misread.
    """

    name: str
    version: int = 1

    def __str__(self) -> str:
        return f"{self.name}/{self.version}"


def entry_for(text: str, table: Mapping[Format, Entry], owner: str) -> Entry:
    """The entry of the format that a file names; without a version it is the first one.

    Args:
        text: Such as ``"conflicts/1"``.
        table: By format.
        owner: How error messages call what is read.

    Raises:
        NotChecked: If there is no such format, or it has another version now.
    """
    name, _, version = text.partition("/")
    for known, entry in table.items():
        if known.name == name and str(known.version) == (version or "1"):
            return entry
        if known.name == name:
            raise NotChecked(
                f"{owner} is {text!r}, but this hcp reads {str(known)!r}: plan again, or verify the file with the hcp "
                "that wrote it"
            )
    raise NotChecked(f"{owner} is {text!r}; expected one of {', '.join(repr(str(known)) for known in table)}")
