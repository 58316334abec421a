"""From a Python function and its arguments to a flat program, with errors that say what to change."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from numbers import Number
from typing import Any, Final

import jax
from jax import tree_util

from hcp.integrations.jax.errors import CaptureError
from hcp.integrations.jax.internals import ClosedJaxpr, equations_in, is_check, is_way_back_through_while
from hcp.integrations.jax.jaxpr import flatten
from hcp.integrations.jax.program import Program
from hcp.integrations.jax.residuals import rates
from hcp.integrations.jax.unroll import PARTS

_CONTENT_NEEDED: Final = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
)


@dataclass(frozen=True, eq=False)
class Captured:
    """A captured call.

    Attributes:
        program: What it does.
        structure: Of what it returns.
        others: What it returns at each leaf that is no array, None where an array is.
        name: Of the function, for people.
        closed: The jaxpr behind the program.
        parts: Into how many parts its long loops are cut, if they are.
        flattened: How the program was made from the jaxpr, as options of ``flatten``.
    """

    program: Program
    structure: Any
    others: tuple[Any, ...]
    name: str
    closed: ClosedJaxpr
    parts: int | None = None
    flattened: Mapping[str, Any] = field(default_factory=dict)

    @property
    def slimmer(self) -> bool:
        """Whether its long loops stack up less, and are not cut."""
        return "slim" in self.flattened and not self.flattened.get("cut")

    @property
    def repeats(self) -> bool:
        """Whether it computes operations again that its program has as often."""
        return bool(self.flattened.get("again")) or self.flattened.get("slim", math.inf) < math.inf

    def rebuilt(self, arrays: Sequence[Any]) -> Any:  # noqa: ANN401
        """What it returns, given the arrays of that."""
        return _rebuilt(self.structure, self.others, arrays)

    def whole(self) -> "Captured":
        """The same with all loops as they are."""
        return self._made({})

    def again(self) -> "Captured":
        """The same with what ``jax.checkpoint`` computes again left to be that."""
        return self._made({**self.flattened, "again": True})

    def slim(self, rate: float = math.inf) -> "Captured | None":
        """The same with long loops that stack up less; None where there are none.

        Args:
            rate: Bytes for a floating-point operation that what they make again has to hold; by default, that is only
                what is made for nothing.
        """
        if not self.program.long:
            return None
        return self._made({"slim": rate})

    @cached_property
    def rates(self) -> list[float]:
        """The rates at which long loops come to make more again, largest first."""
        return rates(self.program.long, partial(flatten, regions=self.program.regions))

    def cut(self) -> "Iterator[Captured]":
        """The same with loops cut up for planning inside of them, into few parts first; nothing without loops."""
        for parts in PARTS:
            found = self._made({"slim": math.inf, "cut": True, "parts": parts})
            if found.program.cut:
                yield replace(found, parts=parts if found.program.long else None)
            if not found.program.long:
                return

    def _made(self, options: Mapping[str, Any]) -> "Captured":
        return replace(self, program=flatten(self.closed, **options), flattened=options)


@dataclass(frozen=True)
class Arguments:
    """The arguments of a call, arrays apart from everything else.

    Attributes:
        arrays: Leaves that are traced.
        others: What stands at the other leaves, None where an array is.
        structure: Of positional and keyword arguments.
        shardings: How the arrays are spread over devices, where an outer jit is known to spread them.
    """

    arrays: tuple[Any, ...]
    others: tuple[Any, ...]
    structure: Any
    shardings: tuple[Any, ...] = ()

    @classmethod
    def split(cls, args: Sequence[Any], kwargs: dict[str, Any], traced: Sequence[int]) -> "Arguments":
        """Takes arguments apart: arrays everywhere, and in the arguments at ``traced`` Python numbers as well.

        As with ``jax.grad``, other Python numbers and objects reach the function as they are.
        """
        marked = [(i in traced, arg) for i, arg in enumerate(args)]
        leaves, others = [], []
        for as_array, part in (*marked, (False, kwargs)):
            for leaf in tree_util.tree_leaves(part):
                is_array = _is_array(leaf) or (as_array and isinstance(leaf, int | float | complex))
                others.append(None if is_array else _Other(leaf))
                if is_array:
                    leaves.append(leaf)
        return cls(tuple(leaves), tuple(others), tree_util.tree_structure((tuple(args), kwargs)))

    @property
    def key(self) -> tuple[Any, ...]:
        """What compiled programs are kept by: shapes, types, shardings, and whatever is no array.

        Raises:
            CaptureError: If an argument that is no array cannot be hashed.
        """
        arrays = tuple((jax.typeof(leaf), str(getattr(leaf, "sharding", None))) for leaf in self.arrays)
        found = (self.structure, self.others, arrays)
        try:
            hash(found)
        except TypeError:
            bad = next(type(other.leaf).__name__ for other in self.others if other is not None and not other.hashable)
            raise CaptureError(
                f"an argument holds a {bad}, which is neither an array nor hashable; pass arrays, or close over it"
            ) from None
        return found

    def rebuilt(self, arrays: Sequence[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Positional and keyword arguments with other arrays in place of these."""
        args, kwargs = _rebuilt(self.structure, self.others, arrays)
        return args, kwargs


@dataclass(frozen=True)
class _Other:
    """A leaf that is no array; wrapped, since it may be None, and 1 is not True."""

    leaf: Any

    @property
    def hashable(self) -> bool:
        try:
            hash(self.leaf)
        except TypeError:
            return False
        return True

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Other) and type(self.leaf) is type(other.leaf) and bool(self.leaf == other.leaf)

    def __hash__(self) -> int:
        return hash((type(self.leaf), self.leaf))


def capture(function: Callable[..., Any], arguments: Arguments, name: str) -> Captured:
    """Traces a function.

    Raises:
        CaptureError: If it branches on an array's content, goes backwards through a loop of unknown length, works on
            mutable references, checks by checkify, or is called with sizes that are symbols.
    """
    returned: list[Any] = []

    def on_arrays(*arrays: Any) -> list[Any]:  # noqa: ANN401
        args, kwargs = arguments.rebuilt(arrays)
        leaves, structure = tree_util.tree_flatten(function(*args, **kwargs))
        others = tuple(None if _is_array(leaf) or isinstance(leaf, Number) else _Other(leaf) for leaf in leaves)
        returned[:] = structure, others
        return [leaf for leaf, other in zip(leaves, others, strict=True) if other is None]

    for leaf in arguments.arrays:
        if not all(isinstance(size, int) for size in getattr(leaf, "shape", ())):
            raise CaptureError(
                f"{name} is called with sizes {tuple(map(str, leaf.shape))} that are symbols, and a plan is for given "
                "ones; give numbers, and export once for each"
            )
    try:
        closed = jax.make_jaxpr(on_arrays)(*arguments.arrays)
    except _CONTENT_NEEDED as error:
        raise CaptureError(
            f"{name} uses the content of a traced array in Python, as 'if' and 'bool()' do; "
            "use jax.numpy.where or jax.lax.cond, or pass a Python value that is no array"
        ) from error
    except ValueError as error:
        if not is_way_back_through_while(error):
            raise
        raise CaptureError(
            f"{name} has a while_loop, or a fori_loop whose bounds are arrays, which cannot be differentiated "
            "in reverse mode; use jax.lax.scan, or Python numbers as bounds"
        ) from error
    structure, others = returned
    if any(is_check(equation) for equation in equations_in(closed)):
        raise CaptureError(
            f"{name} calls checkify.check, which has to become a value before gradients are planned; give a function "
            "that calls checkify.checkify(...) and returns the error beside the loss, with has_aux=True"
        )
    return Captured(flatten(closed), structure, others, name, closed)


def _rebuilt(structure: Any, others: Sequence[Any], arrays: Sequence[Any]) -> Any:  # noqa: ANN401
    source = iter(arrays)
    return tree_util.tree_unflatten(structure, [next(source) if other is None else other.leaf for other in others])


def _is_array(leaf: object) -> bool:
    return isinstance(leaf, jax.Array) or (hasattr(leaf, "shape") and hasattr(leaf, "dtype"))
