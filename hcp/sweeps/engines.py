"""Who runs the tasks of a sweep: this process, one task after the other, or a Ray cluster."""

from collections.abc import Iterator, Sequence
from typing import Final, Protocol

from hcp.graph.errors import HcpError
from hcp.planning.deadline import Stop
from hcp.planning.problem import Monitor
from hcp.sweeps.results import Row
from hcp.sweeps.task import Notice, Task


class Engine(Protocol):
    """Runs tasks and gives their rows as they come, with the tasks' positions.

    A request to stop ends the iteration, or gives the running task's best so far as a row whose plan is interrupted.
    """

    def run(self, tasks: Sequence[Task], monitor: Monitor, notice: Notice, stop: Stop) -> Iterator[tuple[int, Row]]:
        """Runs tasks.

        Args:
            tasks: What to run.
            monitor: Called with the progress of each search, where it runs in this process.
            notice: Called with a sentence on what a user should know at once, such as a worker that died.
            stop: Asked now and then: whether to end with what there is.
        """
        ...


class Local:
    """Runs the tasks in this process, in their order."""

    def run(
        self,
        tasks: Sequence[Task],
        monitor: Monitor,
        notice: Notice,  # noqa: ARG002 - nothing here happens behind the caller's back
        stop: Stop,
    ) -> Iterator[tuple[int, Row]]:
        """See ``Engine``."""
        for position, task in enumerate(tasks):
            if stop():
                return
            yield position, task.run(monitor, stop)


ENGINES: Final = ("local", "ray")


def engine_named(name: str, address: str | None = None, processes: int | None = None) -> Engine:
    """An engine.

    Args:
        name: ``"local"`` or ``"ray"``.
        address: Of a Ray cluster; None starts one on this machine.
        processes: Workers of a Ray cluster that is started here; Ray's own choice where not given.

    Raises:
        HcpError: On another name, on an address for the local engine, or where Ray is missing.
    """
    if name == "ray":
        from hcp.sweeps.ray_engine import RayEngine

        return RayEngine(address, processes)
    if name != "local":
        raise HcpError(f"unknown engine {name!r}; choose one of {', '.join(ENGINES)}")
    if address is not None or processes is not None:
        raise HcpError("the local engine runs in this process and takes no address; use engine 'ray'")
    return Local()
