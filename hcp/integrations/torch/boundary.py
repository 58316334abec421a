"""What happens between a planned forward and its backward, seen once: the loss, and what becomes of the outputs.

The loss often lies outside the module, and so is no part of what was captured: what it allocates, and whether the
program still holds the outputs when the backward begins, only the program itself can show. One step is watched by the
profiler, from the start of its forward to the start of its backward.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import ceil
from typing import Any, Final

import torch
from torch import Tensor

from hcp.integrations.torch.internals import Recorder, after_backward, profiler_runs, storage_gone

_RETURNED: Final = "hcp-returned"
_ARRIVED: Final = "hcp-arrived"


@dataclass(frozen=True)
class Boundary:
    """Bytes that the program takes between the two halves of a step.

    Attributes:
        dropped: Places of the forward's outputs that nobody holds when the backward begins.
        held: What the program took, and still holds, by the time the last of these goes.
        before: Most bytes beyond that until then.
        after: Most bytes beyond ``held``, the tangents and ``kept``, from then on.
        kept: What stays there beside the tangents while the backward runs.
        passed: Whether nobody but the backward holds the tangents, so that each goes with its last reader.
    """

    dropped: frozenset[int] = frozenset()
    held: int = 0
    before: int = 0
    after: int = 0
    kept: int = 0
    passed: bool = False

    @property
    def holding(self) -> "Boundary":
        """The same of a program that holds outputs and tangents."""
        after = max(self.before + self.held, self.held + self.after)
        return Boundary(after=after, kept=self.kept)

    def scaled(self, factor: Fraction) -> "Boundary":
        """The same for other sizes: losses take memory as the outputs do."""
        held, before, after = (ceil(factor * amount) for amount in (self.held, self.before, self.after))
        return replace(self, held=held, before=before, after=after, kept=ceil(max(factor, Fraction(1)) * self.kept))


def boundary_of(changes: Sequence[int], gone: Iterable[tuple[int, int]], tangents: int) -> Boundary:
    """What some allocations between the halves come to.

    Args:
        changes: Bytes allocated or, below zero, released, in order.
        gone: Places and bytes of the outputs that went meanwhile.
        tangents: Bytes of the gradients that the backward is given.
    """
    gone = list(gone)
    waiting = [amount for _, amount in gone]
    now = most = most_before = held = 0
    for change in changes:
        if change < 0 and -change in waiting:
            # Outputs count to the one that goes last.
            waiting.remove(-change)
            most_before, held, most = max(most_before, most), max(0, now), now
            continue
        now += change
        most = max(most, now)
    kept = max(0, now - tangents)
    return Boundary(
        frozenset(place for place, _ in gone),
        held,
        max(0, most_before - held),
        max(0, most - held - tangents - kept),
        kept,
    )


@dataclass(eq=False)
class Watch:
    """One step under the profiler, from its forward on; what is seen ends with the start of its backward.

    Attributes:
        seen: Called with what was found, when the backward is over.
        tangents: Bytes of the gradients that the backward is given.
    """

    seen: Callable[[Boundary], None]
    tangents: int
    _recorder: Recorder = field(default_factory=Recorder)
    _outputs: list[tuple[int, int, Callable[[], bool]]] = field(default_factory=list)
    _gone: list[tuple[int, int]] | None = None
    _disturbed: bool = False
    _passed: bool = False

    def begin(self) -> None:
        """Starts to record."""
        self._recorder.start()

    def returned(self, outputs: Sequence[Any]) -> None:
        """Notes that the forward is done."""
        with torch.profiler.record_function(_RETURNED):
            for place, output in enumerate(outputs):
                if isinstance(output, Tensor):
                    self._outputs.append((place, output.untyped_storage().nbytes(), storage_gone(output)))

    def arrived(self) -> None:
        """Notes that the backward begins."""
        if self._gone is None:
            with torch.profiler.record_function(_ARRIVED):
                self._gone = [(place, amount) for place, amount, is_gone in self._outputs if is_gone()]
            # Within a backward the profiler cannot be stopped.
            after_backward(self._finish)

    def leave(self) -> None:
        """Records no more, and finds nothing."""
        self._disturbed = True
        if self._gone is None:
            _WATCHES.remove(self)
            self._recorder.stop()

    def ended(self, *, passed: bool) -> None:
        """Notes that the backward half is done, and whether all tangents went."""
        self._passed = passed

    def _finish(self) -> None:
        _WATCHES.remove(self)
        recording = self._recorder.stop()
        if self._disturbed or self._gone is None:
            return
        _, start = recording.marks[_RETURNED]
        end, _ = recording.marks[_ARRIVED]
        changes = [change for time, change in recording.allocations if start <= time <= end]
        self.seen(replace(boundary_of(changes, self._gone, self.tangents), passed=self._passed))


# At most one: PyTorch has one profiler at a time.
_WATCHES: Final[list[Watch]] = []


def watch(seen: Callable[[Boundary], None], tangents: int) -> Watch | None:
    """Begins to watch a step; None where a profiler runs already."""
    if profiler_runs():
        return None
    made = Watch(seen, tangents)
    made.begin()
    _WATCHES.append(made)
    return made


def abandon() -> None:
    """Watches no longer: something else begins before the backward that is waited for, and would be counted."""
    for each in tuple(_WATCHES):
        each.leave()


def watched() -> Watch | None:
    """The step that is watched now."""
    return _WATCHES[0] if _WATCHES else None


class Keeper:
    """Ends a watch with the autograd graph that it waits for the backward of, where none ever comes."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def __call__(self, _gradients: object) -> None:
        """A hook of the graph's node holds the keeper."""

    def __del__(self) -> None:
        if self._watch in _WATCHES:
            self._watch.leave()
