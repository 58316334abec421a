"""How much memory XLA takes inside one node: found by compiling each distinct node once, alone."""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import jax

from hcp.integrations.jax.fusion import Group
from hcp.integrations.jax.internals import FUSIBLE, compiled_bytes, operation_name, without_addresses
from hcp.integrations.jax.measurements import measurements_of
from hcp.integrations.jax.placement import Placement
from hcp.integrations.jax.platform import measuring_options
from hcp.integrations.jax.program import Program
from hcp.integrations.jax.regions import region_of
from hcp.integrations.measurements import Measurements
from hcp.plans.cache import CacheOption


def workspaces(
    program: Program, groups: Sequence[Group], placement: Placement, cache: CacheOption = False
) -> list[int]:
    """Bytes that each group takes beyond its results while it runs, on one device.

    Args:
        program: The flat jaxpr.
        groups: Its groups.
        placement: How arrays are spread over devices.
        cache: Where is kept what was found. A process plans many functions that share their layers, and so do others.
    """
    known = measurements_of("workspaces", cache)
    found = [_workspace(program, each, placement, known) for each in groups]
    known.save()
    return found


def node_function(program: Program, each: Group) -> Callable[..., list[Any]]:
    """A group as a function of its inputs, then its literals, that returns its outputs in their order."""
    return program.function(each.equations, arguments(each), each.outputs)


def part(program: Program, each: Group) -> Any:  # noqa: ANN401
    """A group as a jaxpr."""
    return program.part(each.equations, arguments(each), each.outputs)


def arguments(each: Group) -> tuple[Any, ...]:
    """The variables that a group's function takes."""
    return (*each.inputs, *(var for var, _ in each.literals))


def _workspace(program: Program, each: Group, placement: Placement, known: Measurements) -> int:
    # One loop over elements needs no room of its own.
    if len(each.equations) == 1 and operation_name(each.equations[0]) in FUSIBLE:
        return 0
    if each.effects:
        return 0
    shapes = [placement.shape(var) for var in arguments(each)]
    # Nothing would tell the compiler about the mesh.
    if not shapes and placement.everywhere is not None:
        return 0

    def compiled() -> int:
        function = jax.jit(node_function(program, each), compiler_options=measuring_options())
        taken = compiled_bytes(function.lower(*shapes).compile())
        return 0 if taken is None else taken.temporary

    # Within a shard_map, what is compiled is not what the equations tell.
    given = [(shape.shape, str(shape.dtype), str(shape.sharding)) for shape in shapes]
    where = region_of(program.regions, each.main)
    about = without_addresses(part(program, each)), given, None if where is None else (str(where.mesh), where.checked)
    text = str(about)
    return round(known.get(hashlib.sha256(text.encode()).hexdigest()[:32], compiled))
