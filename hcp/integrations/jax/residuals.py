"""What the steps of a loop leave behind for its way back, cut down to what cannot be made again for next to nothing.

Differentiated, a scan stacks up whatever the transposed step reads: the output of every activation, and what its
derivative needs. Most of that is element-wise in a few products and the carry. Here the way back makes it again, inside
of its own step, where it is fused with what reads it: neither time nor memory goes there. What is stacked instead is a
minimum cut between what is there anyway and what the way back reads, by bytes of a step. So do policies such as
``dots_saveable``, for all residuals at once and with the fewest bytes.

Where even that is too much, the way back may make heavy operations again as well, those first that hold most for their
arithmetic; with all of them, little but the carry is stacked, as by ``nothing_saveable``.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Final

import jax
import networkx as nx

from hcp.integrations.jax.flops import flops
from hcp.integrations.jax.inline import Inliner
from hcp.integrations.jax.internals import (
    FUSIBLE,
    Atom,
    ClosedJaxpr,
    Equation,
    Scan,
    has_effects,
    is_variable,
    operation_name,
    run_jaxpr,
)
from hcp.integrations.jax.platform import is_key
from hcp.integrations.jax.program import Program, size

# The ends of the network.
_THERE: Final = "there"
_READ: Final = "read"


def slimmed(
    inliner: Inliner,
    equations: Sequence[Equation],
    outvars: Sequence[Atom],
    loops: Sequence[Sequence[Equation]],
    *,
    flat: Callable[[ClosedJaxpr], Program],
    rate: float,
) -> tuple[list[Equation], list[Atom]]:
    """A program whose loops stack up less.

    Args:
        inliner: Gets the equations.
        equations: The program's.
        outvars: What it returns.
        loops: Groups of loops, some of which read what others of the group stack up.
        flat: A step as a flat program.
        rate: Bytes for a floating-point operation that what is made again has to hold, if it is not made for nothing.
    """
    found = dict(_slim(equations, outvars, loops, partial(_slimmer, flat=flat, rate=rate)))
    if not found:
        return list(equations), list(outvars)
    inliner.equations = []
    for equation in equations:
        if id(equation) in found:
            found[id(equation)].add(inliner)
        else:
            inliner.add(equation)
    return inliner.equations, inliner.atoms(outvars)


def _slim(
    equations: Sequence[Equation],
    outvars: Sequence[Atom],
    loops: Sequence[Sequence[Equation]],
    slimmer: Callable[..., "_Forward | None"],
) -> Iterator[tuple[int, "_Forward | _Backward"]]:
    """How the loops that change are added, by identity."""
    whole = _read_as_wholes(equations, outvars, loops)
    made = frozenset(var for equation in equations for var in equation.outvars)
    for group in loops:
        scans = [Scan.of(equation) for equation in group]
        slims: list[_Forward] = []
        for scan in scans:
            slim = None if any(_reads(scan, slim) for slim in slims) else slimmer(scan, scans, whole, made)
            if slim is not None:
                slims.append(slim)
                yield id(scan.equation), slim
        for scan in scans:
            of = [slim for slim in slims if _reads(scan, slim)]
            if of:
                yield id(scan.equation), _Backward(scan, of)


def _slimmer(
    scan: Scan,
    scans: Sequence[Scan],
    whole: Set[Any],
    made: frozenset[Any],
    *,
    flat: Callable[[ClosedJaxpr], Program],
    rate: float,
) -> "_Forward | None":
    """A loop that stacks up less than a loop does; None where it cannot."""
    # What goes the same way is no way back, but another layer.
    ways_back = tuple(other for other in scans if other.reverse != scan.reverse)
    along = {id(var) for other in scans if other.reverse == scan.reverse for var in other.slices}
    read = {id(var) for other in ways_back for var in other.slices}
    own = tuple(var for var in scan.stacks if var not in whole and id(var) in read - along)
    slim = _Forward(scan, flat(scan.body), own, made, ways_back, rate) if own else None
    return slim if slim is not None and slim.saves else None


def rates(loops: Iterable[Equation], flat: Callable[[ClosedJaxpr], Program]) -> list[float]:
    """The rates at which loops come to make more again, largest first.

    Args:
        loops: They.
        flat: A step as a flat program.
    """
    steps = (flat(Scan.of(loop).body) for loop in loops)
    found = {_rate(equation) for step in steps for equation in step.equations if not has_effects(equation)}
    return sorted(found - {math.inf}, reverse=True)


def _rate(equation: Equation) -> float:
    """Bytes that an operation's results hold for each floating-point operation; those that are fused cost nothing."""
    if operation_name(equation) in FUSIBLE:
        return math.inf
    return sum(map(size, equation.outvars)) / max(1, flops(equation))


def _read_as_wholes(
    equations: Sequence[Equation], outvars: Sequence[Atom], loops: Sequence[Sequence[Equation]]
) -> set[Any]:
    """The variables that something reads other than step by step, or that are returned."""
    found = set(filter(is_variable, outvars))
    for equation in equations:
        count = Scan.of(equation).unsliced if _is_loop(equation, loops) else len(equation.invars)
        found.update(filter(is_variable, equation.invars[:count]))
    return found


def _reads(scan: Scan, slim: "_Forward") -> bool:
    return any(_reads_one(scan, var) for var in slim.residuals)


def _is_loop(equation: Equation, loops: Sequence[Sequence[Equation]]) -> bool:
    return any(equation is each for group in loops for each in group)


@dataclass(frozen=True, eq=False)
class _Forward:
    """A loop that stacks up less.

    Attributes:
        scan: It.
        step: One of its steps, flat.
        residuals: The stacks that nobody reads but ways back, step by step.
        made: What the program makes, unlike its arguments.
        readers: The ways back.
        rate: Bytes for a floating-point operation that what is made again has to hold.
    """

    scan: Scan
    step: Program
    residuals: tuple[Any, ...]
    made: frozenset[Any]
    readers: tuple[Scan, ...]
    rate: float

    @cached_property
    def needed(self) -> Mapping[Any, Atom]:
        """For each residual, what of the step it is."""
        place = {var: k for k, var in enumerate(self.scan.equation.outvars)}
        return {var: self.step.outvars[place[var]] for var in self.residuals}

    @cached_property
    def base(self) -> tuple[Any, ...]:
        """What is stacked up instead, variables of the step."""
        _, (before, _) = nx.minimum_cut(self._network(), _THERE, _READ)
        found = (var for var in self._variables if (var, 0) in before and (var, 1) not in before)
        return tuple(var for var in found if var not in self._free)

    @property
    def saves(self) -> bool:
        """Whether that takes less."""
        stacked = {item for item in self.needed.values() if is_variable(item)}
        try:
            return sum(map(size, self.base)) < sum(map(size, stacked))
        except nx.NetworkXUnbounded:
            # Random keys are neither stacked up instead nor always made again.
            return False

    @cached_property
    def _variables(self) -> list[Any]:
        return [*self.step.sources, *(var for equation in self.step.equations for var in equation.outvars)]

    @cached_property
    def _free(self) -> Set[Any]:
        """What of a step's inputs its way back can read without anything being kept for it."""
        scan, program = self.scan, self.step
        there = {item for reader in self.readers for item in filter(is_variable, reader.slices)}
        slices = zip(program.invars[scan.unsliced :], scan.slices, strict=True)
        kept = {own for own, item in slices if is_variable(item) and (item not in self.made or item in there)}
        return {*program.constvars, *program.invars[: scan.constants], *kept}

    def _network(self) -> nx.DiGraph:
        """The step: from what is there, over what can be made again, to what is read."""
        network = nx.DiGraph()
        for var in self._variables:
            if not is_key(getattr(var.aval, "dtype", None)):
                # One more, so that of cuts of equal bytes that with fewer stacks is found.
                network.add_edge((var, 0), (var, 1), capacity=0 if var in self._free else size(var) + 1)
            else:
                network.add_edge((var, 0), (var, 1))
        for var in self.step.sources:
            network.add_edge(_THERE, (var, 0))
        for equation in self.step.equations:
            again = not has_effects(equation) and _rate(equation) >= self.rate
            for var in equation.outvars:
                if not again:
                    network.add_edge(_THERE, (var, 0))
                for item in filter(is_variable, equation.invars):
                    network.add_edge((item, 1), (var, 0))
        for item in filter(is_variable, self.needed.values()):
            network.add_edge((item, 1), _READ)
        return network

    @cached_property
    def again(self) -> tuple[list[Equation], list[Any]]:
        """The equations that the way back runs again, and what of a step's inputs they read."""
        base, wanted = set(self.base), {item for item in self.needed.values() if is_variable(item)}
        found: list[Equation] = []
        for equation in reversed(self.step.equations):
            makes = [var for var in equation.outvars if var in wanted and var not in base]
            if makes:
                found.append(equation)
                wanted.update(filter(is_variable, equation.invars))
        return found[::-1], [var for var in self.step.sources if var in wanted and var not in base]

    def stacked(self, inliner: Inliner) -> list[Atom]:
        """What is stacked up instead, once this was added."""
        return [inliner.replaced[id(self), var] for var in self.base]

    def add(self, inliner: Inliner) -> None:
        scan, program = self.scan, self.step
        kept = [k for k, var in enumerate(scan.equation.outvars) if var not in self.residuals]
        body = program.part(program.equations, program.sources, [*(program.outvars[k] for k in kept), *self.base])

        def run(*inputs: Any) -> Any:  # noqa: ANN401
            def step(carry: Any, x: Any) -> Any:  # noqa: ANN401
                found = run_jaxpr(body, (), *program.constants, *inputs[: scan.constants], *carry, *x)
                return found[: scan.carries], found[scan.carries :]

            carry, stacks = jax.lax.scan(
                step,
                list(inputs[scan.constants : scan.unsliced]),
                list(inputs[scan.unsliced :]),
                scan.length,
                scan.reverse,
                scan.unroll,
            )
            return [*carry, *stacks]

        found = inliner.call(run, *inliner.atoms(scan.equation.invars))
        inliner.replaced.update(zip((scan.equation.outvars[k] for k in kept), found, strict=False))
        # Nobody else knows of these.
        inliner.replaced.update(
            {(id(self), var): item for var, item in zip(self.base, found[len(kept) :], strict=True)}
        )


@dataclass(frozen=True, eq=False)
class _Again:
    """What a way back makes again in its own step of what one loop stacks up no longer.

    Attributes:
        slim: That loop.
        wanted: The residuals that are made again.
    """

    slim: _Forward
    wanted: Sequence[Any]

    @cached_property
    def inputs(self) -> tuple[list[Any], list[Any], list[Any]]:
        """The constants, the fixed inputs and the sliced inputs of a step that are read, as variables of the step."""
        step, scan = self.slim.step, self.slim.scan
        place = {var: k for k, var in enumerate(step.invars)}
        _, read = self.slim.again
        closed = [var for var in read if var not in place]
        fixed = [var for var in read if var in place and place[var] < scan.constants]
        sliced = [var for var in read if var in place and place[var] >= scan.unsliced]
        return closed, fixed, sliced

    def given(self, variables: Sequence[Any]) -> list[Atom]:
        """What the loop is given for inputs of its step."""
        place = {var: k for k, var in enumerate(self.slim.step.invars)}
        return [self.slim.scan.equation.invars[place[var]] for var in variables]

    def __call__(self, fixed: Sequence[Any], sliced: Sequence[Any]) -> list[Any]:
        """The residuals of one step."""
        step, (closed, own, parts) = self.slim.step, self.inputs
        equations, _ = self.slim.again
        sources = [*closed, *own, *parts, *self.slim.base]
        jaxpr = step.part(equations, sources, [self.slim.needed[var] for var in self.wanted])
        values = [step.constants[step.constvars.index(var)] for var in closed]
        return run_jaxpr(jaxpr, (), *values, *fixed, *sliced)


@dataclass(frozen=True, eq=False)
class _Backward:
    """A loop that makes again what others stack up no longer.

    Attributes:
        scan: It.
        read: Those others.
    """

    scan: Scan
    read: Sequence[_Forward]

    def add(self, inliner: Inliner) -> None:
        scan = self.scan
        again = [_Again(slim, [var for var in slim.residuals if _reads_one(scan, var)]) for slim in self.read]
        slim = {var for each in again for var in each.wanted}
        own = [item for item in scan.slices if not (is_variable(item) and item in slim)]
        fixed = [inliner.atoms(each.given(each.inputs[1])) for each in again]
        sliced = [[*inliner.atoms(each.given(each.inputs[2])), *each.slim.stacked(inliner)] for each in again]
        run = _Step(scan, again, len(own), [*map(len, fixed)], [*map(len, sliced)]).run
        invars = inliner.atoms(scan.equation.invars[: scan.unsliced])
        constants, carry = invars[: scan.constants], invars[scan.constants :]
        slices = [*inliner.atoms(own), *(item for each in sliced for item in each)]
        found = inliner.call(run, *constants, *(item for each in fixed for item in each), *carry, *slices)
        inliner.replaced.update(zip(scan.equation.outvars, found, strict=True))


@dataclass(frozen=True, eq=False)
class _Step:
    """A way back whose steps make things again.

    Attributes:
        scan: It, as it was.
        again: What its steps make.
        own: How many stacks of its own it goes through; those for what is made again follow.
        fixed: How many inputs every step gets for what is made again, each.
        sliced: How many stacks are gone through for it, each.
    """

    scan: Scan
    again: Sequence[_Again]
    own: int
    fixed: Sequence[int]
    sliced: Sequence[int]

    def run(self, *inputs: Any) -> list[Any]:  # noqa: ANN401
        """The loop, of its constants, the fixed inputs, its carry and the stacks."""
        scan = self.scan
        start = scan.constants + sum(self.fixed)
        fixed = _split(inputs[scan.constants : start], self.fixed)

        def step(carry: Any, x: Any) -> Any:  # noqa: ANN401
            made: dict[Any, Any] = {}
            for each, given, slices in zip(self.again, fixed, _split(x[self.own :], self.sliced), strict=True):
                made.update(zip(each.wanted, each(given, slices), strict=True))
            rest = iter(x[: self.own])
            given = [made[item] if is_variable(item) and item in made else next(rest) for item in scan.slices]
            out = run_jaxpr(scan.body.jaxpr, scan.body.consts, *inputs[: scan.constants], *carry, *given)
            return out[: scan.carries], out[scan.carries :]

        carry, slices = list(inputs[start : start + scan.carries]), list(inputs[start + scan.carries :])
        carry, stacks = jax.lax.scan(step, carry, slices, scan.length, scan.reverse, scan.unroll)
        return [*carry, *stacks]


def _split(items: Sequence[Any], counts: Sequence[int]) -> list[Sequence[Any]]:
    found, start = [], 0
    for count in counts:
        found.append(items[start : start + count])
        start += count
    return found


def _reads_one(scan: Scan, var: Any) -> bool:  # noqa: ANN401
    return any(item is var for item in scan.slices)
