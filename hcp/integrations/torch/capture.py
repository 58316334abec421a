"""Capture of training steps as joint graphs, generated code for graphs, and compiled calls with errors translated."""

import logging
import operator
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from types import SimpleNamespace
from typing import Any, Final, TypeVar

import torch
from torch import fx, nn

from hcp.graph.errors import HcpError
from hcp.integrations.torch.errors import CaptureError, ExecutionError
from hcp.integrations.torch.internals import (
    CHECKPOINTED,
    BackendCompilerFailed,
    FakeTensorMode,
    TorchDynamoException,
    Unsupported,
    boxed_code,
    compile_joint,
    dispatch_mode,
    fake_mode_of,
    given_name,
    ignoring,
    kernel_of,
    mark_boxed,
    mutated_primals,
    outside_modes,
    symbols_in,
    whole_capture,
)

# How generated code names an operation that it calls.
_OPERATION: Final = re.compile(r"\btorch\.ops\.(\w+)\.(\w+)\.(\w+)(?=\()")

# What PyTorch says of an operator that it cannot run without data.
_WITHOUT_FAKE: Final = re.compile(r"no fake impl registered for <\w+\(([\w:]+)\)>")

_CONTEXT: Final = "Developer debug context:"

_CALLS: Final = count(1)

Boxed = Callable[[list[Any]], Any]
T = TypeVar("T")


@dataclass(frozen=True)
class Traced:
    """A call before it was taken apart into a joint graph: autograd can follow it as it follows the user's module.

    Attributes:
        module: The forward.
        inputs: Parameters, buffers and inputs.
        names: What each is called, in the user's module or among the arguments.
    """

    module: fx.GraphModule
    inputs: tuple[Any, ...]
    names: tuple[str, ...]

    @property
    def checkpointed(self) -> bool:
        """Whether the user's module calls ``torch.utils.checkpoint`` itself."""
        return any(node.target is CHECKPOINTED for node in self.module.graph.nodes)


@dataclass(frozen=True)
class Joint:
    """The functional joint graph of one training step.

    Attributes:
        traced: What it was made from.
        module: Holds the graph; its placeholders are the primals, then the tangents.
        primals: Parameters, buffers and inputs.
        tangents: Gradients of the forward's differentiable outputs.
        mutated: For each forward output, the primal that it becomes the new content of, or None.
    """

    traced: Traced
    module: fx.GraphModule
    primals: tuple[fx.Node, ...]
    tangents: tuple[fx.Node, ...]
    mutated: tuple[fx.Node | None, ...]

    @property
    def returned(self) -> tuple[Any, ...]:
        """What the graph returns: the forward's outputs, then the gradients."""
        (output,) = self.module.graph.find_nodes(op="output")
        return tuple(output.args[0])

    @property
    def outputs(self) -> tuple[Any, ...]:
        """What the forward returns: new contents of mutated inputs first, then what the user sees."""
        return self.returned[: len(self.mutated)]

    @property
    def gradients(self) -> tuple[Any, ...]:
        """One a primal, None where it needs none."""
        return self.returned[len(self.mutated) :]

    @cached_property
    def symbols(self) -> frozenset[Any]:
        """What the sizes of the inputs are made of, where the call at hand decides them."""
        return frozenset().union(*(symbols_in(node.meta.get("val")) for node in self.primals))

    @property
    def fake_mode(self) -> FakeTensorMode:
        """The mode that the graph's example values belong to."""
        return fake_mode_of((*self.primals, *self.tangents))


@dataclass(frozen=True)
class Split:
    """The two halves that a joint graph is executed as."""

    forward: fx.GraphModule
    backward: fx.GraphModule


def traced_of(module: fx.GraphModule, inputs: Sequence[Any]) -> Traced:
    """What Dynamo hands to a backend; it forgets where it found the inputs once it is done."""
    return Traced(module, tuple(inputs), tuple(map(given_name, module.graph.find_nodes(op="placeholder"))))


@dataclass(frozen=True)
class Sized:
    """How a step runs whose code the call decides.

    Attributes:
        outline: Two halves that take and return what AOTAutograd expects; they are not run.
        forward: Runs the forward half.
        backward: Runs the backward half.
    """

    outline: Split
    forward: Boxed
    backward: Boxed


def backend(run: Callable[[Joint], Sized]) -> Callable[..., Any]:
    """A ``torch.compile`` backend that runs each training step as a function says, given its joint graph.

    Calls that need no gradient run as captured.
    """

    def compile_traced(module: fx.GraphModule, inputs: Sequence[Any]) -> Any:  # noqa: ANN401 - as PyTorch compiles it
        traced = traced_of(module, inputs)
        found: list[Sized] = []

        def partition(module: fx.GraphModule, forward_outputs: int) -> tuple[fx.GraphModule, fx.GraphModule]:
            found.append(run(joint_of(traced, module, forward_outputs)))
            return found[0].outline.forward, found[0].outline.backward

        def forward(module: fx.GraphModule, _inputs: object) -> Boxed:
            return found[0].forward if found else boxed(module)

        def backward(_module: fx.GraphModule, _inputs: object) -> Boxed:
            return found[0].backward

        with _recurrence_in_the_open(module) as inside:
            return compile_joint(module, inputs, (forward, backward), inside(partition))

    return compile_traced


@contextmanager
def _recurrence_in_the_open(module: fx.GraphModule) -> Iterator[Callable[[Callable[..., T]], Callable[..., T]]]:
    """Has an LSTM captured cell by cell, but what is called meanwhile run as always.

    The library's kernel for a whole layer leaves nothing for its backward where nobody asks autograd for one, as in
    captured code.
    """
    if not any(getattr(node.target, "__name__", "") == "lstm" for node in module.graph.nodes):
        yield lambda function: function
        return
    enabled = torch.backends.mkldnn.enabled

    def inside(function: Callable[..., T]) -> Callable[..., T]:
        def call(*args: Any) -> T:  # noqa: ANN401 - whatever the function takes
            with _mkldnn(enabled):
                return function(*args)

        return call

    with _mkldnn(False):
        yield inside


@contextmanager
def _mkldnn(enabled: object) -> Iterator[None]:
    """Has the library used or not; its own ``flags`` would reset other settings as well."""
    library: Any = torch.backends.mkldnn
    before, library.enabled = library.enabled, enabled
    try:
        yield
    finally:
        library.enabled = before


def boxed(module: fx.GraphModule) -> Boxed:
    """The graph as a function of one list, which it empties; each value goes right after its last use."""
    code = boxed_code(module.graph)
    names: dict[str, Any] = dict(code.globals)

    def direct(found: re.Match[str]) -> str:
        op = operator.attrgetter(found[0].removeprefix("torch."))(torch)
        name = "op_" + "_".join(found.groups())
        names[name] = kernel_of(op)
        return name

    exec(compile(_OPERATION.sub(direct, code.src), f"<hcp: {type(module).__name__}>", "exec"), names)
    forward: Any = names["forward"]
    # The graph itself, with its examples, is large, and there may be many of them: one for each length of sequences.
    roots = {
        str(node.target).partition(".")[0] for node in module.graph.nodes if node.op in ("get_attr", "call_module")
    }
    constants = SimpleNamespace(**{root: getattr(module, root) for root in roots})

    def run(args: list[Any]) -> object:
        return forward(constants, args)

    mark_boxed(run)
    return run


@contextmanager
def real_tensors() -> Iterator[None]:
    """Leaves the modes that capture runs under, so that operations really execute."""
    with outside_modes(), torch.no_grad():
        yield


class _CapturedError(HcpError):
    """Not a failure: ends compilation once the graph is there."""


def trace(module: nn.Module, args: Sequence[Any], kwargs: dict[str, Any], *, symbolic: bool = False) -> Joint:
    """The joint graph of ``module(*args, **kwargs)``, without running or changing the module.

    Args:
        module: What is called.
        args: Of the call.
        kwargs: Of the call.
        symbolic: Whether sizes that ``may_differ`` marked are captured as symbols.

    Raises:
        CaptureError: If it cannot be captured as one graph, or nothing in it needs a gradient.
    """
    found: list[Joint] = []

    def look(joint: Joint) -> Sized:
        found.append(joint if symbolic else with_sizes(joint))
        raise _CapturedError

    try:
        compile_whole(module, forward_of(module), backend(look), dynamic=None if symbolic else False)(*args, **kwargs)
    except _CapturedError:
        return found[0]
    raise _no_gradient(module)


def look_at(module: nn.Module, args: Sequence[Any], kwargs: dict[str, Any], look: Callable[[Traced], T | None]) -> T:
    """What a function makes of ``module(*args, **kwargs)`` as Dynamo captures it; nothing is compiled for the module.

    Raises:
        CaptureError: If it cannot be captured as one graph, or the function makes nothing of it.
    """
    found: list[T] = []

    def compiler(graph: fx.GraphModule, inputs: Sequence[Any]) -> Callable[..., Any]:
        result = look(traced_of(graph, inputs))
        if result is not None:
            found.append(result)
        raise _CapturedError

    with suppress(_CapturedError):
        compile_whole(module, forward_of(module), compiler)(*args, **kwargs)
    if not found:
        raise _no_gradient(module)
    return found[0]


def _no_gradient(module: nn.Module) -> CaptureError:
    return CaptureError(
        f"calling {type(module).__name__} needs no gradient, so there is nothing to plan; "
        "put it in training mode with parameters that require gradients, outside torch.no_grad()"
    )


def forward_of(module: nn.Module) -> Callable[..., Any]:
    """The forward of a module's class, bound to it; not what may stand in its place on the module itself."""
    bound: Callable[..., Any] = type(module).forward.__get__(module)
    return bound


def compile_whole(
    module: nn.Module, forward: Callable[..., Any], compiler: Callable[..., Any], *, dynamic: bool | None = False
) -> Callable[..., Any]:
    """What ``torch.compile`` would make of a module's forward, but compiled whole, and with errors translated.

    Sizes that differ from call to call are captured as symbols where ``dynamic`` is None, as ``torch.compile`` says.

    The function raises, besides what the backend does:
        CaptureError: If the call cannot be captured as one graph.
        ExecutionError: Under a dispatch mode, or inside another compiled module.
    """

    def call(*args: object, **kwargs: object) -> object:
        return forward(*args, **kwargs)

    # Dynamo skips frames of PyTorch's own containers, so that an nn.Sequential would run uncompiled: hence a function
    # of ours. It keeps compiled variants by code object: hence one code object a module; and which sizes differ from
    # call to call by the name of the code and its place: hence a name for each.
    call.__code__ = call.__code__.replace(co_name=f"call_{type(module).__name__}_{next(_CALLS)}")
    compiled = torch.compile(call, backend=compiler, fullgraph=True, dynamic=dynamic)
    return _translated(compiled, type(module).__name__)


def is_sharded(module: nn.Module) -> bool:
    """Whether FSDP2 gathers a module's parameters when it is called."""
    # Sharded programs have imported it; importing it takes seconds.
    fsdp = sys.modules.get("torch.distributed.fsdp")
    return fsdp is not None and isinstance(module, fsdp.FSDPModule)


def _translated(call: Callable[..., Any], name: str) -> Callable[..., Any]:
    def translated(*args: object, **kwargs: object) -> object:
        mode = dispatch_mode()
        if mode is not None:
            raise ExecutionError(
                f"{name} was called under {type(mode).__name__}, a TorchDispatchMode, under which torch.compile runs "
                "nothing compiled; call it outside the mode"
            )
        try:
            with whole_capture():
                return _without_logging(call, *args, **kwargs)
        except BackendCompilerFailed as error:
            inner = error.inner_exception
            if isinstance(inner, HcpError):
                raise inner from None
            raise CaptureError(
                f"PyTorch cannot compile {name} ({type(inner).__name__}: {_first_line(inner)}); try it with "
                "torch.compile(backend='aot_eager') to see whether hcp is to blame"
            ) from error
        except Unsupported as error:
            raise CaptureError(
                f"{name} cannot be captured as one graph: {_first_line(error)}; remove the graph break "
                "(the exception that caused this one says where it is)"
            ) from error
        except TorchDynamoException as error:
            bare = _WITHOUT_FAKE.search(str(error))
            if bare is not None:
                raise CaptureError(
                    f"operator {bare[1]} has no fake implementation, without which PyTorch cannot capture {name}; "
                    "register one by torch.library.register_fake"
                ) from error
            raise CaptureError(f"PyTorch cannot capture {name}: {_first_line(error)}") from error

    return translated


def _first_line(error: BaseException) -> str:
    """What PyTorch says went wrong, in one line, with the context that it gives further down."""
    lines = (str(error).strip() or type(error).__name__).splitlines()
    context = (line.partition(_CONTEXT)[2].strip() for line in lines if _CONTEXT in line)
    return lines[0] + "".join(f" ({about})" for about in context if about)


def _without_logging(call: Callable[..., Any], *args: object, **kwargs: object) -> object:
    """Leaves what libraries log out of the capture, instead of failing on it."""
    try:
        return call(*args, **kwargs)
    except Unsupported as error:
        if "logging.Logger" not in str(error):
            raise
    ignored = {item for item in vars(logging.Logger).values() if callable(item)}
    with ignoring(ignored):
        return call(*args, **kwargs)


def joint_of(traced: Traced, module: fx.GraphModule, forward_outputs: int) -> Joint:
    """The joint graph that a partitioner is given.

    Raises:
        CaptureError: If it does more than functions of tensors do.
    """
    placeholders = module.graph.find_nodes(op="placeholder")
    primals = tuple(node for node in placeholders if "tangents" not in str(node.target))
    tangents = tuple(node for node in placeholders if "tangents" in str(node.target))
    mutated = mutated_primals(module, primals, forward_outputs)
    joint = Joint(traced, module, primals, tangents, mutated)
    if len(joint.gradients) != len(primals):
        effects = [str(node.args[1]) for node in module.graph.nodes if "with_effects" in str(node.target)]
        raise CaptureError(
            f"the captured graph has {len(joint.gradients)} gradients for {len(primals)} inputs, because of "
            + (f"effects ({', '.join(effects)})" if effects else "tensor subclasses, for example")
            + "; hcp plans plain tensors only: keep these out of the module"
        )
    return joint


def with_sizes(joint: Joint) -> Joint:
    """The same, which has to have sizes that are known.

    Raises:
        CaptureError: If it has symbolic shapes.
    """
    symbolic = next((node for node in joint.primals if symbols_in(node.meta.get("val"))), None)
    if symbolic is not None:
        raise CaptureError(
            f"input {symbolic.name} of the captured graph has a symbolic shape, and a plan needs sizes; "
            "call torch.compile with dynamic=False"
        )
    return joint
