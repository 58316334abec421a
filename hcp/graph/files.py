"""Reading and writing whole JSON files: clear errors, and nothing half-written."""

import json
import os
from pathlib import Path

from hcp.graph.errors import GraphError, HcpError


def read_json(path: str | os.PathLike[str], what: str = "graph file", *, strict: bool = False) -> object:
    """The content of a JSON file.

    Args:
        path: Where it is.
        what: How an error message calls it.
        strict: Whether to refuse what is no JSON, though many readers take it: a byte order mark, NaN and infinities.
            Numbers such as 3.0 are integers then, wherever they stand.

    Raises:
        GraphError: If it is missing, a directory, unreadable or not JSON.
    """
    file = Path(path)
    # Path.is_dir() raises an error where the name is too long for one.
    if os.path.isdir(file):  # noqa: PTH112
        raise GraphError(f"{what} {str(file)!r} is a directory; give the path of a JSON file")
    try:
        text = file.read_text(encoding="utf-8" if strict else "utf-8-sig")
    except FileNotFoundError:
        raise GraphError(f"{what} {str(file)!r} does not exist; check the path") from None
    except UnicodeDecodeError as error:
        raise GraphError(f"{what} {str(file)!r} is not UTF-8 text ({error.reason}); give a JSON file") from None
    except (OSError, ValueError) as error:
        raise GraphError(f"{what} {str(file)!r} cannot be read ({error}); check its path and permissions") from None
    try:
        if strict:
            return json.loads(text, parse_float=_number, parse_constant=_no_number, object_pairs_hook=_object)
        return json.loads(text, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        raise GraphError(
            f"{what} {str(file)!r} is not JSON (line {error.lineno}, column {error.colno}: {error.msg}); "
            "it may be truncated: write it again"
        ) from None
    except _Twice as error:
        raise GraphError(f"{what} {str(file)!r}: {error}; write it once") from None
    except (ValueError, RecursionError) as error:
        # Numbers of thousands of digits and thousands of nested brackets are JSON, but no graph.
        raise GraphError(f"{what} {str(file)!r} is beyond what JSON readers take ({error}); write it again") from None


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """An object of which no field is given twice; readers would take one of them without a word."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _Twice(f"an object has the field {twice!r} twice")
    return found


class _Twice(Exception):
    """A field that is there twice."""


def _number(text: str) -> int | float:
    """What a JSON number with a point or an exponent stands for."""
    number = float(text)
    return int(number) if number.is_integer() else number


def _no_number(text: str) -> float:
    """Refuses a constant that JSON has not."""
    raise ValueError(f"{text} is no JSON number")


def write_atomically(path: str | os.PathLike[str], content: str | bytes) -> None:
    """Writes a whole file or none of it: a temporary file beside it takes its place at the end.

    Raises:
        HcpError: If the file cannot be written there.
    """
    file = Path(path)
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)
        temporary.replace(file)
    except (OSError, ValueError) as error:
        raise HcpError(f"cannot write {str(file)!r} ({error}); give a file in an existing, writable folder") from None
    finally:
        temporary.unlink(missing_ok=True)
