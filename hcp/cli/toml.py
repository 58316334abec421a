"""TOML files that the commands read."""

import tomllib
from pathlib import Path
from typing import Any

from hcp.graph.errors import HcpError


def read_toml(path: Path, what: str) -> dict[str, Any]:
    """The content of a TOML file.

    Args:
        path: The file.
        what: It is, for messages, such as ``"config file"``.

    Raises:
        HcpError: If the file cannot be read or is no TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise HcpError(f"cannot read {what} {str(path)!r} ({reason}); give a TOML file") from None
    except tomllib.TOMLDecodeError as error:
        raise HcpError(f"{what} {str(path)!r} is not TOML ({error}); correct it") from None


def known_key(owner: str, key: str, choices: list[str]) -> str:
    """A key that is one of the choices.

    Raises:
        HcpError: If it is not; the message lists the choices.
    """
    if key not in choices:
        raise HcpError(f"{owner} has unknown key {key!r}; choose from {', '.join(choices)}")
    return key
