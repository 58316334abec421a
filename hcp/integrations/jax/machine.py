"""Runs a scan and its way back by a table of steps: loops over slots of carries, whatever the length of the scan."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import tree_util

from hcp.integrations.jax.chain import Table

# body(constants, carry, x) -> (carry, y)
Body = Callable[[Any, Any, Any], tuple[Any, Any]]
# back(constants, carry, x, cotangent of the next carry, cotangent of y) -> cotangents of constants, carry and x
Back = Callable[[Any, Any, Any, Any, Any], tuple[Any, Any, Any]]


@dataclass(frozen=True)
class Machine:
    """A scan with its table.

    Attributes:
        body: One step.
        back: Its transpose.
        length: Steps.
        reverse: Whether the scan goes through ``xs`` from the end.
        table: What runs when.
    """

    body: Body
    back: Back
    length: int
    reverse: bool
    table: Table

    def forward(self, constants: Any, init: Any, xs: Any) -> tuple[Any, Any, Any]:  # noqa: ANN401
        """The last carry, the stacked results, and the slots for the way back."""
        _, y = jax.eval_shape(self.body, constants, init, self.slice(xs, 0))
        stacks = tree_util.tree_map(lambda a: jnp.zeros((self.length, *a.shape), a.dtype), y)
        slots = tree_util.tree_map(lambda a: _write(_empty(a, self.table.slots), a, 0), init)

        def step(state: Any, row: Any) -> tuple[Any, None]:  # noqa: ANN401
            # The running carry is no slot: XLA copies all slots where a loop both reads and writes them.
            carry, slots, stacks = state
            i, target = row
            carry, y = self.body(constants, carry, self.slice(xs, i))
            stacks = tree_util.tree_map(lambda stack, a: _write(stack, a, self.place(i)), stacks, y)
            return (carry, tree_util.tree_map(lambda slot, a: _write(slot, a, target), slots, carry), stacks), None

        rows = (jnp.arange(self.length, dtype=jnp.int32), jnp.asarray(self.table.way_out))
        (carry, slots, stacks), _ = jax.lax.scan(step, (init, slots, stacks), rows)
        return carry, stacks, slots

    def backward(
        self,
        constants: Any,  # noqa: ANN401
        xs: Any,  # noqa: ANN401
        slots: Any,  # noqa: ANN401
        cotangents: tuple[Any, Any],
    ) -> tuple[Any, Any, Any]:
        """Cotangents of constants, first carry and ``xs``, from those of the last carry and the stacked results."""
        of_carry, of_stacks = cotangents
        again = tuple(jnp.asarray(self.table.again.T))
        of_constants, _, of_x = jax.eval_shape(
            self.back, constants, _read(slots, 0), self.slice(xs, 0), of_carry, self.slice(of_stacks, 0)
        )
        totals = tree_util.tree_map(_zeros, of_constants)
        of_xs = tree_util.tree_map(lambda a: jnp.zeros((self.length, *a.shape), a.dtype), of_x)

        def forward(k: Any, slots: Any) -> Any:  # noqa: ANN401
            i, source, target = (column[k] for column in again)
            carry, _ = self.body(constants, _read(slots, source), self.slice(xs, i))
            return tree_util.tree_map(lambda slot, a: _write(slot, a, target), slots, carry)

        def step(state: Any, row: Any) -> tuple[Any, None]:  # noqa: ANN401
            slots, of_carry, totals, of_xs = state
            i, source, begin, end = row
            if len(self.table.again):
                slots = jax.lax.fori_loop(begin, end, forward, slots)
            of_y = self.slice(of_stacks, i)
            own, of_carry, of_x = self.back(constants, _read(slots, source), self.slice(xs, i), of_carry, of_y)
            totals = tree_util.tree_map(jnp.add, totals, own)
            of_xs = tree_util.tree_map(lambda stack, a: _write(stack, a, self.place(i)), of_xs, of_x)
            return (slots, of_carry, totals, of_xs), None

        rows = tuple(jnp.asarray(self.table.way_back.T))
        (_, of_init, totals, of_xs), _ = jax.lax.scan(step, (slots, of_carry, totals, of_xs), rows)
        return totals, of_init, of_xs

    def place(self, i: Any) -> Any:  # noqa: ANN401
        """Where step i stands in ``xs`` and in the stacks."""
        return self.length - 1 - i if self.reverse else i

    def slice(self, stacks: Any, i: Any) -> Any:  # noqa: ANN401
        """What step i gets of stacked arrays."""
        return _read(stacks, self.place(i))


def _empty(array: Any, slots: int) -> Any:  # noqa: ANN401
    return jnp.zeros((slots, *array.shape), array.dtype)


def _zeros(shape: Any) -> Any:  # noqa: ANN401
    return jnp.zeros(shape.shape, shape.dtype)


def _write(stack: Any, array: Any, place: Any) -> Any:  # noqa: ANN401
    return jax.lax.dynamic_update_index_in_dim(stack, array, place, 0)


def _read(stacks: Any, place: Any) -> Any:  # noqa: ANN401
    return tree_util.tree_map(lambda stack: jax.lax.dynamic_index_in_dim(stack, place, 0, keepdims=False), stacks)
