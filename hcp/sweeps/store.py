"""Results that outlive the process: an SQLite file with one row a graph, budget, planner and limits.

Every result is a transaction of its own, so that a process killed at any moment leaves whole rows only, and the primary
key lets no row come twice. What is read back is replayed: the store's own columns of cost and peak are for queries by
other programs, never for hcp.
"""

import json
import os
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeVar

from hcp.graph.errors import HcpError
from hcp.graph.format import graph_to_dict
from hcp.graph.ir import Graph
from hcp.plans.file import outcome_to_dict
from hcp.sweeps.results import Row
from hcp.sweeps.task import Task
from hcp.version import __version__

# "hcp" and the version of the tables, as SQLite's application_id and user_version.
_APPLICATION: Final = 0x686370
_VERSION: Final = 1

_TABLES: Final = """
CREATE TABLE graphs (
    fingerprint TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    content TEXT NOT NULL  -- hcp-graph/1
) WITHOUT ROWID;
CREATE TABLE grids (
    graph TEXT NOT NULL REFERENCES graphs,
    count INTEGER NOT NULL,
    budgets TEXT NOT NULL,  -- JSON: bytes
    PRIMARY KEY (graph, count)
) WITHOUT ROWID;
CREATE TABLE results (
    graph TEXT NOT NULL REFERENCES graphs,
    budget_bytes INTEGER NOT NULL,
    solver TEXT NOT NULL,
    time_limit REAL NOT NULL,
    workers INTEGER NOT NULL,
    seed INTEGER NOT NULL,
    status TEXT NOT NULL,
    cost INTEGER,
    peak INTEGER,
    bound INTEGER,
    seconds REAL,
    message TEXT NOT NULL,
    version TEXT NOT NULL,  -- of hcp
    outcome TEXT,  -- JSON: what a plan file holds apart from its graph; NULL without a plan
    PRIMARY KEY (graph, budget_bytes, solver, time_limit, workers, seed)
) WITHOUT ROWID;
"""


_KEY: Final = ("graph", "budget_bytes", "solver", "time_limit", "workers", "seed")
_WHERE: Final = " AND ".join(f"{column} = :{column}" for column in _KEY)

_Result = TypeVar("_Result")


class StoreError(HcpError):
    """A file that is no store of results, or that cannot be read or written."""


class Store:
    """Results in a file; several processes may use it at once.

    Args:
        path: Made if it is not there.

    Raises:
        StoreError: If it is another file, of another version, or cannot be used.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        if self.path.is_dir() or not self.path.absolute().parent.is_dir():
            raise StoreError(f"cannot use {str(self.path)!r} as a store; give a file in an existing folder")
        self._database = self._guarded(self._open)

    def find(self, task: Task) -> Row | None:
        """The stored result of a task, replayed; None where there is none yet.

        Raises:
            StoreError: If what is stored is not what replay confirms.
        """
        found = self._guarded(
            lambda: self._database.execute(
                f"SELECT status, message, outcome FROM results WHERE {_WHERE}", _key(task)
            ).fetchone()
        )
        if found is None:
            return None
        status, message, outcome = found
        row = replace(task.row, status=status, message=message)
        try:
            return task.restored(row, None if outcome is None else json.loads(outcome))
        except (HcpError, ValueError) as error:
            raise StoreError(
                f"store {str(self.path)!r}: the result of {task} is damaged ({error}); give another store"
            ) from None

    def add(self, task: Task, row: Row) -> None:
        """Stores a result; the first one of a task stays.

        Raises:
            StoreError: If the file cannot be written.
        """
        plan = row.plan
        figures = (None,) * 4 if plan is None else (_column(plan.cost), plan.peak, row.bound, plan.seconds)
        outcome = None if plan is None else json.dumps(outcome_to_dict(plan), separators=(",", ":"))
        values = (*(_key(task)[column] for column in _KEY), row.status, *figures, row.message, __version__, outcome)
        self._write(task.graph, f"INSERT OR IGNORE INTO results VALUES ({', '.join('?' * len(values))})", values)

    def other_versions(self) -> tuple[str, ...]:
        """The versions of hcp, other than this one, that results come from."""
        rows = self._guarded(lambda: self._database.execute("SELECT DISTINCT version FROM results").fetchall())
        return tuple(sorted(version for (version,) in rows if version != __version__))

    def grid(self, graph: Graph, count: int) -> tuple[int, ...] | None:
        """The budgets that a grid of this many stood for when it was first used; None where it was not."""
        found = self._guarded(
            lambda: self._database.execute(
                "SELECT budgets FROM grids WHERE graph = ? AND count = ?", (graph.fingerprint, count)
            ).fetchone()
        )
        return None if found is None else tuple(json.loads(found[0]))

    def add_grid(self, graph: Graph, count: int, budgets: Sequence[int]) -> None:
        """Remembers a grid, whose least budget comes from a search and may differ from run to run."""
        values = (graph.fingerprint, count, json.dumps(list(budgets)))
        self._write(graph, "INSERT OR IGNORE INTO grids VALUES (?, ?, ?)", values)

    def __len__(self) -> int:
        count: int = self._database.execute("SELECT count(*) FROM results").fetchone()[0]
        return count

    def close(self) -> None:
        """Closes the file."""
        self._database.close()

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> sqlite3.Connection:
        database = sqlite3.connect(self.path, timeout=60.0, isolation_level=None)
        try:
            self._prepare(database)
        except BaseException:
            database.close()
            raise
        return database

    def _prepare(self, database: sqlite3.Connection) -> None:
        database.execute("PRAGMA foreign_keys = ON")
        # Whoever comes first makes the tables; the others wait.
        database.execute("BEGIN IMMEDIATE")
        application = database.execute("PRAGMA application_id").fetchone()[0]
        version = database.execute("PRAGMA user_version").fetchone()[0]
        tables = database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if not tables and not application:
            for statement in _TABLES.split(";\n"):
                database.execute(statement)
            database.execute(f"PRAGMA application_id = {_APPLICATION}")
            database.execute(f"PRAGMA user_version = {_VERSION}")
        elif (application, version) != (_APPLICATION, _VERSION):
            raise StoreError(f"{str(self.path)!r} is a database, but no store of this hcp; give another file")
        database.execute("COMMIT")

    def _write(self, graph: Graph, statement: str, values: Sequence[object]) -> None:
        def write() -> None:
            content = json.dumps(graph_to_dict(graph), separators=(",", ":"))
            self._database.execute("BEGIN IMMEDIATE")
            try:
                self._database.execute(
                    "INSERT OR IGNORE INTO graphs VALUES (?, ?, ?)", (graph.fingerprint, graph.name, content)
                )
                self._database.execute(statement, values)
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")

        self._guarded(write)

    def _guarded(self, action: Callable[[], _Result]) -> _Result:
        try:
            return action()
        except sqlite3.Error as error:
            raise StoreError(
                f"cannot use {str(self.path)!r} as a store ({error}); check that it is one, and the disk's space"
            ) from error


def _column(cost: int | None) -> int | float | None:
    # A schedule that recomputes often can cost more than SQLite's integers hold.
    return cost if cost is None or cost < 2**63 else float(cost)


def _key(task: Task) -> dict[str, object]:
    row, limits = task.row, task.limits
    return {
        "graph": task.graph.fingerprint,
        "budget_bytes": row.budget_bytes,
        "solver": row.solver,
        "time_limit": float(limits.time_limit),
        "workers": limits.workers,
        "seed": limits.seed,
    }
