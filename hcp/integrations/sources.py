"""Where nodes come from in the user's program, as a short text."""

from pathlib import PurePath


def source_text(path: str, file: str, line: int) -> str:
    """What ``Node.source`` says, such as ``layers.3.attn: model.py:120``; parts that are not known are left out.

    Args:
        path: Of modules or named scopes.
        file: With the code; its folder is left out, as files of graphs may go to other machines.
        line: In the file.
    """
    place = f"{PurePath(file).name}:{line}" if file else ""
    return ": ".join(part for part in (path, place) if part)
