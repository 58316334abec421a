"""What hcp relies on in PyTorch beyond its public interface: the one file that a new version can break.

All that is private is here, each behind a word of hcp's own, and a test keeps it out of the other files: PyTorch's
capture (``aot_autograd`` as a ``torch.compile`` backend with its own ``partition_fn``, boxed code generation, what both
note on nodes), its modes, the identity of storages, and the profiler's own events. There is no public way to the joint
graph of a training step. What is used was tested with the range of versions that pyproject.toml names; another version
is refused by ``version.check_version`` before this file is imported.
"""

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeGuard

import torch
from torch import fx, nn
from torch._dynamo import OptimizedModule
from torch._dynamo.backends.common import aot_autograd

# The errors of capture, which torch.compile raises to its users and exports nowhere else.
from torch._dynamo.exc import BackendCompilerFailed, TorchDynamoException, Unsupported
from torch._functorch import config as functorch_config
from torch._functorch._aot_autograd.descriptors import InputMutationAOTOutput, PlainAOTInput
from torch._functorch.partitioners import min_cut_rematerialization_partition

# The type of an ATen operation as graphs hold it; `torch.ops` has instances alone.
from torch._ops import OpOverload

# Tensors without memory: the examples on captured graphs are such, and nothing public makes or recognises them.
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx

# What fake tensors need to stand for numbers that nobody knows; documented, but under an experimental name.
from torch.fx.experimental.symbolic_shapes import ShapeEnv
from torch.fx.graph import PythonCode, _BoxedCodeGen
from torch.multiprocessing.reductions import StorageWeakRef
from torch.nn.parallel import DistributedDataParallel
from torch.profiler import ProfilerActivity, profile
from torch.utils import _pytree
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes, _get_current_dispatch_mode

from hcp.graph.source import source_text

# Imported from here by the other files.
__all__ = [
    "BackendCompilerFailed",
    "FakeTensor",
    "FakeTensorMode",
    "OpOverload",
    "ShapeEnv",
    "TorchDynamoException",
    "Unsupported",
]

# How autograd calls the node of a captured graph.
COMPILED_NODE: Final = "CompiledFunctionBackward"

# Batch norm with its new running statistics as results, as capture writes it; with the statistics written in place; and
# with none. ATen marks all three as its own.
FUNCTIONAL_BATCH_NORM: Final = torch.ops.aten._native_batch_norm_legit_functional.default
IN_PLACE_BATCH_NORM: Final = torch.ops.aten._native_batch_norm_legit.default
PLAIN_BATCH_NORM: Final = torch.ops.aten._native_batch_norm_legit.no_stats

_WHOLE: Final = {
    "allow_rnn": True,
    "allow_unspec_int_on_nn_module": True,
    "recompile_limit": 2**20,
    "accumulated_recompile_limit": 2**20,
}
_DIVIDED: Final = _WHOLE | {"optimize_ddp": False}

# What ``torch.utils.checkpoint`` is in a captured graph.
CHECKPOINTED: Final = torch.ops.higher_order.tag_activation_checkpoint

# Operations that PyTorch has no formula of arithmetic for, and what does the same on the same arguments.
SAME_FLOPS: Final[dict[Any, Any]] = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: torch.ops.aten._scaled_dot_product_flash_attention,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: (
        torch.ops.aten._scaled_dot_product_flash_attention_backward
    ),
}

# How Dynamo writes where it found a parameter or buffer.
_MEMBER: Final = re.compile(r"\._(?:modules|parameters|buffers)\['([^']+)'\]")

# What stands before the user's own names where Dynamo writes how it came to a module, and where lines of code are told.
_ROOT: Final = re.compile(r"^[LG]\['[^']*'\](?:\.__self__|\.__closure__\[\d+\]\.cell_contents)*\.?")
_OWN_FILES: Final = str(Path(torch.__file__).parent) + os.sep
_LINE: Final = re.compile(r'File "([^"]+)", line (\d+)')

_ALLOCATION: Final = "[memory]"

# Where a joint graph notes which of its inputs outlive the step, which PyTorch's partitioner is told.
_STATIC: Final = "hcp_static"

# Operations that do what another one does, which captured graphs hold in their place.
_CAPTURED_AS: Final[dict[Any, Any]] = {
    torch.ops.aten.native_batch_norm.default: FUNCTIONAL_BATCH_NORM,
    IN_PLACE_BATCH_NORM: FUNCTIONAL_BATCH_NORM,
}

# The profiler's library otherwise writes two lines to stderr for each recording.
os.environ.setdefault("KINETO_LOG_LEVEL", "99")


def tree_leaves(tree: object) -> list[Any]:
    """What nested lists, tuples, dictionaries and the user's registered containers hold.

    The registry of containers is behind ``torch.utils._pytree`` alone.
    """
    return _pytree.tree_leaves(tree)


def tree_map(change: Callable[[Any], object], tree: object) -> Any:  # noqa: ANN401 - the same containers
    """The same containers with each leaf changed; private as ``tree_leaves`` is."""
    return _pytree.tree_map(change, tree)


def tree_flatten(tree: object) -> tuple[list[Any], Callable[[Iterable[Any]], Any]]:
    """The leaves, and what puts others in their places; private as ``tree_leaves`` is."""
    leaves, spec = _pytree.tree_flatten(tree)
    return leaves, lambda others: _pytree.tree_unflatten(others, spec)


def storage_id(tensor: torch.Tensor) -> int:
    """Which storage a tensor looks at, for as long as that lives.

    Public addresses of memory do not tell storages apart that are empty, or of tensors without memory.
    """
    return int(tensor.untyped_storage()._cdata)


def content_version(tensor: torch.Tensor) -> int:
    """How often a tensor, or a view of the same, was changed in place; autograd counts it for itself alone."""
    return tensor._version


def is_operation(target: object) -> TypeGuard[OpOverload]:
    """Whether a node's target is one operation of ATen or of a library, rather than a Python function."""
    return isinstance(target, OpOverload)


def changes_input(operation: OpOverload) -> bool:
    """Whether an operation is declared to change an argument; only its schema says so, which is private."""
    return bool(operation._schema.is_mutable)


def argument_names(operation: OpOverload) -> list[str]:
    """What an operation's positional arguments are called, which is in its schema as well."""
    return [argument.name for argument in operation._schema.arguments]


def kernel_of(operation: Any) -> Any:  # noqa: ANN401 - overloads and packets of them
    """What calling an operation does; looking it up and calling it the long way takes a microsecond more."""
    return operation._op if type(operation) is OpOverload else operation


def aten_graph(function: Callable[..., object], tensors: Sequence[torch.Tensor]) -> fx.Graph:
    """The ATen operations that a function of fake tensors runs.

    That the function may hold real tensors besides is an option without a public name.
    """
    graph: fx.Graph = make_fx(function, _allow_non_fake_inputs=True)(*tensors).graph
    return graph


def compile_joint(
    module: fx.GraphModule,
    inputs: Sequence[Any],
    compilers: Sequence[Callable[[fx.GraphModule, object], Callable[..., Any]]],
    partition: Callable[[fx.GraphModule, int], tuple[fx.GraphModule, fx.GraphModule]],
) -> Any:  # noqa: ANN401 - as PyTorch compiles it
    """Compiles what Dynamo captured, by way of the joint graph of its forward and backward.

    ``torch.compile`` lets backends see the forward alone; the joint graph is handed to AOTAutograd's partitioners.

    Args:
        module: The forward, as a backend of ``torch.compile`` gets it.
        inputs: The same.
        compilers: Make functions of the forward half, and of the backward half.
        partition: Cuts the joint graph into halves, given it and the number of the forward's outputs.
    """

    def partition_joint(
        joint: fx.GraphModule, _inputs: object, *, num_fwd_outputs: int, **told: object
    ) -> tuple[fx.GraphModule, fx.GraphModule]:
        joint.meta[_STATIC] = told.get("static_lifetime_input_indices")
        return partition(joint, num_fwd_outputs)

    forward, backward = compilers
    return aot_autograd(fw_compiler=forward, bw_compiler=backward, partition_fn=partition_joint)(module, inputs)


def copied(joint: fx.GraphModule) -> fx.GraphModule:
    """A joint graph that can be rewritten while the first one stays; examples are shared.

    The public ``copy.deepcopy`` of a module copies its examples and constants as well.
    """
    graph, made = fx.Graph(), dict[fx.Node, fx.Node]()
    for node in joint.graph.nodes:
        made[node] = graph.node_copy(node, made.__getitem__)
    module = fx.GraphModule(joint, graph)
    module.meta.update(joint.meta)
    return module


def partitioned(joint: fx.GraphModule, outputs: int, share: float) -> tuple[list[str], list[str]]:
    """What PyTorch's min-cut partitioner has run in the forward, and in the backward: names of nodes, in its order.

    It is the partitioner that ``torch.compile`` calls, which has no public name, given what it is given there.

    Args:
        joint: The joint graph, which stays as it is.
        outputs: How many outputs the forward has.
        share: What ``activation_memory_budget`` is set to.
    """
    with functorch_config.patch(activation_memory_budget=share):
        halves = min_cut_rematerialization_partition(
            copied(joint), None, num_fwd_outputs=outputs, static_lifetime_input_indices=joint.meta.get(_STATIC)
        )
    forward, backward = ([node.name for node in half.graph.nodes if node.op == "call_function"] for half in halves)
    return forward, backward


def captured_as(operation: OpOverload) -> tuple[Any, bool]:
    """The operation that a captured graph has where one was run, and whether its first argument is its result.

    Captured graphs are functional: what writes in place is there under the name without the underscore.
    """
    schema = operation._schema
    name = schema.name.removeprefix("aten::")
    if operation in _CAPTURED_AS or not (schema.name.startswith("aten::") and name.endswith("_")):
        return _CAPTURED_AS.get(operation, operation), False
    packet = getattr(torch.ops.aten, name.rstrip("_"), None)
    return getattr(packet, schema.overload_name or "default", operation), True


class OperationSpy(TorchDispatchMode):
    """While entered, tells of each operation that runs, below autograd: it, its arguments, and what it returned.

    Such modes are documented, but imported from a private place.
    """

    def __init__(self, tell: Callable[[OpOverload, tuple[Any, ...], dict[str, Any], Any], None]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._tell = tell

    def __torch_dispatch__(
        self,
        func: OpOverload,
        types: Any,  # noqa: ANN401 - as PyTorch calls it
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 - whatever the operation returns
        """Runs the operation, and tells of it."""
        result = func(*args, **(kwargs or {}))
        self._tell(func, args, kwargs or {}, result)
        return result


def given_name(placeholder: fx.Node) -> str:
    """What an input is called in the user's module, or among the arguments.

    Only Dynamo's own notes say it, and only until it is done.
    """
    given = str(placeholder.meta["grapharg"].source.name) if "grapharg" in placeholder.meta else placeholder.name
    return ".".join(_MEMBER.findall(given)) or given


def source_of(*nodes: fx.Node) -> str:
    """Where the first of some captured nodes of which it is known comes from, as ``source_text`` writes it.

    Capture notes it on each node; nodes of the backward pass have the modules of the forward node that they belong to.
    Sums of gradients belong to none.
    """
    return next(filter(None, map(_source_of, nodes)), "")


def _source_of(node: fx.Node) -> str:
    stack = node.meta.get("nn_module_stack") or node.meta.get("fwd_nn_module_stack") or {}
    path = str(next(reversed(stack.values()))[0]) if stack else ""
    lines = [] if "is_gradient_acc" in node.meta else _LINE.findall(node.stack_trace or "")
    # Captures for export go on into PyTorch's own modules.
    own = [(file, line) for file, line in lines if not file.startswith(_OWN_FILES)]
    file, line = own[-1] if own else ("", 0)
    return source_text(_ROOT.sub("", _MEMBER.sub(r".\1", path)), file, int(line))


def input_place(primal: fx.Node) -> int | None:
    """Which input of the forward a primal of the joint graph is; None where PyTorch made it up from several.

    Only AOTAutograd's descriptors say it.
    """
    what = primal.meta["desc"]
    return what.idx if isinstance(what, PlainAOTInput) else None


def mutated_primals(joint: fx.GraphModule, primals: Sequence[fx.Node], outputs: int) -> tuple[fx.Node | None, ...]:
    """For each of the forward's outputs, the primal that it becomes the new content of, or None.

    Only AOTAutograd's descriptors say it.
    """
    (output,) = joint.graph.find_nodes(op="output")
    by_input = {primal.meta["desc"]: primal for primal in primals}
    return tuple(
        by_input[what.mutated_input] if isinstance(what, InputMutationAOTOutput) else None
        for what in output.meta["desc"][:outputs]
    )


def fake_mode_of(nodes: Iterable[fx.Node]) -> FakeTensorMode:
    """The mode that the examples of captured nodes belong to; examples of several do not mix.

    PyTorch finds it in the same way, by a function of its own.
    """
    for node in nodes:
        mode = getattr(node.meta.get("val"), "fake_mode", None)
        if mode is not None:
            return mode  # type: ignore[no-any-return]
    return FakeTensorMode()


def may_differ(tensor: torch.Tensor, place: int) -> None:
    """Has Dynamo take a size of an input for one that differs from call to call."""
    torch._dynamo.maybe_mark_dynamic(tensor, place)


def is_symbolic(value: object) -> bool:
    """Whether a value of a captured graph is a number that the call at hand decides."""
    return isinstance(value, torch.SymInt | torch.SymFloat | torch.SymBool)


def symbols_in(value: object) -> frozenset[Any]:
    """The symbols that a number, or the sizes of a tensor, of a captured graph are made of; their nodes are private."""
    if isinstance(value, torch.Tensor):
        return frozenset().union(*map(symbols_in, (*value.shape, *value.stride(), value.storage_offset())))
    return frozenset(value.node.expr.free_symbols) if is_symbolic(value) else frozenset()  # type: ignore[attr-defined]


def symbol_of(value: object) -> Any | None:  # noqa: ANN401 - a symbol
    """The symbol that a number of a captured graph is; None where it is anything else, such as a sum of two."""
    if not is_symbolic(value):
        return None
    expression = value.node.expr  # type: ignore[attr-defined]
    return expression if expression in expression.free_symbols else None


def captured_size(value: Any) -> int | None:  # noqa: ANN401 - whatever numbers a graph holds
    """What a number of a captured graph was when it was captured; None where nobody knows. Its node alone says it."""
    return int(value.node.hint) if is_symbolic(value) and value.node.has_hint() else None


def evaluated(value: Any, known: Mapping[Any, int]) -> Any:  # noqa: ANN401 - whatever numbers a graph holds
    """A number of a captured graph, once its symbols are known."""
    if not is_symbolic(value):
        return value
    kind = int if isinstance(value, torch.SymInt) else float if isinstance(value, torch.SymFloat) else bool
    return kind(value.node.expr.xreplace(known))


def boxed_code(graph: fx.Graph) -> PythonCode:
    """The graph as code of one list, which it empties, so that each input can go right after its last use.

    The public code generator makes code of separate arguments, which its caller keeps alive.
    """
    graph.set_codegen(_BoxedCodeGen())
    return graph.python_code("self")


def mark_boxed(function: Callable[[list[Any]], object]) -> None:
    """Tells AOTAutograd to call a function with one list; it looks for this mark."""
    function._boxed_call = True  # type: ignore[attr-defined]


def outside_modes() -> AbstractContextManager[object]:
    """Leaves all dispatch modes for a while, those of capture included.

    Publicly a mode ends only where it began.
    """
    return _disable_current_modes()


def dispatch_mode() -> object | None:
    """The innermost ``TorchDispatchMode`` in force, or None; the stack of modes is private."""
    return _get_current_dispatch_mode()


def packs_saved_tensors() -> bool:
    """Whether what autograd saves goes through hooks now, as under ``torch.autograd.graph.save_on_cpu``.

    Such hooks can be set publicly, but not asked for.
    """
    return torch._C._autograd._top_saved_tensors_default_hooks(False) is not None


def is_compiled(module: nn.Module) -> bool:
    """Whether a module is what ``torch.compile`` returned, or had its ``compile()`` called; both keep it private."""
    return isinstance(module, OptimizedModule) or module._compiled_call_impl is not None


def ignoring(methods: set[Callable[..., Any]]) -> AbstractContextManager[object]:
    """Has Dynamo leave calls of some methods out of what it captures; its settings are private."""
    return torch._dynamo.config.patch(ignore_logger_methods=methods)  # type: ignore[no-any-return]


def whole_capture() -> AbstractContextManager[object]:
    """Has Dynamo capture what it leaves out, cuts or gives up by default.

    It captures ``nn.LSTM`` and its kind, takes numbers on modules that change from call to call for symbols, compiles
    however many variants there are, and leaves a module whole inside DistributedDataParallel, which it would cut at the
    gradient buckets.
    """
    return torch._dynamo.config.patch(_DIVIDED if inside_ddp() else _WHOLE)  # type: ignore[no-any-return]


def inside_ddp() -> bool:
    """Whether a module runs inside DistributedDataParallel, asked in Dynamo's own way."""
    return DistributedDataParallel._get_active_ddp_module() is not None  # type: ignore[no-untyped-call]


def shared_store() -> Any | None:  # noqa: ANN401 - a torch.distributed.Store
    """Where the processes of a distributed program meet; None where there is but one.

    That of the program's own process group has no public name.
    """
    dist = torch.distributed
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() < 2:
        return None
    return dist.distributed_c10d._get_default_store()


class Recording(NamedTuple):
    """What the profiler saw on the CPU; times are in nanoseconds.

    Attributes:
        allocations: Time, and bytes taken or (below zero) released, ascending by time.
        marks: Start and end of each ``record_function`` block, by name.
        operations: Start, end and name of each ATen operation, ascending.
    """

    allocations: list[tuple[int, int]]
    marks: dict[str, tuple[int, int]]
    operations: list[tuple[int, int, str]]


def profiler_runs() -> bool:
    """Whether a profiler runs in this process; PyTorch has one at a time, and says so by a warning alone."""
    return bool(torch.autograd.profiler._is_profiler_enabled)


class Recorder:
    """Records what happens between its start and its stop.

    The profiler's public tables add allocations up for each operation; when each happened is in its own events alone.
    """

    def __init__(self) -> None:
        self._profiler = profile(activities=[ProfilerActivity.CPU], profile_memory=True)

    def start(self) -> None:
        """Begins."""
        self._profiler.start()

    def stop(self) -> Recording:
        """Ends, with what was recorded."""
        self._profiler.stop()
        results = self._profiler.profiler
        events: Sequence[Any] = ()
        if results is not None and results.kineto_results is not None:
            events = results.kineto_results.events()
        allocations = [(event.start_ns(), event.nbytes()) for event in events if event.name() == _ALLOCATION]
        return Recording(
            sorted(allocations, key=lambda allocation: allocation[0]),
            {event.name(): (event.start_ns(), event.end_ns()) for event in events if event.is_user_annotation()},
            sorted((e.start_ns(), e.end_ns(), e.name()) for e in events if e.name().startswith("aten::")),
        )


def accumulate_hooks(parameter: torch.Tensor) -> list[Callable[[torch.Tensor], object]]:
    """What ``register_post_accumulate_grad_hook`` was given for a parameter, which nothing public says."""
    return list((parameter._post_accumulate_grad_hooks or {}).values())


def after_backward(action: Callable[[], object]) -> None:
    """Calls a function once the backward that runs now is over, in the thread that asked for it.

    Autograd's callbacks run before it gives the thread its own state back, that of the profiler included; it lets go of
    them right after.
    """
    torch.autograd.Variable._execution_engine.queue_callback(_AtEnd(action))


class _AtEnd:
    def __init__(self, action: Callable[[], object]) -> None:
        self._action = action

    def __call__(self) -> None:
        pass

    def __del__(self) -> None:
        self._action()


def storage_gone(tensor: torch.Tensor) -> Callable[[], bool]:
    """Whether nobody holds a tensor's storage any more, to be asked later; that it is held by a view counts as well."""
    reference = StorageWeakRef(tensor.untyped_storage())  # type: ignore[no-untyped-call]
    return lambda: bool(reference.expired())  # type: ignore[no-untyped-call]
