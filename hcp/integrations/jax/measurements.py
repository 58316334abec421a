"""What compilers said that programs take: asked once, in this process and, where there is a folder, beside the plans.

Compiling is most of what it takes to keep a budget, and a later start needs it no more than it needs to plan.
"""

import hashlib
import json
import os
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Final

import jax

from hcp.graph.errors import HcpError
from hcp.graph.files import read_json, write_atomically
from hcp.plans.cache import CacheOption, folder_of, warn_of_cache
from hcp.schedule.actions import Schedule
from hcp.version import __version__

SCHEMA: Final = "hcp-measured/1"
_REMEMBERED: Final = 64


@dataclass
class Measurements:
    """Bytes by name.

    Attributes:
        path: The file; None for memory only.
        taken: What is known.
        about: What was measured in this process, by the same names.
        seconds: The longest that one took here.
    """

    path: Path | None = None
    taken: dict[str, int] = field(default_factory=dict)
    about: dict[str, Schedule] = field(default_factory=dict)
    seconds: float = 0.0
    _written: int = 0

    @classmethod
    def of(cls, subject: str, cache: CacheOption) -> "Measurements":
        """What is known of a subject, such as one program, on the devices at hand."""
        device, flags = jax.devices()[0].device_kind, os.environ.get("XLA_FLAGS", "")
        text = json.dumps([__version__, jax.__version__, subject, jax.default_backend(), device, flags])
        folder, name = folder_of(cache), hashlib.sha256(text.encode()).hexdigest()[:32]
        key = name, folder
        if key not in _KNOWN:
            path = None if folder is None else folder / f"jax-{name}.json"
            found = _read(path)
            _KNOWN[key] = cls(path, found, _written=len(found))
        _KNOWN.move_to_end(key)
        while len(_KNOWN) > _REMEMBERED:
            _KNOWN.popitem(last=False)
        return _KNOWN[key]

    def get(self, name: str, take: Callable[[], int]) -> int:
        """A measurement, which is made if it is not known; ``save`` writes it."""
        if name not in self.taken:
            start = monotonic()
            self.taken[name] = take()
            self.seconds = max(self.seconds, monotonic() - start)
        return self.taken[name]

    def save(self) -> None:
        """Writes what is new, beside what other processes wrote meanwhile; warns where it cannot."""
        if self.path is None or len(self.taken) == self._written:
            return
        self.taken = _read(self.path) | self.taken
        self._written = len(self.taken)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self.path, json.dumps({"schema": SCHEMA, "taken": self.taken}))
        except (OSError, HcpError) as error:
            warn_of_cache(f"what programs take was not cached: {error}")


_KNOWN: Final[OrderedDict[tuple[str, Path | None], Measurements]] = OrderedDict()


def _read(path: Path | None) -> dict[str, int]:
    if path is None or not path.exists():
        return {}
    try:
        found = read_json(path)
        taken = found["taken"] if isinstance(found, dict) and found.get("schema") == SCHEMA else None
        if isinstance(taken, dict) and all(isinstance(amount, int) and amount >= 0 for amount in taken.values()):
            return {str(name): amount for name, amount in taken.items()}
        raise HcpError(f"{path} holds no measurements")
    except HcpError as error:
        warn_of_cache(f"{error}; it is ignored, and written anew")
        return {}
