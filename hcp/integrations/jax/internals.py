"""What hcp relies on in JAX and XLA beyond their documented interface: the one file that a new version can break.

Names of primitives, parameters of equations, effects, what is known of how types are spread, names of XLA's options:
all of them are here, each behind a word of hcp's own. The attributes by which jaxprs are read (``eqns``, ``invars``,
``outvars``, ``aval``), as ``jax.extend.core`` describes them, are taken to stay.
"""

import os
import re
from collections.abc import Hashable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import jax
from jax._src.source_info_util import Scope, user_frames
from jax.extend import core
from jax.sharding import AxisType

from hcp.graph.source import source_text

_OWN_FILES: Final = str(Path(__file__).parents[2]) + os.sep

Atom = Any  # core.Var | core.Literal; JAX leaves the types of jaxprs open
Equation = Any
ClosedJaxpr = core.ClosedJaxpr

# Re-indexing that costs neither time nor memory inside its reader, so that it is repeated there instead of stored.
# So are hints how arrays are spread, which device this is, and the ways into a ``shard_map`` and out of it.
ENTER: Final = "enter"
LEAVE: Final = "leave"
VIEWS: Final = frozenset(
    {
        ENTER,
        LEAVE,
        "axis_index",
        "broadcast_in_dim",
        "expand_dims",
        "iota",
        "pvary",
        "reshape",
        "sharding_constraint",
        "squeeze",
        "transpose",
    }
)
ELEMENTWISE: Final = frozenset(
    """abs acos acosh add add_any and asin asinh atan atan2 atanh bitcast_convert_type cbrt ceil clamp clz complex conj
    convert_element_type copy copy_p cos cosh digamma div eq erf erf_inv erfc exp exp2 expm1 floor ge gt imag
    integer_pow is_finite le lgamma log log1p logistic lt max min mul ne neg nextafter not or population_count pow real
    reduce_precision rem round rsqrt select_n shift_left shift_right_arithmetic shift_right_logical sign sin sinh sqrt
    square stop_gradient sub tan tanh xor""".split()  # noqa: SIM905 - a list would be a column of words
)
# Hands on what it is given, with a name for policies or a hint to the compiler.
_KEPT_APART: Final = "optimization_barrier"
_NAMED: Final = "name"
MARKS: Final = frozenset({_NAMED, _KEPT_APART})
# Under this name a function is called that stands for what lies between results and their cotangents. No function of a
# user's is called so, as it is no identifier.
GATE: Final = "hcp gate"
MOVEMENT: Final = frozenset({"concatenate", "pad", "reshard", "rev", "slice", "split", *MARKS, *VIEWS})
REDUCTIONS: Final = frozenset(
    """argmax argmin reduce_and reduce_max reduce_min reduce_or reduce_prod reduce_sum reduce_xor""".split()  # noqa: SIM905 - a list would be a column of words
)
# What XLA fuses into loops over elements.
FUSIBLE: Final = ELEMENTWISE | MOVEMENT | REDUCTIONS
TRANSCENDENTAL: Final = frozenset(
    """acos acosh asin asinh atan atan2 atanh cbrt cos cosh digamma erf erf_inv erfc exp exp2 expm1 lgamma log log1p
    logistic pow sin sinh tan tanh""".split()  # noqa: SIM905 - a list would be a column of words
)
BROADCAST: Final = "broadcast_in_dim"
DYNAMIC_SLICE: Final = "dynamic_slice"
DYNAMIC_UPDATE_SLICE: Final = "dynamic_update_slice"
# Reads or writes a part of an array, at a place.
PLACED: Final = frozenset({DYNAMIC_SLICE, DYNAMIC_UPDATE_SLICE})
# Reads some elements of an array.
INDEXED: Final = frozenset({DYNAMIC_SLICE, "gather"})
# Needs what other devices have.
COLLECTIVES: Final = frozenset(
    """all_gather all_gather_invariant all_gather_reduced all_to_all pbroadcast pgather pmax pmin ppermute psum
    psum_invariant ragged_all_to_all reduce_scatter unreduced_psum unreduced_reduce_scatter""".split()  # noqa: SIM905 - a list would be a column of words
)
RANDOM: Final = frozenset({"random_bits", "threefry2x32"})
PRODUCT: Final = "dot_general"
CONVOLUTION: Final = "conv_general_dilated"
BRANCH: Final = "cond"


def is_variable(atom: Atom) -> bool:
    """Whether an atom is a variable rather than a literal."""
    return isinstance(atom, core.Var)


def new_variable(aval: Any, length: int | None = None) -> Any:  # noqa: ANN401
    """A variable of a type; where given, with another length of its first axis."""
    return core.Var(aval if length is None else aval.update(shape=(length, *aval.shape[1:])))


def literal_variable(literal: Any) -> Any:  # noqa: ANN401
    """A variable that stands for a literal, which is the same on every device."""
    return core.Var(literal.aval.update(sharding=None))


def is_reference(aval: Any) -> bool:  # noqa: ANN401
    """Whether values of a type are mutable references."""
    return "Ref" in type(aval).__name__


def is_traced(leaf: object) -> bool:
    """Whether an array belongs to a trace that is going on."""
    return isinstance(leaf, jax.core.Tracer)


def mapped_over(leaf: object) -> dict[int, int]:
    """The vmaps that an array is mapped by, outermost last, with their sizes."""
    found: dict[int, int] = {}
    while type(leaf).__name__ == "BatchTracer":
        value: Any = leaf.val  # type: ignore[attr-defined]
        axis = leaf.batch_dim  # type: ignore[attr-defined]
        if isinstance(axis, int):
            found[id(leaf._trace)] = int(value.shape[axis])  # type: ignore[attr-defined]
        leaf = value
    return found


def run_jaxpr(jaxpr: Any, constants: Sequence[Any], *arguments: Any) -> list[Any]:  # noqa: ANN401
    """What a jaxpr returns for some constants and arguments."""
    return jax.core.eval_jaxpr(jaxpr, constants, *arguments)


def part_of(
    jaxpr: Any,  # noqa: ANN401
    equations: Sequence[Equation],
    invars: Sequence[Any],
    outvars: Sequence[Atom],
) -> Any:  # noqa: ANN401
    """Some equations as a jaxpr with the debugging information of another one."""
    effects: frozenset[Any] = frozenset().union(*(equation.effects for equation in equations))
    return jaxpr.replace(
        constvars=[], invars=list(invars), outvars=list(outvars), eqns=list(equations), effects=effects
    )


def without_addresses(jaxpr: Any) -> str:  # noqa: ANN401
    """A jaxpr in words that are the same in every process: of functions among its parameters, their names alone."""
    return _ADDRESS.sub("", str(jaxpr))


_ADDRESS: Final = re.compile(r" at 0x[0-9a-f]+")


def constants_of(closed: ClosedJaxpr) -> list[tuple[Any, Any]]:
    """The variables that a jaxpr closes over, with their values."""
    return list(zip(closed.jaxpr.constvars, closed.consts, strict=True))


def operation_name(equation: Equation) -> str:
    """JAX's name of what an equation does."""
    return str(equation.primitive.name)


def source_of(*equations: Equation) -> str:
    """Where the first of some equations of which it is known comes from, as ``source_text`` writes it.

    Equations of the backward pass have the named scopes of the forward one that they belong to.
    """
    return next(filter(None, map(_source_of, equations)), "")


def _source_of(equation: Equation) -> str:
    info = equation.source_info
    path = "/".join(part.name for part in info.name_stack.stack if isinstance(part, Scope))
    # What hcp adds to a program is traced in its own files.
    frame = next((frame for frame in user_frames(info.traceback) if not frame.file_name.startswith(_OWN_FILES)), None)
    return source_text(path, "", 0) if frame is None else source_text(path, frame.file_name, frame.start_line)


def operation_key(equation: Equation) -> Hashable | None:
    """What equations that do the same agree in, inputs apart; None where running one has effects.

    It may turn out not to be hashable.
    """
    if has_effects(equation):
        return None
    return equation.primitive, tuple(sorted(equation.params.items(), key=lambda pair: pair[0]))


def rewired(equation: Equation, invars: Sequence[Atom], outvars: Sequence[Any] | None = None) -> Equation:
    """An equation with other inputs and, where given, other outputs."""
    return equation.replace(invars=invars, outvars=equation.outvars if outvars is None else outvars)


def parameters_in_words(equation: Equation) -> str:
    """An equation's parameters in words that are the same in every process."""
    return without_addresses(equation.params)


def inner_jaxprs(equation: Equation) -> list[Any]:
    """The jaxprs among an equation's parameters, such as the body of a loop."""
    return list(core.jaxprs_in_params(equation.params))


_CALLS: Final = frozenset(
    {
        core.primitives.jit_p,
        core.primitives.closed_call_p,
        core.primitives.call_p,
        core.primitives.custom_jvp_call_p,
        core.primitives.custom_vjp_call_p,
        core.primitives.remat_p,
    }
)


def callee(equation: Equation) -> tuple[Any, list[tuple[Any, Any]]] | None:
    """The jaxpr that an equation merely calls, with its constants; None where it has to stay."""
    if equation.primitive not in _CALLS or _pinned(equation.params) or is_gate(equation):
        return None
    for name in ("jaxpr", "call_jaxpr"):
        inner = equation.params.get(name)
        if isinstance(inner, ClosedJaxpr):
            return inner.jaxpr, constants_of(inner)
        if isinstance(inner, core.Jaxpr):
            return inner, []
    return None


def is_gate(equation: Equation) -> bool:
    """Whether an equation stands for what lies between a function's results and their cotangents."""
    return equation.primitive is core.primitives.jit_p and equation.params["name"] == GATE


def is_asked_again(equation: Equation) -> bool:
    """Whether an equation is there to be computed a second time, as ``jax.checkpoint`` asks."""
    return equation.primitive is core.primitives.remat_p or operation_name(equation) == _KEPT_APART


def asks_again(closed: ClosedJaxpr) -> bool:
    """Whether something is to be computed a second time there, as ``jax.checkpoint`` asks."""
    return any(map(is_asked_again, equations_in(closed)))


def _pinned(params: dict[str, Any]) -> bool:
    shardings = (*params.get("in_shardings", ()), *params.get("out_shardings", ()))
    return bool(params.get("compiler_options_kvs")) or any(isinstance(s, jax.sharding.Sharding) for s in shardings)


def name_given(equation: Equation) -> str | None:
    """The name that an equation gives to a value for policies; None where it does something else."""
    return str(equation.params["name"]) if operation_name(equation) == _NAMED else None


def passes_on(equation: Equation) -> bool:
    """Whether an equation does nothing that a plan does not do: it hands its inputs on."""
    return operation_name(equation) in MARKS


def contracted_axes(equation: Equation) -> tuple[int, ...]:
    """Of a ``dot_general``, the axes of its first input that it sums over."""
    (axes, _), _ = equation.params["dimension_numbers"]
    return tuple(axes)


def kernel_axes(equation: Equation) -> tuple[int, ...]:
    """Of a convolution, the axes of its kernel that it sums over: input channels, then space."""
    spec = equation.params["dimension_numbers"].rhs_spec
    return (spec[1], *spec[2:])


def is_scan(equation: Equation) -> bool:
    """Whether an equation is a ``jax.lax.scan``."""
    return equation.primitive is core.primitives.scan_p


@dataclass(frozen=True)
class Scan:
    """The equation of a scan in words.

    Attributes:
        equation: It.
        body: One step.
        length: Number of steps.
        reverse: Whether it goes through its stacks from the end.
        unroll: How many steps are written out in one turn of the loop.
        constants: How many inputs every step gets; they are the first.
        carries: How many inputs are carried on; they come next, and are the first outputs.
    """

    equation: Equation
    body: ClosedJaxpr
    length: int
    reverse: bool
    unroll: int
    constants: int
    carries: int

    @classmethod
    def of(cls, equation: Equation) -> "Scan":
        """Reads an equation for which ``is_scan`` holds."""
        names = ("jaxpr", "length", "reverse", "unroll", "num_consts", "num_carry")
        return cls(equation, *(equation.params[name] for name in names))

    @property
    def unsliced(self) -> int:
        """How many inputs are not scanned."""
        return self.constants + self.carries

    @property
    def slices(self) -> Sequence[Atom]:
        """The inputs that it goes through."""
        return self.equation.invars[self.unsliced :]  # type: ignore[no-any-return]

    @property
    def stacks(self) -> Sequence[Any]:
        """The outputs that it stacks up."""
        return self.equation.outvars[self.carries :]  # type: ignore[no-any-return]

    def of_length(self, length: int, invars: Sequence[Atom], outvars: Sequence[Any]) -> Equation:
        """The same loop with fewer steps, over other inputs."""
        params = self.equation.params | {"length": length, "unroll": min(length, self.unroll)}
        return self.equation.replace(invars=list(invars), outvars=list(outvars), params=params)


class Pooling(NamedTuple):
    """How the windows of an array are reduced to their extremes.

    Attributes:
        window: Extents.
        strides: From one to the next.
        padding: Before and behind, of each axis.
        largest: Whether the extreme is the largest, or else the smallest.
    """

    window: tuple[int, ...]
    strides: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    largest: bool


def pooling_of(equation: Equation) -> Pooling | None:
    """How what an equation is the way back of was pooled; None where it is no such thing."""
    if operation_name(equation) != "select_and_scatter_add":
        return None
    params = equation.params
    names = {"ge": True, "le": False}
    largest = names.get(params["select_prim"].name)
    floating = jax.numpy.issubdtype(equation.invars[1].aval.dtype, jax.numpy.floating)
    if largest is None or not floating:
        return None
    return Pooling(params["window_dimensions"], params["window_strides"], tuple(params["padding"]), largest)


def is_way_back_through_while(error: ValueError) -> bool:
    """Whether JAX says that it cannot go backwards through a loop of unknown length."""
    return "Reverse-mode differentiation does not work" in str(error)


def equations_in(closed: Any) -> Iterator[Equation]:  # noqa: ANN401
    """All equations of a jaxpr, those of its loops, branches and calls included."""
    for equation in closed.eqns:
        yield equation
        for inner in inner_jaxprs(equation):
            yield from equations_in(inner)


def is_check(equation: Equation) -> bool:
    """Whether an equation is a check that checkify did not make a value."""
    return operation_name(equation) == "check"


# Collectives carry the names of their axes as an "effect"; running them again is harmless.
_NAMED_AXIS: Final = "NamedAxisEffect"


def has_effects(equation: Equation) -> bool:
    """Whether running an equation again would be seen from outside; what lies between two halves runs once."""
    return is_gate(equation) or _is_seen(equation)


def _is_seen(equation: Any) -> bool:  # noqa: ANN401
    """Whether running an equation, or a jaxpr, does more than make its results."""
    return any(type(effect).__name__ != _NAMED_AXIS for effect in equation.effects)


def names_axes(equation: Equation) -> bool:
    """Whether an equation speaks of mapped axes by name."""
    return any(type(effect).__name__ == _NAMED_AXIS for effect in equation.effects)


def is_kept_unread(equation: Equation) -> bool:
    """Whether an equation stays even where what it makes is not read."""
    return is_gate(equation) or has_effects(equation)


def mesh_sharding(aval: Any) -> Any:  # noqa: ANN401
    """How a type says that its arrays are spread over a mesh; None where it names none."""
    sharding = getattr(aval, "sharding", None)
    return None if sharding is None or sharding.mesh.empty else sharding


def explicit_sharding(aval: Any) -> Any:  # noqa: ANN401
    """The same where the caller, rather than the compiler, decides how arrays are spread; else None."""
    sharding = mesh_sharding(aval)
    return sharding if sharding is not None and AxisType.Explicit in sharding.mesh.axis_types else None


def varying_axes(aval: Any) -> frozenset[str]:  # noqa: ANN401
    """The mapped axes over which an array differs, as a ``shard_map`` that checks replication knows them."""
    kind = getattr(aval, "manual_axis_type", None)
    return frozenset(getattr(aval, "vma", ()) if kind is None else kind.varying)


def inner_mesh(aval: Any) -> Any:  # noqa: ANN401
    """The mesh on each of whose devices arrays of a type are another one, as inside of a ``shard_map``; else None."""
    sharding = mesh_sharding(aval)
    return None if sharding is None or not sharding.mesh.are_all_axes_manual else sharding.mesh


@dataclass(frozen=True)
class Mapped:
    """The equation of a ``shard_map`` that can be seen into, in words.

    Attributes:
        equation: It.
        body: What each device computes.
        inner: The mesh as types inside name it.
        mesh: The devices, or what the mesh that is set is like.
        checked: Whether types inside say over which axes arrays differ.
        sources: How its inputs are spread.
        results: How its outputs are.
    """

    equation: Equation
    body: Any
    inner: Any
    mesh: Any
    checked: bool
    sources: Sequence[Any]
    results: Sequence[Any]

    @classmethod
    def of(cls, equation: Equation) -> "Mapped | None":
        """Reads an equation; None where it is something else, or has to stay as it is.

        That is where some axes of the mesh are the compiler's, where running the body would be seen from outside, where
        sums are left open, and where this is the inside of another one.
        """
        if operation_name(equation) != _SHARD_MAP or on_one_device_each():
            return None
        names = ("jaxpr", "mesh", "check_vma", "in_specs", "out_specs", "newly_manual_axes")
        body, mesh, checked, sources, results, axes = (equation.params[name] for name in names)
        inner = next((inner_mesh(var.aval) for each in _inlined(body) for var in each.outvars), None)
        if inner is None or set(axes) != set(mesh.axis_names) or body.constvars or _is_seen(body):
            return None
        found = cls(equation, body, inner, mesh, checked, sources, results)
        return found if found._plain else None

    @property
    def _plain(self) -> bool:
        """Whether all arrays inside are of this mesh, each of them whole."""
        named = (var.aval for var, spec in zip(self.body.invars, self.sources, strict=True) if tuple(spec))
        given = (var.aval for var in self.body.invars if inner_mesh(var.aval) is not None)
        made = (var.aval for each in _inlined(self.body) for var in each.outvars)
        return all(inner_mesh(aval) == self.inner and not _left_open(aval) for aval in (*named, *given, *made))

    def crossing(self, name: str, spec: Any, source: Any, result: Any) -> Equation:  # noqa: ANN401
        """An equation that stands for the way of one array into it, or out of it."""
        params = {"mesh": self.mesh, "check_vma": self.checked, "spec": spec}
        crossing = {"primitive": _CROSSINGS[name], "params": params, "effects": frozenset()}
        return self.equation.replace(**crossing, invars=[source], outvars=[result])


_SHARD_MAP: Final = "shard_map"
_CROSSINGS: Final = {name: core.Primitive(name) for name in (ENTER, LEAVE)}


def _inlined(jaxpr: Any) -> Iterator[Equation]:  # noqa: ANN401
    """The equations of a jaxpr, calls gone into."""
    for equation in jaxpr.eqns:
        called = callee(equation)
        yield from (equation,) if called is None else _inlined(called[0])


def crossed_by(equation: Equation) -> Any:  # noqa: ANN401
    """How an array is spread on the outer side of a way into a ``shard_map``, or out of it."""
    return equation.params["spec"]


def _left_open(aval: Any) -> bool:  # noqa: ANN401
    """Whether an array is a part of a sum over devices that is still to be taken."""
    kind = getattr(aval, "manual_axis_type", None)
    return bool(kind is not None and (kind.unreduced or kind.reduced))


# What JAX calls the host's memory that a device can reach.
HOST_MEMORY: Final = "pinned_host"


def lists_host_memory(device: jax.Device) -> bool:
    """Whether a device lists a memory of the host's that it can reach."""
    return any(memory.kind == HOST_MEMORY for memory in device.addressable_memories())


# Part of what JAX keeps traces and compiled programs by.
_TRACED: Final[Any] = jax.make_user_context(None)  # type: ignore[no-untyped-call]


def traced_apart(name: str | None) -> AbstractContextManager[Any]:
    """While this is entered, nothing that was traced or compiled under another name is used again."""
    return _TRACED(name)  # type: ignore[no-any-return]


def on_one_device_each() -> bool:
    """Whether a ``shard_map`` is being traced, in which each device has arrays of its own."""
    return bool(getattr(jax.sharding.get_abstract_mesh(), "manual_axes", ()))


def under_jit() -> bool:
    """Whether JAX is tracing for a jit at the moment."""
    # The only public way to tell a jit's trace from a vmap's; where it goes away, the warning comes too often.
    ask = getattr(core, "unsafe_am_i_under_a_jit_DO_NOT_USE", None)
    return True if ask is None else bool(ask())


# The option of XLA's that names passes to leave out, and the pass that strips optimization barriers on CPUs.
PASSES_LEFT_OUT: Final = "xla_disable_hlo_passes"
STRIPPING_PASS: Final = "cse_barrier_expander"
# How much LLVM optimizes on CPUs.
OPTIMIZATION_LEVEL: Final = "xla_backend_optimization_level"


class CompiledBytes(NamedTuple):
    """Memory of a compiled program on one device, by the compiler's account.

    Attributes:
        temporary: In addition to arguments and results.
        output: Results.
        on_host: Temporary memory of the host's.
    """

    temporary: int
    output: int
    on_host: int

    @property
    def total(self) -> int:
        """What a budget is about."""
        return self.temporary + self.output


def compiled_bytes(compiled: Any) -> CompiledBytes | None:  # noqa: ANN401
    """The memory of ``jax.jit(f).lower(...).compile()``; None where the platform's compiler does not say.

    JAX's ``peak_memory_in_bytes`` is not used: on CPUs it is far from what a process takes, while temporary memory is
    within some percent of it.
    """
    analysis = compiled.memory_analysis()
    if analysis is None:
        return None
    found = (analysis.temp_size_in_bytes, analysis.output_size_in_bytes, analysis.host_temp_size_in_bytes)
    return CompiledBytes(*map(int, found))
