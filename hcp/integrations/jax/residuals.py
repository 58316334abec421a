"""What the steps of a loop leave behind for its way back, cut down to what cannot be made again for next to nothing.

Differentiated, a scan stacks up whatever the transposed step reads: the output of every activation, and what its
derivative needs. Most of that is element-wise in a few products and the carry. Here the way back makes it again, inside
of its own step, where it is fused with what reads it: neither time nor memory goes there. What is stacked instead is a
minimum cut between what is there anyway and what the way back reads, by bytes of a step. So do policies such as
``dots_saveable``, for all residuals at once and with the fewest bytes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import jax
import networkx as nx

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
    flat: Callable[[ClosedJaxpr], Program],
) -> tuple[list[Equation], list[Atom]]:
    """A program whose loops stack up less.

    Args:
        inliner: Gets the equations.
        equations: The program's.
        outvars: What it returns.
        loops: Groups of loops, some of which read what others of the group stack up.
        flat: A step as a flat program.
    """
    found = dict(_slim(equations, outvars, loops, flat))
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
    flat: Callable[[ClosedJaxpr], Program],
) -> Iterator[tuple[int, "_Forward | _Backward"]]:
    """How the loops that change are added, by identity."""
    whole = set(filter(is_variable, outvars))
    for equation in equations:
        count = Scan.of(equation).unsliced if _is_loop(equation, loops) else len(equation.invars)
        whole.update(filter(is_variable, equation.invars[:count]))
    made = {var for equation in equations for var in equation.outvars}
    for group in loops:
        scans = [Scan.of(equation) for equation in group]
        slims: list[_Forward] = []
        for scan in scans:
            # What goes the same way is no way back, but another layer.
            ways_back = tuple(other for other in scans if other.reverse != scan.reverse)
            along = {id(var) for other in scans if other.reverse == scan.reverse for var in other.slices}
            read = {id(var) for other in ways_back for var in other.slices}
            own = [var for var in scan.stacks if var not in whole and id(var) in read - along]
            if not own or any(_reads(scan, slim) for slim in slims):
                continue
            slim = _Forward(scan, flat(scan.body), tuple(own), frozenset(made), ways_back)
            if slim.saves:
                slims.append(slim)
                yield id(scan.equation), slim
        for scan in scans:
            of = [slim for slim in slims if _reads(scan, slim)]
            if of:
                yield id(scan.equation), _Backward(scan, of)


def _reads(scan: Scan, slim: "_Forward") -> bool:
    return any(item is var for item in scan.slices for var in slim.residuals)


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
    """

    scan: Scan
    step: Program
    residuals: tuple[Any, ...]
    made: frozenset[Any]
    readers: tuple[Scan, ...]

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
            again = operation_name(equation) in FUSIBLE and not has_effects(equation)
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
        slim = {var for each in self.read for var in each.residuals}
        own = [item for item in scan.slices if not (is_variable(item) and item in slim)]
        constants: list[Atom] = []
        slices: list[Atom] = [*inliner.atoms(own)]
        parts = []
        for each in self.read:
            equations, sources = each.again
            place = {var: k for k, var in enumerate(each.step.invars)}
            given = each.scan.equation.invars
            closed = [var for var in each.step.constvars if var in sources]
            fixed = [var for var in sources if var in place and place[var] < each.scan.constants]
            sliced = [var for var in sources if var in place and place[var] >= each.scan.unsliced]
            wanted = [var for var in each.residuals if any(var is item for item in scan.slices)]
            jaxpr = each.step.part(
                equations, [*closed, *fixed, *sliced, *each.base], [each.needed[var] for var in wanted]
            )
            values = [each.step.constants[each.step.constvars.index(var)] for var in closed]
            parts.append((jaxpr, values, len(fixed), len(sliced) + len(each.base), wanted))
            constants += inliner.atoms([given[place[var]] for var in fixed])
            slices += inliner.atoms([given[place[var]] for var in sliced])
            slices += [inliner.replaced[id(each), var] for var in each.base]

        def run(*inputs: Any) -> Any:  # noqa: ANN401
            more = inputs[scan.constants : scan.constants + len(constants)]
            start = scan.constants + len(constants)

            def step(carry: Any, x: Any) -> Any:  # noqa: ANN401
                made: dict[Any, Any] = {}
                fixed, sliced = list(more), list(x[len(own) :])
                for jaxpr, values, first, second, wanted in parts:
                    found = run_jaxpr(jaxpr, (), *values, *fixed[:first], *sliced[:second])
                    made.update(zip(wanted, found, strict=True))
                    fixed, sliced = fixed[first:], sliced[second:]
                rest = iter(x[: len(own)])
                given = [made[item] if is_variable(item) and item in made else next(rest) for item in scan.slices]
                out = run_jaxpr(scan.body.jaxpr, scan.body.consts, *inputs[: scan.constants], *carry, *given)
                return out[: scan.carries], out[scan.carries :]

            carry, stacks = jax.lax.scan(
                step,
                list(inputs[start : start + scan.carries]),
                list(inputs[start + scan.carries :]),
                scan.length,
                scan.reverse,
                scan.unroll,
            )
            return [*carry, *stacks]

        invars = inliner.atoms(scan.equation.invars[: scan.unsliced])
        arguments = [*invars[: scan.constants], *constants, *invars[scan.constants :], *slices]
        found = inliner.call(run, *arguments)
        inliner.replaced.update(zip(scan.equation.outvars, found, strict=True))
