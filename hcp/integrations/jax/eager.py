"""Runs a plan node by node, outside of any jit: the oracle for compiled programs, and the way to look into a plan.

Every node is compiled by itself; the arrays that the plan frees are deleted at once, so the memory held is what the
plan says, whatever the platform's compiler does with barriers. Checkpoints can go to the host or to a disk.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hcp.graph.ir import Node
from hcp.integrations.jax.emit import results_of
from hcp.integrations.jax.lower import OUTPUTS, Lowered
from hcp.integrations.jax.platform import is_key
from hcp.integrations.jax.workspace import node_function
from hcp.runtime import Encoded, ExecutionCallbacks
from hcp.runtime.codec import Content


class JaxCallbacks(ExecutionCallbacks):
    """What a plan's executor needs to run a captured program on some arrays.

    Attributes:
        compiled: A function a node; hand it to the callbacks of the next run, which then compiles nothing.
    """

    def __init__(
        self, lowered: Lowered, sources: Sequence[Any], compiled: dict[str, Callable[..., list[Any]]] | None = None
    ) -> None:
        self.lowered = lowered
        self.given = dict(zip(lowered.program.sources, sources, strict=True))
        self.compiled = {} if compiled is None else compiled
        self.held: dict[str, Any] = {}

    def inputs(self, loss: Content) -> Mapping[str, Any]:  # noqa: ARG002 - gradients start from the program's own ones
        """The room that is reserved for results."""
        return {OUTPUTS: None}

    def compute(self, node: Node, inputs: Mapping[str, Any], *, again: bool) -> Mapping[str, Any]:  # noqa: ARG002
        """Runs a node; deterministic, hence the same again."""
        each = self.lowered.groups[node.name]
        name_of = self.lowered.value_of
        if node.name not in self.compiled:
            self.compiled[node.name] = jax.jit(node_function(self.lowered.program, each))
        arguments = [inputs[name_of[var]] if var in name_of else self.given[var] for var in each.inputs]
        made = self.compiled[node.name](*arguments, *(value for _, value in each.literals))
        # Only when it has run can what it read be deleted.
        jax.block_until_ready(made)  # type: ignore[no-untyped-call]
        found: dict[str, Any] = {value.name: None for value in node.outputs}
        found.update((name_of[var], array) for var, array in zip(each.outputs, made, strict=True))
        self.held.update((name, array) for name, array in found.items() if array is not None)
        return found

    def free(self, value: str) -> None:
        """Deletes the array."""
        array = self.held.pop(value, None)
        if array is not None:
            array.delete()

    def stored(self, value: str) -> None:
        """Lets go of the array; a copy elsewhere may still read it, so it must not be deleted."""
        self.held.pop(value, None)

    def results(self, made: Mapping[str, Any]) -> list[Any]:
        """What the program returns."""
        arrays = {var: made[name] for var, name in self.lowered.value_of.items() if name in made}
        return results_of(self.lowered.program.outvars, {**self.given, **arrays})


class JaxCodec:
    """JAX's arrays for host and disk tiers: any type, random keys included, bit for bit."""

    def encode(self, value: Content, /) -> Encoded:
        """A copy of the array in host memory."""
        about: dict[str, Any] = {}
        if is_key(value.dtype):
            about["key"] = str(jax.random.key_impl(value))
            value = jax.random.key_data(value)
        array = np.array(value)
        about |= {"dtype": array.dtype.name, "shape": list(array.shape)}
        # bfloat16 and its like are not NumPy's own.
        return Encoded(array.reshape(-1).view(np.uint8), about)

    def decode(self, encoded: Encoded, /) -> jax.Array:
        """A fresh array on the default device."""
        about = encoded.about
        array = jnp.array(np.asarray(encoded.array).view(jnp.dtype(about["dtype"])).reshape(about["shape"]))
        return jax.random.wrap_key_data(array, impl=about["key"]) if "key" in about else array
