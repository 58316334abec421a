"""A flat jaxpr, and what its variables take."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from hcp.integrations.jax.internals import Atom, Equation, part_of
from hcp.integrations.jax.platform import is_key, shape
from hcp.integrations.jax.regions import Regions, function_of


@dataclass(frozen=True, eq=False)
class Program:
    """A flat jaxpr.

    Attributes:
        jaxpr: What it was made from; carries JAX's debugging information.
        constants: Values of the variables that the jaxpr closes over.
        constvars: These variables.
        invars: Its arguments.
        equations: In execution order; none of them is a plain call.
        outvars: What it returns, variables or literals.
        in_place: For each variable that is an array written part by part, in place, the first of the same storage.
        cut: Whether loops were cut up.
        long: The loops that hand stacks to one another and are too long to be written out.
        regions: Where equations are computed within a ``shard_map``, whose variables are one device's.
    """

    jaxpr: Any
    constants: tuple[Any, ...]
    constvars: tuple[Any, ...]
    invars: tuple[Any, ...]
    equations: tuple[Equation, ...]
    outvars: tuple[Atom, ...]
    in_place: Mapping[Any, Any] = field(default_factory=dict)
    cut: bool = False
    long: tuple[Equation, ...] = ()
    regions: Regions = field(default_factory=dict)

    @property
    def sources(self) -> tuple[Any, ...]:
        """The variables that exist before the first equation."""
        return (*self.constvars, *self.invars)

    def part(self, equations: Sequence[Equation], invars: Sequence[Any], outvars: Sequence[Atom]) -> Any:  # noqa: ANN401
        """Some of the equations as a jaxpr of its own."""
        return part_of(self.jaxpr, equations, invars, outvars)

    def function(
        self, equations: Sequence[Equation], invars: Sequence[Any], outvars: Sequence[Any]
    ) -> Callable[..., list[Any]]:
        """What some of the equations make of some variables."""
        return function_of(self.regions, self.jaxpr, equations, invars, outvars)


def size(var: Atom) -> int:
    """Bytes of an array; of a typed key, those of its words."""
    aval = var.aval
    extent = int(np.prod(getattr(aval, "shape", ()), dtype=np.int64))
    dtype = getattr(aval, "dtype", None)
    if dtype is None:
        return 0
    if is_key(dtype):
        # Keys of all implementations at hand have at most four 32-bit words; the common one has two.
        words = int(np.prod(jax.eval_shape(jax.random.key_data, shape((), dtype)).shape))
        return extent * 4 * words
    return extent * int(np.dtype(dtype).itemsize)
