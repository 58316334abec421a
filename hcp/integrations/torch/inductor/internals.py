"""What hcp relies on in Inductor; private all of it, and kept here, as ``torch/internals.py`` keeps the rest.

Inductor compiles a training step by ``compile_fx``: joint passes and decompositions, a partitioner, which may be the
user's own, and both halves lowered. The partitioner's place, the settings, and what is fused have no public names.
"""

import copy
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Final, cast
from unittest.mock import patch

import torch
from torch import fx
from torch._functorch import config as functorch_config
from torch._functorch.partitioners import get_default_op_list
from torch._inductor import config
from torch._inductor.choices import InductorChoices
from torch._inductor.codegen import wrapper
from torch._inductor.compile_fx import compile_fx, compile_fx_inner
from torch._inductor.custom_graph_pass import CustomPartitionerFn, CustomSchedulerPass
from torch._inductor.graph import GraphLowering
from torch._inductor.lowering import fallbacks
from torch._inductor.scheduler import BaseSchedulerNode, Scheduler, SchedulerBuffer
from torch._inductor.virtualized import V

from hcp.graph.topo import least_first
from hcp.integrations.torch.internals import is_operation
from hcp.integrations.torch.lower import PLACE, Place

aten, prims = torch.ops.aten, torch.ops.prims

Compiled = Callable[..., Any]
# Cuts a joint graph into a forward and a backward, given it and the number of the forward's outputs.
Partition = Callable[[fx.GraphModule, int], tuple[fx.GraphModule, fx.GraphModule]]

# What two kernels of a plan may hold more where they are fused, as a part of what the second writes.
SLACK: Final = 16
_LAST: Final = "hcp_last_readers"
_VISIBLE: Final = "user_visible_output_idxs"
_PEAK: Final = "EfficientPeakEstimate"
_REGION: Final = "mutation_region_id"

# Draws the seeds of a program's random operations, which themselves are functions of their seeds.
SEEDS: Final = prims.inductor_seeds.default

# Pointwise to Inductor, though neither tagged so nor on the list of PyTorch's own partitioner.
_UNLISTED: Final = frozenset(
    {
        aten.cat,
        aten.constant_pad_nd,
        aten.copy_,
        aten.embedding,
        aten.select_scatter,
        aten.slice_scatter,
        prims._low_memory_max_pool_with_offsets,
        prims.inductor_lookup_seed,
        prims.inductor_random,
        prims.inductor_randint,
    }
)


def fuses(node: fx.Node) -> bool:
    """Whether Inductor writes an operation into a kernel together with others, rather than calling a library."""
    if not is_operation(node.target) or node.target in fallbacks:
        return False
    return torch.Tag.pointwise in node.target.tags or node.target.overloadpacket in _fusible()


@cache
def _fusible() -> frozenset[Any]:
    """Packets of operations; PyTorch puts its list together anew whenever it is asked."""
    return _UNLISTED.union(get_default_op_list().fusible_ops)


def is_view(node: fx.Node) -> bool:
    """Whether an operation only looks at a tensor; its schema says so."""
    return is_operation(node.target) and node.target.is_view


def _places(node: BaseSchedulerNode) -> list[Place]:
    """Where the plan has the operations that a kernel ends with."""
    found = []
    for part in node.get_nodes():
        origins = part.node.get_origins() if part.node is not None else ()
        places = [origin.meta[PLACE] for origin in origins if PLACE in origin.meta]
        # A kernel repeats what it reads through, which may come from anywhere before.
        if places:
            found.append(max(places))
    return found


class PlannedChoices(InductorChoices):
    """Keeps Inductor from fusing what a plan has apart so as to hold less."""

    @staticmethod
    def can_fuse(
        scheduler: Scheduler, node1: BaseSchedulerNode, node2: BaseSchedulerNode, shared_data_score: int
    ) -> bool:
        """Whether Inductor would fuse two kernels, and the plan holds no less where they are apart."""
        if not InductorChoices.can_fuse(scheduler, node1, node2, shared_data_score):
            return False
        first, second = sorted((node1, node2), key=lambda node: max(_places(node), default=Place()))
        places = {*_places(first), *_places(second)}
        if len(places) < 2:
            return True
        # Over a library call, values would live longer than planned; what a product writes itself is behind it.
        segments = {place.segment for place in places}
        if max(segments) - min(segments) > (first.is_template() or second.is_template()):
            return False
        return _extra_bytes(scheduler, first, second) * SLACK <= _output_bytes(second)

    def uuid(self) -> str:
        """Of the rules above, for Inductor's caches."""
        return "hcp-planned-choices-1"


def _extra_bytes(scheduler: Scheduler, first: BaseSchedulerNode, second: BaseSchedulerNode) -> int:
    """How much more is held where the second runs if it is fused into the first.

    Apart, what only the first reads is gone before the second writes; fused, what the first passes on to the second
    alone is never there.
    """
    last = _last_readers(scheduler)
    end = max(_places(first))
    read = {dep.name: V.graph.get_dep_size_hint(dep) for dep in first.read_writes.reads}
    gone = sum(size for name, size in read.items() if last.get(name, end) <= end and not _is_input(name))
    inside = {*first.get_nodes(), *second.get_nodes()}
    passed = [buffer for buffer in first.get_outputs() if {user.node for user in buffer.users} <= inside]
    return min(gone, _output_bytes(second)) - sum(map(_bytes, passed))


def _last_readers(scheduler: Scheduler) -> dict[str, Place]:
    """Where the plan last reads each buffer, for the scheduler at hand; what is returned is read to the end."""
    known: dict[str, Place] | None = getattr(scheduler, _LAST, None)
    if known is None:
        known = {}
        for node in scheduler.nodes:
            place = max(_places(node), default=Place())
            for dep in node.read_writes.reads:
                known[dep.name] = max(known.get(dep.name, place), place)
        known.update(dict.fromkeys(V.graph.get_output_names(), Place(sys.maxsize, sys.maxsize)))
        setattr(scheduler, _LAST, known)
    return known


def _is_input(name: str) -> bool:
    """Whether a buffer is there before and after the step."""
    return name.startswith("primals")


def _output_bytes(node: BaseSchedulerNode) -> int:
    return sum(map(_bytes, node.get_outputs()))


def _bytes(buffer: SchedulerBuffer) -> int:
    if buffer.node is None or not buffer.node.has_tensor_output():
        return 0
    return (
        int(V.graph.sizevars.optimization_hint(buffer.node.get_numel(), fallback=0)) * buffer.node.get_dtype().itemsize
    )


class _PlanOrder(CustomSchedulerPass):
    """Puts kernels into the plan's order, where they depend on one another in no other."""

    def __call__(self, nodes: list[BaseSchedulerNode]) -> list[BaseSchedulerNode]:
        last = Place(-1, 0)
        at: dict[BaseSchedulerNode, Place] = {}
        for node in nodes:
            at[node] = last = max(_places(node), default=last)
        return _by_place(nodes, at)

    def uuid(self) -> str:
        return "hcp-plan-order-1"


def _by_place(nodes: list[BaseSchedulerNode], at: Mapping[BaseSchedulerNode, Place]) -> list[BaseSchedulerNode]:
    """A topological order; of the nodes that are free, the first by its place comes next."""
    maker = {name: i for i, node in enumerate(nodes) for name in node.get_buffer_names()}
    needs = [
        {maker[dep.name] for dep in node.unmet_dependencies if dep.name in maker} - {i} for i, node in enumerate(nodes)
    ]
    return [nodes[i] for i in least_first(needs, [at[node] for node in nodes])]


def compile_kernel(module: fx.GraphModule, inputs: Sequence[Any]) -> Compiled:
    """What Inductor makes of a graph without a backward."""
    with torch.no_grad():
        return cast(Compiled, compile_fx(module, list(inputs)))


def relaid_bytes(module: fx.GraphModule) -> dict[fx.Node, int]:
    """What convolutions copy beside their results where Inductor has them work on another layout than weights have.

    A convolution takes a copy of its weight; its backward takes one as well, and its weight's gradient is copied back.
    """
    if not config.layout_optimization or not GraphLowering.decide_layout_opt(module, is_inference=False):
        return {}
    found = {}
    for target, weight, copies in ((aten.convolution.default, 1, 1), (aten.convolution_backward.default, 2, 2)):
        for node in module.graph.find_nodes(op="call_function", target=target):
            found[node] = copies * node.args[weight].meta["val"].nbytes
    return found


class _Partitioner(CustomPartitionerFn):
    """Has Inductor ask for the halves of a joint graph.

    Args:
        partition: Gives them.
        identity: Stands for the halves in the keys of Inductor's caches: others have another one.
    """

    def __init__(self, partition: Partition | None, identity: str) -> None:
        self.partition, self.identity = partition, identity

    def __call__(
        self,
        gm: fx.GraphModule,
        joint_inputs: Sequence[object],  # noqa: ARG002 - as Inductor calls it
        **options: Any,  # noqa: ANN401
    ) -> tuple[fx.GraphModule, fx.GraphModule]:
        assert self.partition is not None
        return self.partition(gm, options["num_fwd_outputs"])

    def uuid(self) -> str:
        return self.identity

    def __reduce__(self) -> tuple[type["_Partitioner"], tuple[None, str]]:
        # Inductor pickles its settings into the keys of its caches.
        return _Partitioner, (None, self.identity)


def settings(mode: str | None, options: Mapping[str, Any] | None) -> dict[str, Any]:
    """Inductor's settings for a mode and options as ``torch.compile`` takes them.

    Raises:
        RuntimeError: If a name or a type is not Inductor's.
    """
    return dict(torch._TorchCompileInductorWrapper(mode, options, False).config)  # type: ignore[no-untyped-call]


def compile_step(
    module: fx.GraphModule,
    inputs: Sequence[Any],
    patches: Mapping[str, Any],
    partition: Partition | None = None,
    identity: str = "",
) -> Compiled:
    """What Inductor makes of a forward that Dynamo captured, and of its backward; the forward is left as it is.

    Args:
        module: The forward.
        inputs: Its inputs.
        patches: Settings that differ from those in force.
        partition: Cuts the joint graph; where not given, Inductor does.
        identity: See ``_Partitioner``.
    """
    # Inductor changes what it is given.
    own = fx.GraphModule(module, copy.deepcopy(module.graph))
    own.meta = dict(module.meta)
    inner: Compiled = compile_fx_inner
    changes = dict(patches)
    if partition is not None:
        inner = _compile_planned
        changes["custom_partitioner_fn"] = _Partitioner(partition, identity)
        changes["inductor_choices_class"] = PlannedChoices
        changes["_post_fusion_custom_pass"] = _PlanOrder()
    # A step that is measured needs its backward now; Inductor would make it when it first runs.
    with functorch_config.patch(force_non_lazy_backward_lowering=True):
        return cast(Compiled, compile_fx(own, list(inputs), inner, config_patches=changes))


def _compile_planned(module: fx.GraphModule, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - as Inductor calls it
    # Patterns are not matched across regions, so that no operation is moved to where another kernel runs.
    region = 0
    for node in module.graph.nodes:
        region = node.meta.get(PLACE, Place(region)).kernel
        node.meta[_REGION] = region
    _keep_inputs(module)
    # The setting of choices is read once a thread, and the backward may be compiled when it first runs.
    with V.set_choices_handler(PlannedChoices()), patch.object(wrapper, _PEAK, PlannedPeak):
        return compile_fx_inner(module, *args, **options)


class PlannedPeak(wrapper.EfficientPeakEstimate):
    """The peak up to which Inductor lets freed buffers wait for their next use.

    By itself it counts what kernels pass on inside themselves as memory, so that buffers wait beyond the true peak.
    """

    def __init__(self) -> None:
        for node in V.graph.scheduler.nodes:
            for buffer in node.get_outputs():
                if buffer.get_name() in V.graph.removed_buffers:
                    buffer.mpi_buffer.size_alloc = buffer.mpi_buffer.size_free = 0
        super().__init__()  # type: ignore[no-untyped-call]


def _keep_inputs(module: fx.GraphModule) -> None:
    """Has a forward hand its inputs on to the backward as they are.

    Inductor would hand on copies in the layout that convolutions prefer, which live from one pass to the other.
    """
    (output,) = module.graph.find_nodes(op="output")
    visible = output.meta.setdefault(_VISIBLE, [])
    returned = enumerate(output.args[0])
    visible += [place for place, node in returned if isinstance(node, fx.Node) and node.op == "placeholder"]


def settings_in_force(patches: Mapping[str, Any]) -> bytes:
    """All settings that decide what Inductor makes, as its caches keep them."""
    with config.patch(dict(patches)):
        saved: bytes = repr(sorted(config.save_config_portable(ignore_private_configs=False).items())).encode()
    return saved
