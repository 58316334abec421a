"""What was measured on machines and asked of compilers: once in this process, and in a file beside the plans.

Later plans start from the same figures then, and are the same plans; and a later start has nothing to measure. Figures
are kept by what they depend on, such as a device, a framework's version, or a program.
"""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Final

from hcp.graph.errors import HcpError
from hcp.graph.files import read_json, write_atomically
from hcp.plans.cache import warn_of_cache
from hcp.schedule.actions import Schedule

SCHEMA: Final = "hcp-measured/2"
_REMEMBERED: Final = 64


@dataclass
class Measurements:
    """Figures of zero or more, by name.

    Attributes:
        path: The file; None for memory only.
        figures: What is known.
        fresh: Whether something was measured since the file was read or written.
        about: The schedules that were measured in this process, by the same names, where figures are about such.
        seconds: The longest that one took here.
    """

    path: Path | None = None
    figures: dict[str, float] = field(default_factory=dict)
    fresh: bool = False
    about: dict[str, Schedule] = field(default_factory=dict)
    seconds: float = 0.0

    @classmethod
    def of(cls, kind: str, depends: Sequence[str | int], folder: Path | None) -> "Measurements":
        """What is known of a kind; a damaged file is ignored with a warning.

        Args:
            kind: A word that begins the file's name.
            depends: Whatever other figures would be measured with.
            folder: Where the file is; None for what this process knows.
        """
        digest = hashlib.sha256(json.dumps([SCHEMA, *depends]).encode()).hexdigest()[:32]
        key = f"measured-{kind}-{digest}.json", folder
        if key not in _KNOWN:
            path = None if folder is None else folder / key[0]
            _KNOWN[key] = cls(path, _read(path))
        _KNOWN.move_to_end(key)
        while len(_KNOWN) > _REMEMBERED:
            _KNOWN.popitem(last=False)
        return _KNOWN[key]

    def get(self, name: str, measure: Callable[[], float]) -> float:
        """A figure, measured where it is not known; ``save`` writes it."""
        if name not in self.figures:
            start = monotonic()
            self.figures[name] = measure()
            self.seconds = max(self.seconds, monotonic() - start)
            self.fresh = True
        return self.figures[name]

    def save(self) -> None:
        """Writes what is new, beside what other processes wrote meanwhile; warns where it cannot."""
        if self.path is None or not self.fresh:
            return
        self.figures = _read(self.path) | self.figures
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self.path, json.dumps({"schema": SCHEMA, "figures": self.figures}, sort_keys=True) + "\n")
        except (OSError, HcpError) as error:
            warn_of_cache(f"what was measured was not cached: {error}")
        self.fresh = False


_KNOWN: Final[OrderedDict[tuple[str, Path | None], Measurements]] = OrderedDict()


def _read(path: Path | None) -> dict[str, float]:
    if path is None or not path.exists():
        return {}
    try:
        data = read_json(path, "cache file")
        figures = data.get("figures") if isinstance(data, dict) and data.get("schema") == SCHEMA else None
        if not isinstance(figures, dict):
            raise HcpError(f"cache file {str(path)!r} holds no measurements of {SCHEMA}")
        return {str(name): _figure(figure, path) for name, figure in figures.items()}
    except HcpError as error:
        warn_of_cache(f"{error}; it is ignored, and what it held is measured again")
        return {}


def _figure(figure: object, path: Path) -> float:
    if isinstance(figure, bool) or not isinstance(figure, int | float) or not 0 <= figure < float("inf"):
        raise HcpError(f"cache file {str(path)!r} holds {figure!r}; expected numbers of zero or more")
    return figure
