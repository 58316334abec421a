"""How much memory XLA takes inside one node: found by compiling each distinct node once, alone."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import jax

from hcp.integrations.jax.fusion import Group
from hcp.integrations.jax.internals import FUSIBLE, compiled_bytes, operation_name, run_jaxpr
from hcp.integrations.jax.jaxpr import Program
from hcp.integrations.jax.placement import Placement
from hcp.integrations.jax.platform import measuring_options

# Compiled nodes by what they are: text, platform, devices. A process plans many functions that share their layers.
_KNOWN: Final[dict[tuple[str, str], int]] = {}


def workspaces(program: Program, groups: Sequence[Group], placement: Placement) -> list[int]:
    """Bytes that each group takes beyond its results while it runs, on one device."""
    return [_workspace(program, each, placement) for each in groups]


def node_function(program: Program, each: Group) -> Callable[..., list[Any]]:
    """A group as a function of its inputs, then its literals, that returns its outputs in their order."""
    jaxpr = part(program, each)

    def run(*inputs: Any) -> list[Any]:  # noqa: ANN401
        return run_jaxpr(jaxpr, (), *inputs)

    return run


def part(program: Program, each: Group) -> Any:  # noqa: ANN401
    """A group as a jaxpr."""
    return program.part(each.equations, arguments(each), each.outputs)


def arguments(each: Group) -> tuple[Any, ...]:
    """The variables that a group's function takes."""
    return (*each.inputs, *(var for var, _ in each.literals))


def _workspace(program: Program, each: Group, placement: Placement) -> int:
    # One loop over elements needs no room of its own.
    if len(each.equations) == 1 and operation_name(each.equations[0]) in FUSIBLE:
        return 0
    if each.effects:
        return 0
    shapes = [placement.shape(var) for var in arguments(each)]
    # Nothing would tell the compiler about the mesh.
    if not shapes and placement.everywhere is not None:
        return 0
    key = (str(part(program, each)), str([(jax.default_backend(), shape.sharding) for shape in shapes]))
    if key not in _KNOWN:
        compiled = jax.jit(node_function(program, each), compiler_options=measuring_options()).lower(*shapes).compile()
        taken = compiled_bytes(compiled)
        _KNOWN[key] = 0 if taken is None else taken.temporary
    return _KNOWN[key]
