"""Checks of the library, each plan twice: by hcp, and by the checker that shares no code with it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from hcp.graph.errors import HcpError
from hcp.instances.record import Best, Instance
from hcp.planning.plan import EveryNodeOnce
from hcp.plans.file import save_plan
from hcp.plans.verify import check_plan

# Steps that the standalone checker may take for a plan: far more than any of the library's takes.
WORK: Final = 20_000_000_000
# Seconds that hcp's own check may take for a plan.
SECONDS: Final = 600.0
_MEGABYTES: Final = 256
_CHECKER: Final = "hcp_check"


@dataclass(frozen=True)
class Checked:
    """What the checks of one plan found.

    Attributes:
        name: Of the instance.
        budget: Of the plan.
        cost: Of the schedule.
        bound: That is certified.
        failed: Claims that do not hold, or are not proved; empty where all are.
    """

    name: str
    budget: str
    cost: int
    bound: int
    failed: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether every claim was proved by both."""
        return not self.failed

    def __str__(self) -> str:
        why = f": {'; '.join(self.failed)}" if self.failed else ""
        return f"{self.name} at {self.budget}: cost {self.cost}, certified bound {self.bound}{why}"

    def to_dict(self) -> dict[str, object]:
        """The result, ready for JSON."""
        return vars(self) | {"passed": self.passed, "failed": list(self.failed)}


def check_instance(instance: Instance, work: int = WORK) -> Iterator[Checked]:
    """Checks every plan of an instance.

    Args:
        instance: Of the library.
        work: Most steps of the standalone checker.

    Raises:
        HcpError: If the standalone checker is not installed.
    """
    if find_spec(_CHECKER) is None:
        raise HcpError(f"the module {_CHECKER} is not installed, which comes with hcp; install hcp again")
    with TemporaryDirectory() as folder:
        for best in instance.best:
            file = Path(folder) / "plan.json"
            save_plan(best.plan, file)
            failed = (*_by_hcp(file, best), *_standalone(file, best, work))
            yield Checked(instance.name, best.budget, best.cost, best.certified.value, failed)


def _by_hcp(file: Path, best: Best) -> list[str]:
    found = check_plan(file, SECONDS)
    if found.plan is None or found.plan.graph.fingerprint != best.plan.graph.fingerprint:
        return ["hcp verify: the file holds another plan"]
    return [f"hcp verify: {each.claim}: {each.reason}" for each in found.checks if each.verdict.value != "PASS"]


def _standalone(file: Path, best: Best, work: int) -> list[str]:
    """What the program says, in a process of its own, that it was not to be asked for."""
    options = ["--json", "--certified-only", "--work", str(work), "--megabytes", str(_MEGABYTES)]
    command = [sys.executable, "-m", _CHECKER, str(file), *options]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode == 2 or not ended.stdout:
        return [f"hcp-check: {ended.stderr.strip()}"]
    checks = json.loads(ended.stdout)["checks"]
    failed = [f"hcp-check: {each['claim']}: {each['reason']}" for each in checks if each["verdict"] != "PASS"]
    bound = best.certified
    if not isinstance(bound.certificate, EveryNodeOnce) and not any(
        str(bound.value) in each["claim"] for each in checks
    ):
        failed.append(f"hcp-check says nothing of the bound {bound.value}")
    return failed
