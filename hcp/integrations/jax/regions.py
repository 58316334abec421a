"""What is computed within a ``shard_map``: seen into, and put back into one for the compiler.

The operations inside of a ``shard_map`` are operations of a flat program like others, on variables that are one
device's. Between them and what is outside stand two equations that compute nothing, ``enter`` and ``leave``. Where a
part of the program is compiled, the operations inside are put into a ``shard_map`` again. An array of one device that
passes from one to the next is, outside of both, a part of an array with an axis more, which is spread over the devices:
neither time nor memory goes there.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Final

import jax
from jax.sharding import NamedSharding, PartitionSpec

from hcp.integrations.jax.internals import (
    ENTER,
    LEAVE,
    ClosedJaxpr,
    Equation,
    crossed_by,
    inner_mesh,
    is_variable,
    operation_name,
    part_of,
    run_jaxpr,
    varying_axes,
)

EVERYWHERE: Final = PartitionSpec()  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class Region:
    """Where each device of a mesh has arrays of its own.

    Attributes:
        mesh: The devices, or what the mesh that is set is like.
        checked: Whether types say over which axes of the mesh arrays differ; else any array may over all of them.
    """

    mesh: Any
    checked: bool

    def axes(self, aval: Any) -> tuple[str, ...]:  # noqa: ANN401
        """The axes of the mesh over which arrays of a type may differ; none of a type outside."""
        if inner_mesh(aval) is None:
            return ()
        varying = varying_axes(aval) if self.checked else self.mesh.axis_names
        return tuple(name for name in self.mesh.axis_names if name in varying)

    def spec(self, aval: Any) -> PartitionSpec:  # noqa: ANN401
        """How an array of all devices is spread, each of which has one of a type."""
        axes = self.axes(aval)
        return PartitionSpec(axes) if axes else EVERYWHERE  # type: ignore[no-untyped-call]

    def outside(self, aval: Any) -> tuple[tuple[int, ...], NamedSharding]:  # noqa: ANN401
        """The shape and sharding of that array."""
        axes = self.axes(aval)
        copies = [prod(self.mesh.shape[name] for name in axes)] if axes else []
        return (*copies, *aval.shape), NamedSharding(self.mesh, self.spec(aval))

    def own(self, aval: Any, array: Any) -> Any:  # noqa: ANN401
        """A device's own of that array, inside."""
        return jax.lax.squeeze(array, (0,)) if self.axes(aval) else array

    def shown(self, aval: Any, array: Any) -> Any:  # noqa: ANN401
        """What a device has, as its part of that array, inside."""
        return jax.lax.expand_dims(array, (0,)) if self.axes(aval) else array

    def map(self, function: Callable[..., Any], sources: Any, results: Any) -> Callable[..., Any]:  # noqa: ANN401
        """A function of each device's arrays as one of all devices'."""
        return jax.shard_map(function, mesh=self.mesh, in_specs=sources, out_specs=results, check_vma=self.checked)

    def trace(self, function: Callable[..., Any], avals: Sequence[Any]) -> ClosedJaxpr:
        """What a function does to arrays of given types, inside."""
        found: list[ClosedJaxpr] = []

        def inside() -> tuple[()]:
            found.append(jax.make_jaxpr(function)(*avals))
            return ()

        jax.eval_shape(self.map(inside, (), ()))
        return found[0]


# Regions by the mesh that types inside name.
Regions = Mapping[Any, Region]


def region_of(regions: Regions, equation: Equation) -> Region | None:
    """Where an equation is computed, ways in and out included; None outside."""
    if not regions:
        return None
    meshes = (inner_mesh(item.aval) for item in (*equation.outvars, *equation.invars) if is_variable(item))
    return next((regions[mesh] for mesh in meshes if mesh in regions), None)


@dataclass(frozen=True, eq=False)
class Piece:
    """Equations that follow one another, all inside of one region, or all outside.

    Attributes:
        equations: They.
        region: Where.
        jaxpr: Carries JAX's debugging information.
    """

    equations: Sequence[Equation]
    region: Region | None
    jaxpr: Any

    @property
    def inputs(self) -> list[Any]:
        """Variables that are read from outside of it, each once."""
        made = {var for equation in self.equations for var in equation.outvars}
        read = (item for equation in self.equations for item in equation.invars if is_variable(item))
        return list(dict.fromkeys(var for var in read if var not in made))

    def function(self, outvars: Sequence[Any]) -> Callable[..., Sequence[Any]]:
        """What it makes of its inputs."""
        if self.region is not None:
            return self._mapped(self.region, outvars)
        jaxpr = part_of(self.jaxpr, self.equations, self.inputs, outvars)
        return lambda *inputs: run_jaxpr(jaxpr, (), *inputs)

    def _by_kind(self) -> tuple[list[Equation], list[Equation], list[Equation]]:
        """Ways in, what is computed, ways out."""
        found: tuple[list[Equation], ...] = ([], [], [])
        for each in self.equations:
            found[{ENTER: 0, LEAVE: 2}.get(operation_name(each), 1)].append(each)
        enters, inner, leaves = found
        return enters, inner, leaves

    def _read_by(self, *equations: Equation) -> list[Any]:
        """Inputs that some equations read, without a way in: such as constants, which are there on every device."""
        read = {item for each in equations for item in filter(is_variable, each.invars)}
        return [var for var in self.inputs if var in read]

    def _mapped(self, region: Region, outvars: Sequence[Any]) -> Callable[..., Sequence[Any]]:
        enters, inner, leaving = self._by_kind()
        others = self._read_by(*inner, *leaving)
        sources = (*map(crossed_by, enters), *(region.spec(var.aval) for var in others))
        own = {each.outvars[0]: each.invars[0] for each in leaving}
        leaves = {each.outvars[0]: crossed_by(each) for each in leaving}
        results = [leaves.get(var, region.spec(var.aval)) for var in outvars]
        within = [own.get(var, var) for var in outvars]
        jaxpr = part_of(self.jaxpr, inner, [*(each.outvars[0] for each in enters), *others], within)

        def run(*arrays: Any) -> list[Any]:  # noqa: ANN401
            entered = arrays[: len(enters)]
            rest = zip(others, arrays[len(enters) :], strict=True)
            given = [region.own(var.aval, array) for var, array in rest]
            made = zip(outvars, run_jaxpr(jaxpr, (), *entered, *given), strict=True)
            return [region.shown(var.aval, array) for var, array in made]

        place = {var: k for k, var in enumerate(self.inputs)}
        order = [place[var] for var in (*(each.invars[0] for each in enters), *others)]
        mapped = region.map(run, sources, results)
        return lambda *inputs: mapped(*(inputs[k] for k in order))


def pieces(regions: Regions, jaxpr: Any, equations: Sequence[Equation], *, apart: bool = False) -> Iterator[Piece]:  # noqa: ANN401
    """Equations in pieces, in their order.

    Args:
        regions: Where they may be.
        jaxpr: Carries JAX's debugging information.
        equations: They.
        apart: Whether each of those outside is to be a piece of its own.
    """
    held: list[Equation] = []
    where: Region | None = None
    left: set[Any] = set()
    for equation in equations:
        region = region_of(regions, equation)
        # What has left comes back through the outside.
        back = not left.isdisjoint(filter(is_variable, equation.invars))
        if held and (region != where or back or (apart and region is None)):
            yield Piece(held, where, jaxpr)
            held, left = [], set()
        where = region
        held.append(equation)
        if operation_name(equation) == LEAVE:
            left.update(equation.outvars)
    if held:
        yield Piece(held, where, jaxpr)


def function_of(
    regions: Regions,
    jaxpr: Any,  # noqa: ANN401
    equations: Sequence[Equation],
    invars: Sequence[Any],
    outvars: Sequence[Any],
) -> Callable[..., list[Any]]:
    """What equations make of some variables.

    Args:
        regions: Where they may be computed.
        jaxpr: Carries JAX's debugging information.
        equations: They.
        invars: What the function takes.
        outvars: What it returns.
    """
    parts = list(pieces(regions, jaxpr, equations))
    needed = set(outvars)
    functions = []
    for part in reversed(parts):
        made = [var for each in part.equations for var in each.outvars if var in needed]
        functions.append((part.inputs, made, part.function(made)))
        needed.update(part.inputs)

    def run(*inputs: Any) -> list[Any]:  # noqa: ANN401
        known = dict(zip(invars, inputs, strict=True))
        for read, made, function in reversed(functions):
            known.update(zip(made, function(*(known[var] for var in read)), strict=True))
        return [known[var] for var in outvars]

    return run
