"""The operations of a program and who reads what, views seen through; a framework fills it in.

A view is an operation that its readers repeat instead of reading a stored result. What is a view is the framework's to
say; here, only what is stored between operations counts.
"""

from bisect import bisect_left
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Flow:
    """Operations in execution order, called by their places, and the variables that are stored between them.

    Attributes:
        size: Bytes of a variable.
        returned: Variables that the program returns.
        made: The variables that each operation makes.
        reads: The variables that each operation reads.
        producer: The operation that makes a variable; arguments and constants have none.
        readers: The operations that read a variable, ascending.
        heavy_at: The operations that can't be fused, ascending.
        alone: Operations that stay by themselves, because running them again would be seen, say.
    """

    size: Callable[[Any], int]
    returned: frozenset[Any] = frozenset()
    made: list[tuple[Any, ...]] = field(default_factory=list)
    reads: list[frozenset[Any]] = field(default_factory=list)
    producer: dict[Any, int] = field(default_factory=dict)
    readers: dict[Any, list[int]] = field(default_factory=dict)
    heavy_at: list[int] = field(default_factory=list)
    alone: set[int] = field(default_factory=set)

    def append(self, made: Sequence[Any], reads: Collection[Any], *, heavy: bool, alone: bool) -> None:
        """Adds an operation behind all others."""
        i = len(self.made)
        self.made.append(tuple(made))
        self.reads.append(frozenset(reads))
        if heavy:
            self.heavy_at.append(i)
        if alone:
            self.alone.add(i)
        self.producer.update((variable, i) for variable in made)
        for variable in self.reads[i]:
            self.readers.setdefault(variable, []).append(i)

    def readers_of(self, i: int) -> list[int]:
        """The operations that read what an operation makes; those that read several results are there as often."""
        return [j for variable in self.made[i] for j in self.readers.get(variable, ())]

    def is_heavy(self, i: int) -> bool:
        """Whether an operation is a kernel of its own, rather than one that can be fused."""
        place = bisect_left(self.heavy_at, i)
        return place < len(self.heavy_at) and self.heavy_at[place] == i

    def near(self, first: int, last: int) -> bool:
        """Whether no heavy operation lies strictly between two."""
        place = bisect_left(self.heavy_at, first + 1)
        return place == len(self.heavy_at) or self.heavy_at[place] >= last

    def segment(self, i: int) -> int:
        """The segment that an operation is in: the number of heavy operations before it."""
        return bisect_left(self.heavy_at, i)
