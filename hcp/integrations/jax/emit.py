"""From a schedule to a JAX function that runs it: one chain, in which every node waits for the one before it.

Each node's inputs go through ``jax.lax.optimization_barrier`` together with the results of the node before. So nodes
run in the schedule's order, recomputations are not merged with what they repeat, and nothing is fused across nodes: the
memory that the plan counts is the memory that the program takes. Weaker forms (barriers around recomputed parts alone,
a ``jax.checkpoint`` policy) let the compiler move work about and take up to three times the memory.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hcp.integrations.jax.jaxpr import Program, is_variable
from hcp.integrations.jax.lower import Lowered
from hcp.integrations.jax.workspace import node_function
from hcp.schedule.actions import Compute, Schedule

# Public, but without types.
barrier: Callable[[tuple[Any, ...]], Sequence[Any]] = jax.lax.optimization_barrier


def emit(lowered: Lowered, schedule: Schedule) -> Callable[..., list[Any]]:
    """The program that runs a schedule.

    Returns:
        A function of the constants and then the arguments of the jaxpr; it returns the jaxpr's results.
    """
    program = lowered.program

    def run(*sources: Any) -> list[Any]:  # noqa: ANN401
        given = dict(zip(program.sources, sources, strict=True))
        made: dict[Any, Any] = {}
        # Handed from barrier to barrier, so that the chain holds even where a node's results are constants.
        turn: Any = np.uint8(0)
        before: Sequence[Any] = ()
        for action in schedule.actions:
            if not isinstance(action, Compute):
                # Tokens that order effects are no arrays.
                made.pop(lowered.variable_of.get(action.value), None)
                continue
            each = lowered.groups[action.node]
            inputs = [made[var] if var in made else given[var] for var in each.inputs]
            literals = [value for _, value in each.literals]
            held = barrier((*inputs, *literals, turn, *before))
            turn = held[len(inputs) + len(literals)]
            before = node_function(program, each)(*held[: len(inputs) + len(literals)])
            for var, output in zip(each.outputs, before, strict=True):
                # Of a result the first instance stays, as in replay.
                if var not in made or not lowered.graph.values[lowered.value_of[var]].resident:
                    made[var] = output
        results = results_of(program, {**given, **made})
        # A chain that nothing reads would be removed.
        return list(barrier((*results, turn))[: len(results)])

    return run


def results_of(program: Program, known: Mapping[Any, Any]) -> list[Any]:
    """What a program returns, given the arrays behind its variables."""
    return [known[item] if is_variable(item) else jnp.asarray(item.val, item.aval.dtype) for item in program.outvars]
