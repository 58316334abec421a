"""Arrays that are spread over several devices: what of each lies on one of them is what a budget is about."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import jax
from jax.sharding import NamedSharding, PartitionSpec

from hcp.integrations.jax.internals import (
    explicit_sharding,
    is_traced,
    is_variable,
    mesh_sharding,
    names_axes,
    run_jaxpr,
)
from hcp.integrations.jax.jaxpr import Program, size
from hcp.integrations.jax.platform import measuring_options, shape


@dataclass(frozen=True)
class Placement:
    """How a program's variables are spread.

    Attributes:
        shardings: Of variables; those that are not there are whole on their device.
        measurable: Whether parts of the program can be compiled by themselves. Not so within a trace over a mesh, or
            where the names of mapped axes occur: the devices are not known there.
    """

    shardings: Mapping[Any, Any] = field(default_factory=dict)
    measurable: bool = True

    @cached_property
    def everywhere(self) -> NamedSharding | None:
        """How what is whole on every device is spread; None on one device."""
        mesh = _mesh(self.shardings)
        return None if mesh is None else NamedSharding(mesh, PartitionSpec())  # type: ignore[no-untyped-call]

    def bytes(self, var: Any) -> int:  # noqa: ANN401
        """Of a variable, on one device."""
        extent = tuple(getattr(var.aval, "shape", ()))
        if is_variable(var) and var in self.shardings:
            return _share(size(var), extent, self.shardings[var].shard_shape(extent))
        sharding = mesh_sharding(var.aval)
        if not extent or sharding is None:
            return size(var)
        return _share(size(var), extent, _local(sharding, extent))

    def shape(self, var: Any) -> jax.ShapeDtypeStruct:  # noqa: ANN401
        """A variable's shape and type, and how it is spread, to compile with."""
        sharding = self.shardings.get(var, self.everywhere)
        return shape(var.aval.shape, var.aval.dtype, getattr(var.aval, "weak_type", False), sharding)


def place(program: Program, arrays: Sequence[Any]) -> Placement:
    """How a program is spread when it is called with some arrays, as the compiler decides it.

    Args:
        program: What is called.
        arrays: Constants and arguments, or their shapes, in the order of the program's sources.
    """
    given = {
        var: array.sharding
        for var, array in zip(program.sources, arrays, strict=True)
        if not is_traced(array) and len(getattr(getattr(array, "sharding", None), "device_set", ())) > 1
    }
    if given:
        return Placement(given | _inspected(program, Placement(given)))
    spread = any(mesh_sharding(var.aval) is not None for equation in program.equations for var in equation.outvars)
    named = any(map(names_axes, program.equations))
    return Placement(measurable=not spread and not named)


def _inspected(program: Program, placement: Placement) -> dict[Any, Any]:
    """The shardings that the compiler gives to everything that the program computes."""
    found: dict[Any, Any] = {}

    def run(*arrays: Any) -> list[Any]:  # noqa: ANN401
        known = dict(zip(program.sources, arrays, strict=True))
        for equation in program.equations:
            inputs = list(dict.fromkeys(filter(is_variable, equation.invars)))
            jaxpr = program.part([equation], inputs, equation.outvars)
            outputs = run_jaxpr(jaxpr, (), *(known[var] for var in inputs))
            for var, output in zip(equation.outvars, outputs, strict=True):
                known[var] = output
                if getattr(var.aval, "shape", ()):
                    jax.debug.inspect_array_sharding(output, callback=partial(found.__setitem__, var))
        return [known[item] if is_variable(item) else item.val for item in program.outvars]

    shapes = [placement.shape(var) for var in program.sources]
    jax.jit(run, compiler_options=measuring_options()).lower(*shapes).compile()
    mesh = _mesh(placement.shardings)
    return {var: _on(mesh, var, sharding) for var, sharding in found.items()}


def _mesh(shardings: Mapping[Any, Any]) -> Any:  # noqa: ANN401
    return next((s.mesh for s in shardings.values() if isinstance(s, NamedSharding)), None)


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
