"""From a schedule to a JAX function that runs it: one chain, in which every node waits for the one before it.

Each node's inputs go through ``jax.lax.optimization_barrier`` together with the results of the node before. So nodes
run in the schedule's order, recomputations are not merged with what they repeat, and nothing is fused across nodes: the
memory that the plan counts is the memory that the program takes. Weaker forms (barriers around recomputed parts alone,
a ``jax.checkpoint`` policy) let the compiler move work about and take up to three times the memory. Offloads and
fetches are moves to and from the host's memory, in the same chain.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hcp.integrations.jax.host import DEVICE, HOST
from hcp.integrations.jax.internals import Atom, is_variable, varying_axes
from hcp.integrations.jax.lower import Lowered
from hcp.integrations.jax.platform import is_key
from hcp.integrations.jax.workspace import node_function
from hcp.schedule.actions import Action, Compute, Free, Offload, Schedule

# Public, but without types.
_barrier: Callable[[list[Any]], Sequence[Any]] = jax.lax.optimization_barrier


def emit(lowered: Lowered, schedule: Schedule) -> Callable[..., list[Any]]:
    """The program that runs a schedule.

    Returns:
        A function of the constants and then the arguments of the jaxpr; it returns the jaxpr's results.
    """

    def run(*sources: Any) -> list[Any]:  # noqa: ANN401
        running = Run(lowered, dict(zip(lowered.program.sources, sources, strict=True)))
        running.do(schedule.actions)
        return depending(running.results(lowered.program.outvars), running.turn)

    return run


@dataclass
class Run:
    """One trace of a schedule, or of some of its actions.

    Attributes:
        given: Constants and arguments.
        made: Live arrays.
        copies: Arrays in the host's memory, by value.
        current: Of arrays written in place, the variable of the last version, by the first one.
        turn: Handed from barrier to barrier, so that the chain holds even where a node's results are constants.
        before: What the step before has made.
    """

    lowered: Lowered
    given: dict[Any, Any]
    made: dict[Any, Any] = field(default_factory=dict)
    copies: dict[str, Any] = field(default_factory=dict)
    current: dict[Any, Any] = field(default_factory=dict)
    turn: Any = field(default_factory=lambda: np.uint8(0))
    before: Sequence[Any] = ()

    def do(self, actions: Iterable[Action]) -> None:
        """Takes some actions, in order."""
        for action in actions:
            self._act(action)

    def _act(self, action: Action) -> None:
        if isinstance(action, Compute):
            self._compute(action.node)
            return
        # Tokens that order effects are no arrays.
        var = self.lowered.variable_of.get(action.value)
        if isinstance(action, Free):
            self.made.pop(var, None)
        elif var is not None and isinstance(action, Offload):
            (held,) = self.hold([self.made[self.current.get(var, var)]])
            self.copies[action.value] = jax.device_put(held, HOST)
            self.before = [self.copies[action.value]]
        elif var is not None:
            (held,) = self.hold([self.copies[action.value]])
            self.made[self.current.get(var, var)] = jax.device_put(held, DEVICE)
            self.before = [self.made[self.current.get(var, var)]]

    def _compute(self, node: str) -> None:
        program, each = self.lowered.program, self.lowered.groups[node]
        inputs = [self.made[var] if var in self.made else self.given[var] for var in each.inputs]
        held = self.hold([*inputs, *(value for _, value in each.literals)])
        self.before = node_function(program, each)(*held)
        for var, output in zip(each.outputs, self.before, strict=True):
            # Of a result the first instance stays, as in replay.
            if var not in self.made or not self.lowered.graph.values[self.lowered.value_of[var]].resident:
                self.made[var] = output
            if var in program.in_place:
                self.current[program.in_place[var]] = var

    def hold(self, arrays: list[Any]) -> list[Any]:
        """Arrays that are there when the step before is done."""
        held = barrier([*arrays, self.turn, *self.before])
        self.turn = held[len(arrays)]
        return held[: len(arrays)]

    def results(self, outvars: Sequence[Atom]) -> list[Any]:
        """Some of what the program returns, when all of it was made."""
        return self.hold(results_of(outvars, {**self.given, **self.made}))


def barrier(arrays: list[Any]) -> list[Any]:
    """Lets none of these arrays pass before all of them are there.

    Within a ``shard_map`` that checks replication, those alike in the axes over which they vary: together, all would
    count as varying.
    """
    held = list(arrays)
    axes = [varying_axes(jax.typeof(array)) for array in arrays]
    for own in set(axes):
        places = [k for k, other in enumerate(axes) if other == own]
        for k, array in zip(places, _barrier([arrays[k] for k in places]), strict=True):
            held[k] = array
    return held


def depending(results: list[Any], turn: Any) -> list[Any]:  # noqa: ANN401
    """Results, the smallest of which depends on the last turn: a chain that nothing reads would be removed.

    Compilers drop what is not read from barriers. A node of constants alone would then wait for nothing, and neither
    would the node that waits for it.
    """
    plain = [k for k, result in enumerate(results) if not is_key(result.dtype) and result.dtype != jax.dtypes.float0]
    if plain:
        k = min(plain, key=lambda k: results[k].size)
        results[k] = jnp.where(turn == 0, results[k], jnp.zeros_like(results[k]))
    return results


def results_of(outvars: Sequence[Atom], known: Mapping[Any, Any]) -> list[Any]:
    """What is returned, given the arrays behind variables."""
    return [known[item] if is_variable(item) else jnp.asarray(item.val, item.aval.dtype) for item in outvars]
