"""Sweeps on a Ray cluster; needs the extra ``ray``.

Each worker is an actor that runs one task at a time. What a worker sends back is what a plan file holds, and the caller
replays it: no claim of another machine is trusted. A worker that dies takes its task to another one, a few times.
"""

import os
import socket
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from hcp.graph.errors import HcpError
from hcp.graph.ir import Graph
from hcp.planning.deadline import Stop
from hcp.planning.problem import Limits, Monitor
from hcp.plans.file import outcome_to_dict
from hcp.sweeps.results import FAILED, Row
from hcp.sweeps.task import Notice, Task

# A planner that takes its worker with it each time will do so again.
_ATTEMPTS: Final = 3
# Seconds between two looks at whether to stop.
_PULSE: Final = 0.5
# Graphs and plans are small; Ray would take a third of the machine's memory.
_OBJECT_BYTES: Final = 2**28


@dataclass(frozen=True)
class RayEngine:
    """Runs tasks on a Ray cluster.

    Attributes:
        address: Of a cluster; None starts one on this machine, and ends it when the sweep is done.
        processes: Workers of a cluster that is started here; one a core where not given.

    Raises:
        HcpError: If Ray is not installed, or the number of workers is not positive.
    """

    address: str | None = None
    processes: int | None = None

    def __post_init__(self) -> None:
        _ray()
        if self.processes is not None and self.processes < 1:
            raise HcpError(f"{self.processes} processes cannot run anything; give at least 1")

    def run(
        self,
        tasks: Sequence[Task],
        monitor: Monitor,  # noqa: ARG002 - searches run in other processes
        notice: Notice,
        stop: Stop,
    ) -> Iterator[tuple[int, Row]]:
        """See ``Engine``; rows come in the order in which they are done."""
        if not tasks:
            return
        ray = _ray()
        mine = not ray.is_initialized()
        if mine:
            self._start(ray)
        pool = _Pool(ray, tasks, notice)
        try:
            yield from pool.results(stop)
            if stop():
                notice("stopped by the user; what is done is kept")
        finally:
            pool.end()
            if mine:
                ray.shutdown()

    def _start(self, ray: Any) -> None:  # noqa: ANN401 - a module that may be missing
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        options: dict[str, Any] = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR"}
        if self.address is None:
            options |= {"num_cpus": self.processes, "object_store_memory": _OBJECT_BYTES}
        try:
            ray.init(address=self.address or "local", **options)
        except (ConnectionError, RuntimeError, ValueError) as error:
            where = "on this machine" if self.address is None else f"at {self.address!r}"
            first = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise HcpError(f"no Ray cluster {where} ({first}); check the address, or leave it out") from None


class _Worker:
    """What runs on the cluster."""

    def name(self) -> str:
        """Where it is."""
        return f"process {os.getpid()} on {socket.gethostname()}"

    def run(self, graph: Graph, row: Row, limits: Limits) -> tuple[Row, dict[str, object] | None]:
        """The row without its plan, and the plan as a plan file holds it."""
        found = Task(graph, row, limits).run()
        outcome = None if found.plan is None else outcome_to_dict(found.plan)
        return replace(found, plan=None), outcome


class _Pool:
    """Workers and the tasks that they run."""

    def __init__(self, ray: Any, tasks: Sequence[Task], notice: Notice) -> None:  # noqa: ANN401
        self._ray = ray
        self._tasks = tasks
        self._notice = notice
        self._waiting = deque(range(len(tasks)))
        self._attempts = [0] * len(tasks)
        self._graphs: dict[str, Any] = {}
        # Running calls, with the worker and the task's position.
        self._running: dict[Any, tuple[Any, int]] = {}
        self._names: dict[Any, str] = {}

    def results(self, stop: Stop) -> Iterator[tuple[int, Row]]:
        """Rows as they come, until a stop is requested."""
        cores = int(self._ray.cluster_resources().get("CPU", 1))
        for _ in range(min(max(1, cores), len(self._tasks))):
            self._next(self._worker())
        while self._running and not stop():
            done, _ = self._ray.wait(list(self._running), num_returns=1, timeout=_PULSE)
            if not done:
                continue
            worker, position = self._running.pop(done[0])
            row, worker = self._outcome(done[0], worker, position)
            if row is not None:
                yield position, row
            self._next(worker)

    def end(self) -> None:
        """Ends the workers, whatever they do."""
        for worker in self._names:
            with suppress(Exception):
                self._ray.kill(worker)

    def _worker(self) -> Any:  # noqa: ANN401
        worker = self._ray.remote(num_cpus=1, max_restarts=0)(_Worker).remote()
        try:
            self._names[worker] = self._ray.get(worker.name.remote())
        except self._ray.exceptions.RayError as error:
            first = str(error).strip().splitlines()[0]
            raise HcpError(f"a Ray worker could not be started ({first}); check that hcp is installed there") from None
        return worker

    def _next(self, worker: Any) -> None:  # noqa: ANN401
        if not self._waiting:
            return
        position = self._waiting.popleft()
        task = self._tasks[position]
        key = f"{task.row.graph} {task.graph.fingerprint}"
        if key not in self._graphs:
            self._graphs[key] = self._ray.put(task.graph)
        self._attempts[position] += 1
        call = worker.run.remote(self._graphs[key], task.row, task.limits)
        self._running[call] = (worker, position)

    def _outcome(self, call: Any, worker: Any, position: int) -> tuple[Row | None, Any]:  # noqa: ANN401
        """The task's row, or None where it has to be run again, and a worker for what comes next."""
        task = self._tasks[position]
        try:
            row, outcome = self._ray.get(call)
        except self._ray.exceptions.RayTaskError as error:
            # The planner's own error, as it would be in this process.
            raise error.cause from None
        except self._ray.exceptions.RayError:
            died = f"the worker of {task} ({self._names.pop(worker)}) died"
            if self._attempts[position] < _ATTEMPTS:
                self._notice(f"{died}; the task is run again, attempt {self._attempts[position] + 1} of {_ATTEMPTS}")
                self._waiting.append(position)
                return None, self._worker()
            message = f"{died}, as did those of {_ATTEMPTS - 1} attempts before; it may need more memory than there is"
            self._notice(message)
            return replace(task.row, status=FAILED, message=message), self._worker()
        return task.restored(row, outcome), worker


def _ray() -> Any:  # noqa: ANN401
    try:
        import ray
    except ImportError:
        raise HcpError("ray is not installed; pip install 'hcp-checkpointing[ray]'") from None
    return ray
