"""Several annealing runs in parallel: compiled code releases the interpreter's lock, so threads use several cores."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from typing import Final

from hcp.annealing.engine import Annealer, Cooling, Outcome
from hcp.planning.deadline import Deadline

# Seconds after which the caller's thread wakes up at the latest, to notice Ctrl-C.
_PULSE: Final = 0.1


@dataclass(frozen=True)
class Run:
    """One run: the arguments of ``Annealer.run``; ``seconds`` count from its own start, None where moves do."""

    start: tuple[int, ...]
    cooling: Cooling
    seed: int
    moves: int | None
    seconds: float | None


OnOutcome = Callable[[int, Outcome, bool], bool]


def run_together(
    annealer: Annealer, runs: Sequence[Run], threads: int, deadline: Deadline, on_outcome: OnOutcome
) -> dict[int, Outcome]:
    """Makes runs in parallel and returns their outcomes by their places; those that did not start have none.

    Args:
        annealer: Shared by all.
        runs: What to run; each draws its own random numbers, so with moves given the outcomes do not depend on threads.
        threads: How many run at a time, at most.
        deadline: For all of them.
        on_outcome: Called in the caller's thread after each segment with a run's place, its outcome and whether that
            is better than the same run's before; True ends all runs soon. Where it raises, they end as well, and the
            exception is raised here.
    """
    pool = _Pool(annealer, runs, deadline)
    workers = [threading.Thread(target=pool.work, daemon=True) for _ in range(min(threads, len(runs)))]
    for worker in workers:
        worker.start()
    latest: dict[int, Outcome] = {}
    try:
        while any(worker.is_alive() for worker in workers) or not pool.outcomes.empty():
            try:
                place, outcome = pool.outcomes.get(timeout=_PULSE)
            except Empty:
                continue
            if isinstance(outcome, BaseException):
                raise outcome
            known = latest.get(place)
            latest[place] = outcome
            better = known is None or (outcome.cost, outcome.area) != (known.cost, known.area)
            if not pool.stop.is_set() and on_outcome(place, outcome, better):
                pool.stop.set()
    finally:
        pool.stop.set()
        for worker in workers:
            worker.join()
    return latest


class _Pool:
    """The runs that wait, and the outcomes that are not taken yet: what the threads share."""

    def __init__(self, annealer: Annealer, runs: Sequence[Run], deadline: Deadline) -> None:
        self.annealer = annealer
        self.deadline = deadline
        self.stop = threading.Event()
        self.outcomes: SimpleQueue[tuple[int, Outcome | BaseException]] = SimpleQueue()
        self._waiting: SimpleQueue[tuple[int, Run]] = SimpleQueue()
        for place, run in enumerate(runs):
            self._waiting.put((place, run))

    def work(self) -> None:
        """Makes one waiting run after the other."""
        while not self.stop.is_set() and not self.deadline.over:
            try:
                place, run = self._waiting.get_nowait()
            except Empty:
                return
            try:
                outcome = self.annealer.run(
                    run.start,
                    run.cooling,
                    moves=run.moves,
                    seed=run.seed,
                    deadline=self.deadline if run.seconds is None else self.deadline.part(run.seconds),
                    on_segment=partial(self._report, place),
                )
            except Exception as error:  # noqa: BLE001 - raised again in the caller's thread
                self.outcomes.put((place, error))
                return
            self.outcomes.put((place, outcome))

    def _report(self, place: int, outcome: Outcome) -> bool:
        self.outcomes.put((place, outcome))
        return self.stop.is_set()
