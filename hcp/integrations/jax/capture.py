"""From a Python function and its arguments to a flat program, with errors that say what to change."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import jax
from jax import tree_util

from hcp.integrations.jax.errors import CaptureError
from hcp.integrations.jax.internals import ClosedJaxpr, is_way_back_through_while
from hcp.integrations.jax.jaxpr import Program, flatten

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
        name: Of the function, for people.
        closed: The jaxpr behind the program.
    """

    program: Program
    structure: Any
    name: str
    closed: ClosedJaxpr

    def cut(self) -> "Captured | None":
        """The same with loops cut up for planning inside of them; None where there are none to cut."""
        program = flatten(self.closed, cut=True)
        return replace(self, program=program) if program.cut else None


@dataclass(frozen=True)
class Arguments:
    """The arguments of a call, arrays apart from everything else.

    Attributes:
        arrays: Leaves that are traced.
        others: What stands at the other leaves, None where an array is.
        structure: Of positional and keyword arguments.
    """

    arrays: tuple[Any, ...]
    others: tuple[Any, ...]
    structure: Any

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
        source = iter(arrays)
        leaves = [next(source) if other is None else other.leaf for other in self.others]
        args, kwargs = tree_util.tree_unflatten(self.structure, leaves)
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
        CaptureError: If it branches on an array's content, goes backwards through a loop of unknown length, or works
            on mutable references.
    """

    def on_arrays(*arrays: Any) -> Any:  # noqa: ANN401
        args, kwargs = arguments.rebuilt(arrays)
        return function(*args, **kwargs)

    try:
        closed, shapes = jax.make_jaxpr(on_arrays, return_shape=True)(*arguments.arrays)
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
    return Captured(flatten(closed), tree_util.tree_structure(shapes), name, closed)


def _is_array(leaf: object) -> bool:
    return isinstance(leaf, jax.Array) or (hasattr(leaf, "shape") and hasattr(leaf, "dtype"))
