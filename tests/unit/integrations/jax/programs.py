"""Flat programs of functions, and what holds for groups of any."""

import jax

from hcp.integrations.jax.internals import is_variable
from hcp.integrations.jax.jaxpr import flatten


def flat(function, *args, **options):
    return flatten(jax.make_jaxpr(function)(*args), **options)


def names(program):
    return [equation.primitive.name for equation in program.equations]


def check_groups(program, groups):
    """Sees to it that groups can run in their order, and yield what is read elsewhere and nothing else."""
    ready = set(program.sources)
    for each in groups:
        assert ready.issuperset(each.inputs)
        ready.update(each.outputs)
    wanted = {var for each in groups for var in each.inputs} | {var for var in program.outvars if is_variable(var)}
    assert wanted.issubset(ready)
    assert all(var in wanted for each in groups for var in each.outputs)
