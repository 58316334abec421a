"""Plans whose compiled programs were measured, by the step that they are for: in this process, and in files.

A record is found before anything is lowered, by what Dynamo captured, so that a second start takes the plan from here
and the program from Inductor's own caches. Its plans are files as ``save_plan`` writes them; what is read is replayed.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from hcp.graph.errors import HcpError
from hcp.graph.files import read_json, write_atomically
from hcp.planning.plan import Plan
from hcp.plans.cache import CacheOption, folder_of, warn_of_cache
from hcp.plans.file import load_plan, save_plan
from hcp.schedule.actions import Compute
from hcp.version import __version__

SCHEMA: Final = "hcp-compiled/1"


def identity_of_plan(plan: Plan) -> str:
    """What tells the program of a plan from those of others, for Inductor's caches."""
    assert plan.schedule is not None
    steps = [step.node for step in plan.schedule.steps if isinstance(step, Compute)]
    content = json.dumps([__version__, plan.graph.fingerprint, steps])
    return hashlib.sha256(content.encode()).hexdigest()[:32]


@dataclass
class Compiled:
    """A plan whose compiled program was measured.

    Attributes:
        identity: Of the plan.
        cost: Of the plan.
        planned_bytes: Its peak.
        measured_bytes: The program's peak.
        plan: It, once it was made or read.
    """

    identity: str
    cost: int
    planned_bytes: int
    measured_bytes: int
    plan: Plan | None = None


@dataclass
class Record:
    """What is known of one step.

    Attributes:
        path: Its file, or None.
        whole_bytes: The peak of the program that Inductor makes without a plan; None where it was not measured.
        compiled: Plans, the latest last.
        answers: Requests that were answered, with the bytes that each allows.
    """

    path: Path | None = None
    whole_bytes: int | None = None
    compiled: list[Compiled] = field(default_factory=list)
    answers: dict[str, int] = field(default_factory=dict)

    def answer(self, request: str) -> tuple[Plan, int, int] | None:
        """The plan for a request that was answered before, its program's peak, and what the request allows.

        What was found for other budgets since serves as well, so that a plan never costs more than one for less
        memory. None where the request is new, or a file does not check out.
        """
        allowed = self.answers.get(request, 0)
        found = self.cheapest(allowed)
        plan = None if found is None else self.plan(found)
        return None if found is None or plan is None else (plan, found.measured_bytes, allowed)

    def cheapest(self, allowed: int) -> Compiled | None:
        """The cheapest plan whose program keeps what is allowed."""
        fitting = (each for each in self.compiled if each.measured_bytes <= allowed)
        return min(fitting, key=lambda each: (each.cost, each.measured_bytes), default=None)

    def plan(self, compiled: Compiled) -> Plan | None:
        """The plan itself."""
        if compiled.plan is None and self.path is not None:
            path = _plan_path(self.path, compiled.identity)
            try:
                compiled.plan = load_plan(path)
            except HcpError as error:
                warn_of_cache(f"{error}; it is ignored, and replaced by a new plan")
        return compiled.plan

    def add(self, compiled: Compiled) -> None:
        """Takes up a measured plan, in place of an earlier measurement of the same."""
        self.compiled = [each for each in self.compiled if each.identity != compiled.identity] + [compiled]

    def forget(self) -> None:
        """Drops all that is known, in its file as well: it is of another program."""
        self.whole_bytes = None
        self.compiled.clear()
        self.answers.clear()
        if self.path is not None:
            try:
                self.path.unlink(missing_ok=True)
            except OSError as error:
                warn_of_cache(f"the compiled plans of another program stay in the cache: {error}")

    def save(self) -> None:
        """Writes the record with its new plans, beside what other processes wrote meanwhile; warns where it cannot."""
        if self.path is None:
            return
        other = _read(self.path)
        for each in other.compiled:
            if all(each.identity != own.identity for own in self.compiled):
                self.compiled.append(each)
        self.answers = other.answers | self.answers
        self.whole_bytes = other.whole_bytes if self.whole_bytes is None else self.whole_bytes
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            for each in self.compiled:
                path = _plan_path(self.path, each.identity)
                if each.plan is not None and not path.exists():
                    save_plan(each.plan, path)
            write_atomically(self.path, json.dumps(self.to_dict()) + "\n")
        except (OSError, HcpError) as error:
            warn_of_cache(f"the compiled plan was not cached: {error}")

    def to_dict(self) -> dict[str, object]:
        """Ready for JSON; plans have files of their own."""
        compiled = [[each.identity, each.cost, each.planned_bytes, each.measured_bytes] for each in self.compiled]
        return {"schema": SCHEMA, "whole_bytes": self.whole_bytes, "compiled": compiled, "answers": self.answers}


def record_of(key: str, option: CacheOption) -> Record:
    """What is known of the step with a key."""
    folder = folder_of(option)
    known = _RECORDS.setdefault((folder, key), Record(None if folder is None else folder / f"compiled-{key}.json"))
    if known.path is not None and not known.compiled:
        read = _read(known.path)
        known.whole_bytes, known.compiled, known.answers = read.whole_bytes, read.compiled, read.answers
    return known


_RECORDS: Final[dict[tuple[Path | None, str], Record]] = {}


def _plan_path(record: Path, identity: str) -> Path:
    return record.parent / f"compiled-plan-{identity}.json"


def _read(path: Path) -> Record:
    if not path.exists():
        return Record(path)
    try:
        data = read_json(path, "cache file")
        if not isinstance(data, dict) or data.get("schema") != SCHEMA:
            raise HcpError(f"cache file {str(path)!r} is not of the kind {SCHEMA}")
        return _from_dict(data, path)
    except (HcpError, TypeError, ValueError, KeyError, AttributeError) as error:
        warn_of_cache(f"{error}; it is ignored, and what it held is found again")
        return Record(path)


def _from_dict(data: Mapping[str, Any], path: Path) -> Record:
    whole = data["whole_bytes"]
    compiled = [
        Compiled(str(name), int(cost), int(planned), int(peak)) for name, cost, planned, peak in data["compiled"]
    ]
    answers = {str(request): int(allowed) for request, allowed in data["answers"].items()}
    return Record(path, None if whole is None else int(whole), compiled, answers)
