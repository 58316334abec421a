"""Where instances are: a compressed file each, and an index that says what is in them."""

import json
import lzma
import os
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from hcp.graph.errors import HcpError
from hcp.graph.fields import Record
from hcp.graph.files import read_json, write_atomically
from hcp.instances.record import Best, Instance, Origin
from hcp.schedule.replay import keep_everything_usage

INDEX: Final = "index.json"
SCHEMA: Final = "hcp-instances/1"
SUFFIX: Final = ".json.xz"
# Of a file once it is unpacked.
MOST_BYTES: Final = 256 * 2**20


@dataclass(frozen=True)
class Summary:
    """What the index says of an instance.

    Attributes:
        name: In the library.
        family: What models it belongs to.
        level: Where it was captured.
        training: Whether it has a backward pass.
        title: What it is.
        nodes: Of its graph.
        edges: Of its graph.
        base_cost: Of every node once, in ``cost_unit``.
        cost_unit: Of the graph.
        base_peak: Bytes of keep-everything.
        best: By budget: cost, bound, and where they come from.
    """

    name: str
    family: str
    level: str
    training: bool
    title: str
    nodes: int
    edges: int
    base_cost: int
    cost_unit: str
    base_peak: int
    best: tuple[dict[str, Any], ...]

    def to_dict(self) -> dict[str, Any]:
        """The summary, ready for JSON."""
        return vars(self) | {"best": list(self.best)}

    @classmethod
    def of(cls, instance: Instance) -> "Summary":
        """What the index is to say of an instance."""
        graph = instance.graph
        return cls(
            instance.name,
            instance.family,
            instance.level,
            instance.training,
            instance.title,
            len(graph.nodes),
            graph.edge_count,
            graph.base_cost,
            graph.cost_unit,
            keep_everything_usage(graph).peak,
            tuple(map(_best, instance.best)),
        )


def _best(best: Best) -> dict[str, Any]:
    plan, bound = best.plan, best.certified
    return {
        "budget": best.budget,
        "budget_bytes": plan.problem.budget,
        "cost": best.cost,
        "peak": plan.peak,
        "bound": bound.value,
        "bound_source": bound.source,
        "overhead": plan.overhead,
        "gap": best.gap,
        "optimal": best.cost <= bound.value,
        "solver": plan.planner,
        "schedule": best.schedule.to_dict(),
        "bound_from": best.bound.to_dict(),
    }


# The fields of what is said of a budget.
_BEST: Final = (
    "budget",
    "budget_bytes",
    "cost",
    "peak",
    "bound",
    "bound_source",
    "overhead",
    "gap",
    "optimal",
    "solver",
    "schedule",
    "bound_from",
)


def folder() -> Path:
    """Where the library's files are; ``$HCP_INSTANCES`` names another folder."""
    return Path(os.environ.get("HCP_INSTANCES") or Path(__file__).parent / "data")


def summaries() -> tuple[Summary, ...]:
    """All instances, by name.

    Raises:
        HcpError: If the index is missing or damaged.
    """
    return _summaries(folder())


@lru_cache(maxsize=4)
def _summaries(place: Path) -> tuple[Summary, ...]:
    file = place / INDEX
    record = Record(read_json(file, "index of instances"), f"index of instances {str(file)!r}")
    if record.get("schema") != SCHEMA:
        raise HcpError(f"{record.owner} has schema {record.get('schema')!r}; expected {SCHEMA!r}")
    return tuple(_summary(Record(item, f"a line of {record.owner}")) for item in record.items("instances"))


def _summary(record: Record) -> Summary:
    """A line of the index.

    Raises:
        HcpError: If it is none.
    """
    best = [Record(item, f"a budget in {record.owner}") for item in record.items("best")]
    for each in best:
        for key in ("budget_bytes", "cost", "peak", "bound"):
            each.amount(key)
        for key in ("budget", "bound_source", "solver"):
            each.text(key)
        for key in ("schedule", "bound_from"):
            Origin.from_record(Record(each.get(key), f"{key} in {record.owner}"))
        if not isinstance(each.get("gap"), float | int) or not isinstance(each.get("overhead"), float | int):
            raise HcpError(f"{each.owner} has no gap or overhead; expected numbers")
    return Summary(
        record.text("name"),
        record.text("family"),
        record.text("level"),
        record.flag("training", False),
        record.text("title"),
        record.amount("nodes"),
        record.amount("edges"),
        record.amount("base_cost"),
        record.text("cost_unit"),
        record.amount("base_peak"),
        tuple({key: each.get(key) for key in _BEST} for each in best),
    )


def summary(name: str) -> Summary:
    """What the index says of an instance.

    Raises:
        HcpError: If there is none of this name; names the nearest.
    """
    found = next((each for each in summaries() if each.name == name), None)
    if found is None:
        near = get_close_matches(name, names(), 3, 0.4)
        nearest = f"; the nearest are {', '.join(near)}" if near else ""
        raise HcpError(f"there is no instance {name!r}{nearest}; `hcp instances list` names all")
    return found


def misplaced() -> list[str]:
    """What is wrong between the index and the folder: files that it does not name, and names without a file."""
    files = {file.name.removesuffix(SUFFIX) for file in folder().glob(f"*{SUFFIX}")}
    known = set(names())
    return [
        *(f"the index does not name {name}{SUFFIX}" for name in sorted(files - known)),
        *(f"there is no file of {name}" for name in sorted(known - files)),
        *([] if known else ["the index names no instance"]),
    ]


def names() -> tuple[str, ...]:
    """The names of all instances."""
    return tuple(summary.name for summary in summaries())


def load(name: str) -> Instance:
    """An instance, its schedules replayed.

    Raises:
        HcpError: If there is none of this name (names the nearest), or its file is damaged.
    """
    summary(name)
    return read(folder() / f"{name}{SUFFIX}")


def read(file: Path) -> Instance:
    """The instance in a file.

    Raises:
        HcpError: If it cannot be read, or does not do what it says.
    """
    try:
        with lzma.open(file) as opened:
            text = opened.read(MOST_BYTES + 1)
        if len(text) > MOST_BYTES:
            raise HcpError(f"instance file {str(file)!r} unpacks to more than {MOST_BYTES >> 20} MiB")
        found = Instance.from_dict(json.loads(text))
        if file.name != f"{found.name}{SUFFIX}":
            raise HcpError(f"it holds the instance {found.name!r}; its name should be {found.name}{SUFFIX}")
        return found
    except (OSError, EOFError, lzma.LZMAError, ValueError, RecursionError) as error:
        raise HcpError(
            f"instance file {str(file)!r} cannot be read ({error}); install hcp again, or fetch it"
        ) from None
    except HcpError as error:
        raise HcpError(f"instance file {str(file)!r}: {error}") from None


def save(instance: Instance, place: Path | None = None) -> None:
    """Writes an instance into a folder, the library's own by default, and its line into the index there.

    Raises:
        HcpError: If it cannot be written.
    """
    where = place or folder()
    text = json.dumps(instance.to_dict(), separators=(",", ":"), sort_keys=True)
    write_atomically(where / f"{instance.name}{SUFFIX}", lzma.compress(text.encode(), preset=9))
    # Another process may have written it.
    _summaries.cache_clear()
    others = _summaries(where) if (where / INDEX).exists() else ()
    write_index([*(other for other in others if other.name != instance.name), Summary.of(instance)], where)


def write_index(rows: Iterable[Summary], where: Path) -> None:
    """Writes the index of a folder.

    Raises:
        HcpError: If it cannot be written.
    """
    ordered = sorted(rows, key=lambda row: row.name)
    lines = ",\n".join(json.dumps(row.to_dict(), sort_keys=True) for row in ordered)
    write_atomically(where / INDEX, f'{{"schema": "{SCHEMA}", "instances": [\n{lines}\n]}}\n')
    _summaries.cache_clear()
