"""Loops cut up, so that a plan can hold, free and compute again what single steps leave behind.

Differentiated, ``jax.lax.scan`` becomes two loops: one stacks up what its steps leave behind, the other goes through
these stacks backwards. To a plan that has each of them as one operation, the stacks are all or nothing. Here both are
cut at the same places, and each part of a stack is a value of its own. Loops that are not too long are cut into single
steps, whose operations are planned one by one, as if they had been written out; longer ones into shorter loops, so that
the program stays small.

A stack that others read as a whole, such as the gradient of stacked weights, is one buffer that is written part by
part, in place.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import jax
import jax.numpy as jnp
import networkx as nx
import numpy as np

from hcp.integrations.jax.inline import Inliner
from hcp.integrations.jax.internals import (
    Atom,
    Equation,
    Scan,
    callee,
    has_effects,
    is_scan,
    is_variable,
    new_variable,
)
from hcp.integrations.jax.platform import is_key, zeros

# Most equations of a program whose loops are cut into single steps; planners and compilers take minutes beyond.
MOST_EQUATIONS: Final = 6000
# Into how many loops a longer one is cut: few compile as fast as one, more can do with less memory.
PARTS: Final = (4, 8, 32)


@dataclass
class Cutter:
    """Cuts the loops of a program.

    Attributes:
        inliner: Gets the equations.
        in_place: For each variable that is an array written in place, the first variable of the same storage.
        most: Equations that the program may come to by single steps.
        parts: Into how many loops a longer one is cut.
        cuts: How many loops were cut.
    """

    inliner: Inliner
    most: int
    parts: int = PARTS[-1]
    cuts: int = 0
    in_place: dict[Any, Any] = field(default_factory=dict)
    _pieces: dict[Any, dict[int, Atom]] = field(default_factory=dict)
    _whole: set[Any] = field(default_factory=set)
    _made: set[Any] = field(default_factory=set)

    def run(self, equations: Sequence[Equation], outvars: Sequence[Atom]) -> tuple[Sequence[Equation], list[Atom]]:
        """Cuts all loops that hand stacks to one another, and those inside of their steps.

        Returns:
            The equations and what the program returns.
        """
        while groups := [group for group in linked(equations) if self._made.isdisjoint(group[0].outvars)]:
            steps = self._steps(equations, groups)
            self.cuts += len(steps)
            self._whole = set(filter(is_variable, outvars))
            for equation in equations:
                self._whole.update(filter(is_variable, equation.invars[: _unsliced(equation, id(equation) in steps)]))
            self.inliner.equations = []
            for equation in equations:
                if id(equation) in steps:
                    self._cut(equation, steps[id(equation)])
                else:
                    self.inliner.add(equation)
            equations, outvars = list(self.inliner.equations), self.inliner.atoms(outvars)
        return equations, list(outvars)

    def longer(self, equations: Sequence[Equation]) -> list[list[Equation]]:
        """The groups of loops that hand stacks to one another and are too long to be written out."""
        groups = linked(equations)
        steps = self._steps(equations, groups)
        return [group for group in groups if steps[id(group[0])]]

    def _steps(self, equations: Sequence[Equation], groups: Sequence[Sequence[Equation]]) -> dict[int, int]:
        """How many steps the parts of each loop have; 0 stands for single steps that are written out."""
        found: dict[int, int] = {}
        taken = sum(map(_count, equations))
        for group in groups:
            length = Scan.of(group[0]).length
            written_out = (length - 1) * sum(map(_count, group))
            single = taken + written_out <= self.most
            taken += written_out if single else 0
            found.update((id(equation), 0 if single else -(-length // self.parts)) for equation in group)
        return found

    def _cut(self, equation: Equation, steps: int) -> None:
        scan = Scan.of(equation)
        constants = self.inliner.atoms(equation.invars[: scan.constants])
        carry = self.inliner.atoms(equation.invars[scan.constants : scan.unsliced])
        buffers: dict[Any, Atom] = {}
        starts = range(0, scan.length, max(1, steps))
        for start in reversed(starts) if scan.reverse else starts:
            count = min(steps, scan.length - start)
            slices = [self._slice(var, start, count) for var in scan.slices]
            outputs = self._part(scan, count, [*constants, *carry, *slices])
            carry = outputs[: scan.carries]
            for var, piece in zip(scan.stacks, outputs[scan.carries :], strict=True):
                self._pieces.setdefault(var, {})[start] = piece
                if var in self._whole and not is_key(var.aval.dtype):
                    buffers[var] = self._written(buffers.get(var), piece, start, var.aval, single=not steps)
        for var in self._whole.intersection(scan.stacks) - buffers.keys():
            pieces = [piece for _, piece in sorted(self._pieces[var].items())]
            (buffers[var],) = self.inliner.call(partial(_joined, single=not steps), *pieces)
        self.inliner.replaced.update(zip(equation.outvars, carry, strict=False))
        self.inliner.replaced.update(buffers)

    def _slice(self, var: Any, start: int, count: int) -> Atom:  # noqa: ANN401
        if var in self._pieces:
            return self._pieces[var][start]
        (found,) = self.inliner.call(partial(_read, start=start, count=count), *self.inliner.atoms([var]))
        return found

    def _part(self, scan: Scan, count: int, inputs: list[Atom]) -> list[Atom]:
        """Adds one step, written out, or a loop of some steps."""
        if not count:
            return self.inliner.closed(scan.body, inputs)
        carries = map(self.inliner.fresh, scan.equation.outvars[: scan.carries])
        outputs = [*carries, *(new_variable(var.aval, length=count) for var in scan.stacks)]
        self.inliner.equations.append(scan.of_length(count, inputs, outputs))
        self._made.update(outputs)
        return outputs

    def _written(self, buffer: Atom | None, piece: Atom, start: int, whole: Any, *, single: bool) -> Atom:  # noqa: ANN401
        """The buffer of a stack with one more part in it."""
        write = partial(_write, start=start, single=single)
        if buffer is None:
            (made,) = self.inliner.call(lambda piece: write(zeros(whole), piece), piece)
        else:
            (made,) = self.inliner.call(write, buffer, piece)
        self.in_place[made] = made if buffer is None else self.in_place[buffer]
        return made


def linked(equations: Sequence[Equation]) -> list[list[Equation]]:
    """Groups of scans, some of which read what others of the group stack up.

    Scans over the same arrays are of one group as well, such as those that a checkpoint around a scan leaves behind:
    step by step, they turn out to compute the same.
    """
    scans = [Scan.of(equation) for equation in equations if _can_be_cut(equation)]
    links = nx.Graph()
    for i, scan in enumerate(scans):
        links.add_node(i)
        links.add_edges_from((i, var) for var in (*filter(is_variable, scan.slices), *scan.stacks))
    parts = nx.connected_components(links)
    groups = [[scans[i] for i in sorted(node for node in part if isinstance(node, int))] for part in parts]
    return [[scan.equation for scan in group] for group in groups if _hands_over(group)]


def _hands_over(group: Sequence[Scan]) -> bool:
    stacked = {var for scan in group for var in scan.stacks}
    return any(not stacked.isdisjoint(filter(is_variable, scan.slices)) for scan in group)


def _can_be_cut(equation: Equation) -> bool:
    return is_scan(equation) and not has_effects(equation) and Scan.of(equation).length > 1


def _unsliced(equation: Equation, cut: bool) -> int:
    return Scan.of(equation).unsliced if cut else len(equation.invars)


def _count(equation: Equation) -> int:
    """Equations of one step of a loop, or 1, calls gone into."""
    if is_scan(equation):
        return sum(map(_count_inlined, Scan.of(equation).body.jaxpr.eqns))
    return 1


def _count_inlined(equation: Equation) -> int:
    called = callee(equation)
    return 1 if called is None else sum(map(_count_inlined, called[0].eqns))


def _places(start: int, rank: int) -> Iterator[Any]:
    # NumPy's, so that they stay literals whatever the default types are.
    return (np.int32(start if axis == 0 else 0) for axis in range(rank))


def _read(stack: Any, *, start: int, count: int) -> list[Any]:  # noqa: ANN401
    extent = (max(1, count), *stack.shape[1:])
    part = jax.lax.dynamic_slice(stack, tuple(_places(start, stack.ndim)), extent)
    return [part if count else jax.lax.squeeze(part, (0,))]


def _write(buffer: Any, piece: Any, *, start: int, single: bool) -> list[Any]:  # noqa: ANN401
    piece = jax.lax.expand_dims(piece, (0,)) if single else piece
    return [jax.lax.dynamic_update_slice(buffer, piece, tuple(_places(start, buffer.ndim)))]


def _joined(*pieces: Any, single: bool) -> list[Any]:  # noqa: ANN401
    return [jnp.stack(pieces) if single else jnp.concatenate(pieces)]
