"""``vjp``: a function and its pullback, planned together within a memory budget."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, update_wrapper
from itertools import compress
from typing import Any, Final

import jax
import jax.numpy as jnp
import numpy as np
from jax import tree_util

from hcp.integrations.jax.capture import Arguments, Captured
from hcp.integrations.jax.errors import ExecutionError, JaxError
from hcp.integrations.jax.halves import Halves, between, halves
from hcp.integrations.jax.internals import is_traced, under_jit
from hcp.integrations.jax.plan import JaxPlan
from hcp.integrations.jax.prepare import Prepared
from hcp.integrations.jax.request import JaxRequest
from hcp.integrations.jax.transform import PlannedGradient, jit_options, warn_of_barriers
from hcp.integrations.request import Fallback, GivenPlan
from hcp.planning.planner import Planner
from hcp.planning.problem import Monitor, ignore
from hcp.plans.cache import CacheOption
from hcp.schedule.host import HostLink

# Its types tell the results with auxiliary ones from those without.
_vjp: Callable[..., Any] = jax.vjp

# Of how many functions compiled programs are kept, for calls outside of a jit.
KEPT: Final = 16


def vjp(
    fun: Callable[..., Any],
    *primals: Any,  # noqa: ANN401
    has_aux: bool = False,
    budget: int | str | None = None,
    solver: str | Planner = "auto",
    time_limit: float = 60.0,
    seed: int = 0,
    measure: bool = True,
    cache: CacheOption = True,
    monitor: Monitor = ignore,
    host: HostLink | str | None = None,
    plan: GivenPlan | None = None,
    fallback: Fallback = "error",
    quiet: bool = False,
) -> tuple[Any, ...]:
    """``jax.vjp`` in which function and pullback are one plan within a memory budget.

    What makes cotangents of the outputs, such as a loss, lies between the two calls and outside of the plan. Within
    ``jit`` (on CPUs ``hcp.integrations.jax.jit``) both halves become parts of that program. Called with arrays, each
    is a compiled program, which reads what the function closes over once, at its first call with given shapes, as
    ``jax.jit`` does; and the pullback holds the arrays that go from one to the other until it goes itself, so that the
    budget is kept within a jit alone. It is a pytree that may be returned from a jit, and can be called several times.

    Args:
        fun: Takes and returns pytrees of arrays; with ``has_aux`` it returns a pair of outputs and auxiliary results.
        *primals: Its arguments. Python numbers count as arrays.
        has_aux: See ``fun``.
        budget: Most bytes of temporary and output memory of both halves together, as for ``value_and_grad``: what is
            kept from one to the other, the outputs and the cotangents in between, and the gradients count, but what the
            caller has there beside them does not. A percentage is of what ``jax.vjp`` and its pullback take, compiled
            as one program.
        solver: As for ``value_and_grad``.
        time_limit: As for ``value_and_grad``.
        seed: As for ``value_and_grad``.
        measure: As for ``value_and_grad``.
        cache: As for ``value_and_grad``.
        monitor: As for ``value_and_grad``.
        host: As for ``value_and_grad``.
        plan: As for ``value_and_grad``, of an earlier pullback's ``plan``.
        fallback: As for ``value_and_grad``.
        quiet: As for ``value_and_grad``.

    Returns:
        The outputs, the pullback, and with ``has_aux`` the auxiliary results. The pullback takes a cotangent like the
        outputs, of type ``float0`` where these are integers, and returns one cotangent for each primal; its ``plan`` is
        the plan.

    Raises:
        HcpError: As ``value_and_grad`` does at the first call.
    """
    request = JaxRequest(
        budget=budget,
        solver=solver,
        time_limit=time_limit,
        seed=seed,
        measure=measure,
        cache=cache,
        monitor=monitor,
        host=host,
        plan=plan,
        fallback=fallback,
        quiet=quiet,
    )
    try:
        planned = _known(fun, has_aux, _Options(request))
    except TypeError:
        # Something of it cannot be hashed, and is planned for this call alone.
        planned = PlannedVjp.of(fun, has_aux, request)
    outputs, aux, pullback = planned.start(primals)
    return (outputs, pullback, *aux)


@dataclass(eq=False)
class PlannedVjp(PlannedGradient):
    """What runs the calls of ``vjp`` for a function."""

    has_aux: bool = False

    @classmethod
    def of(cls, fun: Callable[..., Any], has_aux: bool, request: JaxRequest) -> "PlannedVjp":
        """For some options."""

        def both(*primals: Any) -> Any:  # noqa: ANN401
            outputs, pullback, *aux = _vjp(fun, *primals, has_aux=has_aux)
            leaves, structure = tree_util.tree_flatten(outputs)
            counts = [_counts(jax.typeof(leaf).dtype) for leaf in leaves]
            others = [leaf for leaf in (*leaves, *tree_util.tree_leaves(aux)) if isinstance(leaf, jax.Array)]
            made = iter(between(list(compress(leaves, counts)), others))
            cotangents = [
                next(made) if real else np.zeros(np.shape(leaf), jax.dtypes.float0)
                for leaf, real in zip(leaves, counts, strict=True)
            ]
            return (outputs, aux), pullback(tree_util.tree_unflatten(structure, cotangents))

        planned = cls(fun, both, (), request, has_aux=has_aux)
        update_wrapper(planned, fun, updated=())
        return planned

    def start(self, primals: Sequence[Any]) -> tuple[Any, Sequence[Any], "Pullback"]:
        """Runs the first half.

        Returns:
            Outputs, at most one auxiliary result, and the pullback.
        """
        arguments = Arguments.split(primals, {}, range(len(primals)))
        if under_jit() or any(map(is_traced, arguments.arrays)):
            found = None if self._looked_at(arguments) else self._traced(arguments)
            run = _Run(found, self.name, apart=False) if isinstance(found, Prepared) else None
        else:
            run = self._compiled_run(arguments)
        if run is not None:
            return run.start(arguments.arrays)
        outputs, pullback, *aux = _vjp(self.function, *primals, has_aux=self.has_aux)
        return outputs, aux, Pullback(pullback, None, self.name)

    def _compiled_run(self, arguments: Arguments) -> "_Run | None":
        """What runs a call on arrays; None where it runs unplanned."""
        key = arguments.key
        if key in self._compiled:
            return self._compiled[key]  # type: ignore[no-any-return]
        found = self._runner(arguments, frames=6)
        if not isinstance(found, Prepared):
            self._compiled[key] = None
            return None
        if any(map(is_traced, found.captured.closed.consts)):
            # The function closes over arrays of a trace, and is no part of another one.
            return _Run(found, self.name, apart=False)
        return self._compiled.setdefault(key, _Run(found, self.name, apart=True))  # type: ignore[no-any-return]


@dataclass(frozen=True, eq=False)
class _Options:
    """Options as what functions are known by: plans that were given, each for itself."""

    request: JaxRequest

    @property
    def key(self) -> tuple[Any, ...]:
        """What they agree in that are the same; plans cannot be hashed."""
        request = self.request
        return id(request.plan), request.budget, replace(request, plan=None, budget=1)

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Options) and self.key == other.key


@lru_cache(maxsize=KEPT)
def _known(fun: Callable[..., Any], has_aux: bool, options: _Options) -> PlannedVjp:
    return PlannedVjp.of(fun, has_aux, options.request)


@dataclass(frozen=True, eq=False, repr=False)
class _Run:
    """A planned call.

    Attributes:
        prepared: What runs.
        name: Of the function, for people.
        apart: Whether each half is a program of its own.
    """

    prepared: Prepared
    name: str
    apart: bool

    def __repr__(self) -> str:
        return f"planned call of {self.name}, number {id(self)}"

    @cached_property
    def ahead(self) -> Captured:
        """What the first half returns."""
        captured = self.prepared.captured
        structure = captured.structure.children()[0]
        return replace(captured, structure=structure, others=captured.others[: structure.num_leaves])

    @cached_property
    def back(self) -> Captured:
        """What the second half returns."""
        captured = self.prepared.captured
        others = captured.others[self.ahead.structure.num_leaves :]
        return replace(captured, structure=captured.structure.children()[1], others=others)

    @cached_property
    def halves(self) -> Halves:
        return halves(self.prepared, self.ahead.others.count(None), apart=self.apart)

    @cached_property
    def first(self) -> Callable[..., tuple[list[Any], Any]]:
        """The first half as a program of its own."""
        return jax.jit(self.halves.first, **jit_options())

    @cached_property
    def second(self) -> Callable[..., list[Any]]:
        """The second half as a program of its own."""
        return jax.jit(self.halves.second, **jit_options())

    @cached_property
    def wanted(self) -> tuple[Any, list[Any]]:
        """The structure of the outputs, and their types."""
        structure = self.ahead.structure.children()[0]
        return structure, [item.aval for item in self.prepared.captured.program.outvars[: structure.num_leaves]]

    def start(self, arrays: Sequence[Any]) -> tuple[Any, Sequence[Any], "Pullback"]:
        sources = (*self.halves.constants, *arrays)
        results, kept = (self.first if self.apart else self.halves.first)(*sources)
        outputs, aux = self.ahead.rebuilt(results)
        return outputs, aux, Pullback(([sources[place] for place in self.halves.places], kept), self, self.name)

    def check(self, cotangent: Any) -> list[Any]:  # noqa: ANN401
        """The cotangents that count.

        Raises:
            JaxError: If they are not like the outputs.
        """
        structure, types = self.wanted
        leaves, own = tree_util.tree_flatten(cotangent)
        if own != structure:
            raise JaxError(
                f"the pullback of {self.name} got a cotangent of structure {own}, where the outputs have {structure}; "
                "give one array for each output"
            )
        found = []
        for place, (leaf, wanted) in enumerate(zip(leaves, types, strict=True)):
            real = _counts(wanted.dtype)
            dtype = wanted.dtype if real else jax.dtypes.float0
            array = jnp.asarray(leaf, dtype) if real and isinstance(leaf, int | float | complex) else leaf
            shape, kind = np.shape(array), getattr(array, "dtype", type(leaf).__name__)
            if (shape, kind) != (wanted.shape, dtype):
                raise JaxError(
                    f"the pullback of {self.name} got a cotangent of type {_type(kind, shape)} for output {place}, "
                    f"which needs {_type(dtype, wanted.shape)}; give an array of that type"
                )
            found += [array] if real else []
        return found


@tree_util.register_pytree_node_class
@dataclass(frozen=True, eq=False, repr=False)
class Pullback:
    """What ``vjp`` returns to go from cotangents of outputs to those of primals."""

    _kept: Any
    _run: _Run | None
    _name: str

    def __repr__(self) -> str:
        return f"Pullback of {self._name}"

    @property
    def plan(self) -> JaxPlan:
        """The plan of both halves.

        Raises:
            ExecutionError: If the function runs unplanned.
        """
        if self._run is None:
            raise ExecutionError(
                f"the pullback of {self._name} has no plan: it runs unplanned after a warning, or is traced to see how "
                "arrays are spread over devices; return it from the jit, and read its plan there"
            )
        return self._run.prepared.plan

    def __call__(self, cotangent: Any) -> Any:  # noqa: ANN401
        """One cotangent for each primal, in a tuple.

        Raises:
            JaxError: If the cotangent is not like the outputs.
        """
        if self._run is None:
            return self._kept(cotangent)
        given = self._run.check(cotangent)
        sources, kept = self._kept
        second, held = self._run.second, any(map(is_traced, tree_util.tree_leaves(self._kept)))
        if held or under_jit() or any(map(is_traced, given)):
            second = self._run.halves.second
            if not held:
                # The first half, which would have warned, was no part of this trace.
                warn_of_barriers(self._name, stacklevel=3)
        return self._run.back.rebuilt(second(sources, kept, given))

    def tree_flatten(self) -> tuple[tuple[Any], tuple[_Run | None, str]]:
        """As JAX takes pytrees apart."""
        return (self._kept,), (self._run, self._name)

    @classmethod
    def tree_unflatten(cls, others: tuple[_Run | None, str], kept: tuple[Any]) -> "Pullback":
        """And puts them together again."""
        return cls(kept[0], *others)


def _counts(dtype: Any) -> bool:  # noqa: ANN401
    """Whether outputs of a type have cotangents that are more than a type."""
    return bool(jnp.issubdtype(dtype, jnp.inexact))


def _type(dtype: Any, shape: Sequence[int]) -> str:  # noqa: ANN401
    name = "float0" if dtype == jax.dtypes.float0 else dtype
    return f"{name}[{','.join(map(str, shape))}]"
