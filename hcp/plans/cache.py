"""Plans that were made before: in this process, and in files that later processes and other ones at the same time use.

A file is a plan as ``save_plan`` writes it, whole or not there, named after everything that decides the plan: the graph
(its fingerprint), the budget, the host link, the planner with its options, the time limit, the seed and hcp's version.
What is read is replayed like any plan; whatever does not check out is ignored with a warning, and planned and written
anew.
"""

import hashlib
import json
import os
import threading
import warnings
from collections import OrderedDict
from dataclasses import dataclass, field, is_dataclass, replace
from pathlib import Path
from typing import Final

from hcp.graph.errors import HcpError
from hcp.planning.plan import Plan
from hcp.planning.planner import AnyPlanner
from hcp.planning.problem import Limits, Problem
from hcp.plans.file import load_plan, save_plan
from hcp.version import __version__

ENVIRONMENT: Final = "HCP_CACHE"
_REMEMBERED: Final = 64

CacheOption = bool | str | os.PathLike[str]


class CacheWarning(UserWarning):
    """A cache file that cannot be used or written; planning goes on without it."""


def default_folder() -> Path:
    """Where plans are kept: ``$HCP_CACHE``, else ``hcp`` in the user's cache folder."""
    named = os.environ.get(ENVIRONMENT)
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hcp"


@dataclass(frozen=True)
class PlanCache:
    """Plans by key, in memory and, where there is a folder, on disk.

    Attributes:
        folder: Made when the first plan is kept; None for memory only.
    """

    folder: Path | None
    _memory: OrderedDict[str, Plan] = field(default_factory=OrderedDict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def find(self, key: str, problem: Problem) -> tuple[Plan, str] | None:
        """A plan for this very problem and where it was found, or None."""
        with self._lock:
            plan, source = self._memory.get(key), "memory"
            if plan is None and self.folder is not None:
                path = self.folder / f"{key}.json"
                plan, source = _read(path, problem), path.name
                if plan is not None:
                    self._remember(key, plan)
        if plan is None:
            return None
        # Names of graphs and operations are not in the fingerprint; those of the graph at hand are shown.
        return replace(plan, problem=problem), source

    def keep(self, key: str, plan: Plan) -> None:
        """Remembers a plan, and writes it where there is a folder; a folder that cannot be written to warns."""
        with self._lock:
            self._remember(key, plan)
            if self.folder is None:
                return
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                save_plan(plan, self.folder / f"{key}.json")
            except (OSError, HcpError) as error:
                warn_of_cache(f"the plan was not cached: {error}")

    def _remember(self, key: str, plan: Plan) -> None:
        self._memory[key] = plan
        while len(self._memory) > _REMEMBERED:
            self._memory.popitem(last=False)


def folder_of(option: CacheOption) -> Path | None:
    """The folder that an option stands for: ``True`` for the default one, ``False`` for none.

    Raises:
        HcpError: On anything else but a path.
    """
    if not isinstance(option, bool | str | os.PathLike):
        raise HcpError(f"cache {option!r} is not understood; give a folder, True for the default one, or False")
    return default_folder() if option is True else None if option is False else Path(option)


def cache_for(option: CacheOption) -> PlanCache:
    """The plans kept in the folder that an option stands for, or in memory only.

    Raises:
        HcpError: See ``folder_of``.
    """
    folder = folder_of(option)
    if folder not in _CACHES:
        _CACHES[folder] = PlanCache(folder)
    return _CACHES[folder]


def warn_of_cache(message: str) -> None:
    """Says that the cache cannot be used."""
    warnings.warn(message, CacheWarning, stacklevel=3)


def identity_of(solver: str | AnyPlanner) -> str | None:
    """A planner with its options in words, for ``key_of``; None where its text does not tell it from others."""
    if isinstance(solver, str):
        return solver
    # Planners are frozen dataclasses of their options, which their text lists; an address in it changes with every run.
    text = repr(solver)
    return text if " at 0x" not in text and is_dataclass(solver) else None


def key_of(problem: Problem, limits: Limits, planner: str) -> str:
    """The name under which a plan for a problem is kept; ``planner`` says which one and with which options."""
    content = [
        __version__,
        problem.graph.fingerprint,
        problem.budget,
        planner,
        limits.time_limit,
        limits.seed,
        *([] if problem.host is None else [problem.host.to_dict()]),
    ]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]


_CACHES: Final[dict[Path | None, PlanCache]] = {}


def _read(path: Path, problem: Problem) -> Plan | None:
    if not path.exists():
        return None
    try:
        plan = load_plan(path)
    except HcpError as error:
        warn_of_cache(f"{error}; it is ignored, and replaced by a new plan")
        return None
    found = (plan.graph.fingerprint, plan.problem.budget, plan.problem.host)
    if found != (problem.graph.fingerprint, problem.budget, problem.host):
        warn_of_cache(
            f"cache file {str(path)!r} holds the plan of another problem; it is ignored, and replaced by a new plan"
        )
        return None
    return plan
