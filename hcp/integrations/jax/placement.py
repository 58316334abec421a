"""Arrays that are spread over several devices, or mapped over: a budget is for what of them lies on one device."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from math import prod
from typing import Any

import jax
from jax.sharding import NamedSharding, PartitionSpec

from hcp.integrations.jax.internals import (
    explicit_sharding,
    inner_mesh,
    is_traced,
    is_variable,
    mapped_over,
    mesh_sharding,
    names_axes,
)
from hcp.integrations.jax.platform import measuring_options, shape
from hcp.integrations.jax.program import Program, size
from hcp.integrations.jax.regions import Regions, pieces


@dataclass(frozen=True)
class Placement:
    """How a program's variables are spread.

    Attributes:
        shardings: Of variables; those that are not there are whole on their device.
        measurable: Whether parts of the program can be compiled by themselves. Not so within a trace over a mesh, or
            where the names of mapped axes occur: the devices are not known there. Nor under several vmaps.
        copies: How many times variables are there that ``vmap`` maps over, or that depend on such.
        regions: Where variables are one device's.
    """

    shardings: Mapping[Any, Any] = field(default_factory=dict)
    measurable: bool = True
    copies: Mapping[Any, int] = field(default_factory=dict)
    regions: Regions = field(default_factory=dict)

    @property
    def mesh(self) -> Any:  # noqa: ANN401
        """The mesh that arrays are spread over; None on one device."""
        known = mesh_of(self.shardings.values())
        return next((region.mesh for region in self.regions.values()), None) if known is None else known

    @cached_property
    def everywhere(self) -> NamedSharding | None:
        """How what is whole on every device is spread; None on one device."""
        mesh = self.mesh
        return None if mesh is None else NamedSharding(mesh, PartitionSpec())  # type: ignore[no-untyped-call]

    def bytes(self, var: Any) -> int:  # noqa: ANN401
        """Of a variable, on one device, in all its copies."""
        return self._each(var) * self.copied([var])

    def copied(self, variables: Sequence[Any]) -> int:
        """How many times some variables are there at least."""
        return max((self.copies.get(var, 1) for var in variables if is_variable(var)), default=1)

    def _each(self, var: Any) -> int:  # noqa: ANN401
        extent = tuple(getattr(var.aval, "shape", ()))
        if is_variable(var) and var in self.shardings:
            return _share(size(var), extent, self.shardings[var].shard_shape(extent))
        sharding = mesh_sharding(var.aval)
        if not extent or sharding is None:
            return size(var)
        return _share(size(var), extent, _local(sharding, extent))

    def shape(self, var: Any) -> jax.ShapeDtypeStruct:  # noqa: ANN401
        """A variable's shape and type, and how it is spread, to compile with."""
        region = self.regions.get(inner_mesh(var.aval))
        if region is not None:
            extent, over = region.outside(var.aval)
            return shape(extent, var.aval.dtype, getattr(var.aval, "weak_type", False), over)
        sharding = self.shardings.get(var, self.everywhere)
        return shape(var.aval.shape, var.aval.dtype, getattr(var.aval, "weak_type", False), sharding)

    def mapped_shape(self, var: Any) -> jax.ShapeDtypeStruct:  # noqa: ANN401
        """The same of all copies together, the first axis of which is mapped over."""
        one = self.shape(var)
        return shape((self.copies[var], *one.shape), one.dtype, one.weak_type) if var in self.copies else one


def place(program: Program, arrays: Sequence[Any], told: Sequence[Any] = ()) -> Placement:
    """How a program is spread when it is called with some arrays, as the compiler decides it.

    Args:
        program: What is called.
        arrays: Constants and arguments, or their shapes, in the order of the program's sources.
        told: How the arguments are spread, where that is known of arrays that a trace hides.
    """
    found = [None if is_traced(array) else getattr(array, "sharding", None) for array in arrays]
    if told:
        found[len(found) - len(told) :] = told
    given = {var: sharding for var, sharding in zip(program.sources, found, strict=True) if is_spread(sharding)}
    maps = _maps(program, arrays)
    copies = {var: prod(own.values()) for var, own in maps.items() if own}
    alone = len({name for own in maps.values() for name in own}) <= 1
    if given or program.regions:
        known = Placement(given, regions=program.regions)
        shardings = given | _inspected(program, known)
        return Placement(shardings, alone and not (given and copies), copies, program.regions)
    return Placement(measurable=alone and not _within_a_mesh(program), copies=copies)


def _within_a_mesh(program: Program) -> bool:
    """Whether operations are on arrays of a mesh whose devices are not known here."""
    made = (var for equation in program.equations for var in equation.outvars)
    return any(mesh_sharding(var.aval) is not None for var in made) or any(map(names_axes, program.equations))


def is_spread(sharding: Any) -> bool:  # noqa: ANN401
    """Whether arrays of a sharding are on several devices."""
    return len(getattr(sharding, "device_set", ())) > 1


def _maps(program: Program, arrays: Sequence[Any]) -> dict[Any, dict[int, int]]:
    """The vmaps, with their sizes, that each variable depends on."""
    found = {var: mapped_over(array) for var, array in zip(program.sources, arrays, strict=True)}
    for equation in program.equations if any(found.values()) else ():
        own: dict[int, int] = {}
        for item in filter(is_variable, equation.invars):
            own |= found.get(item, {})
        found.update(dict.fromkeys(equation.outvars, own))
    return found


def _inspected(program: Program, placement: Placement) -> dict[Any, Any]:
    """The shardings that the compiler gives to everything that the program computes."""
    found: dict[Any, Any] = {}

    def look(var: Any, array: Any) -> None:  # noqa: ANN401
        if getattr(var.aval, "shape", ()) and inner_mesh(var.aval) is None:
            jax.debug.inspect_array_sharding(array, callback=partial(found.__setitem__, var))

    def run(*arrays: Any) -> list[Any]:  # noqa: ANN401
        known = dict(zip(program.sources, arrays, strict=True))
        for var in program.sources:
            if var not in placement.shardings:
                look(var, known[var])
        for part in pieces(program.regions, program.jaxpr, program.equations, apart=True):
            made = [var for equation in part.equations for var in equation.outvars]
            for var, output in zip(made, part.function(made)(*(known[var] for var in part.inputs)), strict=True):
                known[var] = output
                look(var, output)
        return [known[item] if is_variable(item) else item.val for item in program.outvars]

    given = Placement(placement.shardings)
    shapes = [given.shape(var) for var in program.sources]
    jax.jit(run, compiler_options=measuring_options()).lower(*shapes).compile()
    return {var: _on(placement.mesh, var, sharding) for var, sharding in found.items()}


def mesh_of(shardings: Iterable[Any]) -> Any:  # noqa: ANN401
    """The mesh that some arrays are spread over; None where none of them names any."""
    return next((s.mesh for s in shardings if isinstance(s, NamedSharding)), None)


def over_mesh(mesh: Any, sharding: Any) -> Any:  # noqa: ANN401
    """A sharding that the compiler tells, over the caller's own mesh."""
    return NamedSharding(mesh, sharding.spec) if mesh is not None and isinstance(sharding, NamedSharding) else sharding


def _on(mesh: Any, var: Any, sharding: Any) -> Any:  # noqa: ANN401
    """A sharding over the caller's own mesh; the compiler's has lost the types of its axes."""
    if mesh is None or not isinstance(sharding, NamedSharding):
        return sharding
    explicit = explicit_sharding(var.aval)
    return NamedSharding(mesh, (sharding if explicit is None else explicit).spec)


def _local(sharding: Any, extent: Sequence[int]) -> list[int]:  # noqa: ANN401
    """The part of an array on one device, by the axes that its type names."""
    found = list(extent)
    for place, names in enumerate(sharding.spec):
        for name in (names,) if isinstance(names, str) else names or ():
            found[place] = -(-found[place] // sharding.mesh.shape[name])
    return found


def _share(whole: int, extent: Sequence[int], part: Sequence[int]) -> int:
    for all_of_it, local in zip(extent, part, strict=True):
        whole = -(-whole * local // all_of_it) if all_of_it else whole
    return whole
