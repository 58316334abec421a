"""The joint graph made fit for planning: every side effect explicit, ordered, and safe to recompute around.

Works on the functional joint graph in place: drops what does nothing, makes tensors of pieces in one go, makes batch
norm write its running statistics once and only once, saves generator states before random draws, writes mutated
buffers inside the forward, and gives parameter gradients the layout in which autograd takes them over without a copy.
"""

import operator
from typing import Any, Final, cast

import torch
from torch import fx

from hcp.integrations.torch import rng
from hcp.integrations.torch.accumulate import accumulate
from hcp.integrations.torch.capture import Joint
from hcp.integrations.torch.copies import write_at_once
from hcp.integrations.torch.errors import CaptureError
from hcp.integrations.torch.internals import (
    FUNCTIONAL_BATCH_NORM,
    IN_PLACE_BATCH_NORM,
    PLAIN_BATCH_NORM,
    changes_input,
    is_operation,
    storage_id,
)
from hcp.integrations.torch.program import Call, Program, is_random, tensor_bytes, tensors_of

aten = torch.ops.aten

_IDENTITIES: Final = (aten.detach.default, aten.alias.default)


def prepare(joint: Joint) -> Program:
    """Rewrites a joint graph for planning.

    Raises:
        CaptureError: If it holds an operation that cannot be planned; names it.
    """
    program = Program(joint)
    _drop_identities(program)
    _batch_norms(program)
    program.drop_dead(is_random)
    _check_operations(program)
    write_at_once(program)
    accumulate(program)
    _mutations(program)
    _random_draws(program)
    _gradient_layouts(program)
    return program


def _drop_identities(program: Program) -> None:
    # Both halves run without recording gradients, so detaching does nothing there.
    for node in list(program.operations):
        source: Any = node.args[0] if node.args else None
        if node.target is aten.slice_backward.default and _same_shape(node, source):
            # The gradient of a slice that takes everything, as capture for any length writes it.
            pass
        elif node.target is aten.t.default and source.target is aten.t.default:
            source = source.args[0]
        elif node.target not in _IDENTITIES:
            continue
        node.replace_all_uses_with(source)
        program.graph.erase_node(node)


def _same_shape(node: fx.Node, other: fx.Node) -> bool:
    return bool(node.meta["val"].shape == other.meta["val"].shape)


def _batch_norms(program: Program) -> None:
    """Makes batch norm update its running statistics in place at its first execution, and never again."""
    for node in program.operations:
        if node.target is aten.native_batch_norm_backward.default and node.args[7] is True:
            # While training the gradient comes from the batch's statistics; the running ones are not read.
            node.args = (*node.args[:3], None, None, *node.args[5:])
    last_writer: dict[Any, fx.Node] = {}
    for node in list(program.operations):
        if not _renews_buffers(program, node):
            continue
        mean = node.args[3]
        if mean in last_writer:
            program.order(node, last_writer[mean])
        last_writer[mean] = node
        _renew_in_place(program, node)


def _renewed_statistics(node: fx.Node) -> dict[Any, fx.Node]:
    """Of a functional batch norm: the running statistics after it, by the buffers that they are to be written to."""
    buffer_of = {3: node.args[3], 4: node.args[4]}
    return {buffer_of[item.args[1]]: item for item in node.users if item.args[1] in buffer_of}  # type: ignore[index]


def _renews_buffers(program: Program, node: fx.Node) -> bool:
    """Whether a node is a batch norm in training whose new statistics go to the module's buffers and nowhere else."""
    if node.target is not FUNCTIONAL_BATCH_NORM or not node.args[5]:
        return False
    buffers = {node.args[3], node.args[4]}
    readers = [use for item in _renewed_statistics(node).values() for use in item.users]
    return buffers <= {primal for primal in program.joint.mutated if primal is not None} and all(
        use.op == "output" or use.target is FUNCTIONAL_BATCH_NORM for use in readers
    )


def _renew_in_place(program: Program, node: fx.Node) -> None:
    x, weight, bias, _, _, training, momentum, eps = node.args
    renewed = _renewed_statistics(node)
    node.target = IN_PLACE_BATCH_NORM
    node.meta["val"] = tuple(node.meta["val"][:3])
    program.again[node] = Call(PLAIN_BATCH_NORM, (x, weight, bias, training, momentum, eps))
    for buffer, statistic in renewed.items():
        statistic.replace_all_uses_with(buffer)
        program.graph.erase_node(statistic)


def _check_operations(program: Program) -> None:
    for node in program.operations:
        target = node.target
        if target is operator.getitem or target is IN_PLACE_BATCH_NORM:
            continue
        if not is_operation(target):
            raise CaptureError(f"operation {target} ({node.name}) is not a plain ATen operation; hcp cannot plan it")
        if changes_input(target):
            raise CaptureError(
                f"operation {target} ({node.name}) changes its input inside the captured graph; "
                "write it without the in-place change"
            )
        if not tensors_of(node):
            raise CaptureError(f"operation {target} ({node.name}) returns no tensor; keep its result out of the module")


def _mutations(program: Program) -> None:
    """Writes new contents of buffers inside the forward; who reads the old contents reads them before, or a copy."""
    (output,) = program.graph.find_nodes(op="output")
    returned = list(output.args[0])
    for position, primal in enumerate(program.joint.mutated):
        if primal is None:
            continue
        new = returned[position]
        if new is primal:
            _check_norm_buffer(primal)
            continue
        readers = snapshot_readers(program, primal, [user for user in primal.users if user.op != "output"])
        place = {node: i for i, node in enumerate(program.graph.nodes)}
        with program.graph.inserting_after(max((new, *readers), key=place.__getitem__)):
            update = program.graph.call_function(aten.copy_.default, (primal, new))
        update.meta["val"] = primal.meta["val"]
        program.effects.add(update)
        program.once |= {update, *readers}
        program.order(update, *readers)
        # In-place operations have results of their own in a functional graph, so any other output that is this very
        # node is the buffer itself to the caller, who gets it from PyTorch and not from us.
        returned = [primal if what is new else what for what in returned]
    output.args = (tuple(returned),)


def _check_norm_buffer(primal: fx.Node) -> None:
    for user in primal.users:
        if user.op != "output" and user.target is not IN_PLACE_BATCH_NORM:
            raise CaptureError(
                f"{user.name} ({user.target}) reads the running statistics that a batch norm of the same step "
                "changes; read them outside the module"
            )


def _is_view(node: fx.Node, base: fx.Node) -> bool:
    storage = storage_id(base.meta["val"])
    return any(storage_id(value) == storage for value in tensors_of(node))


def snapshot_readers(program: Program, primal: fx.Node, readers: list[fx.Node]) -> list[fx.Node]:
    """The nodes that have to run before an input changes: its readers, or one that copies it for them.

    A copy serves where a reader runs in the backward, looks at the input later, or makes more of it than it holds.
    """
    backward = program.depends_on_tangents()
    if any(user in backward or _is_view(user, primal) or tensor_bytes(user) > tensor_bytes(primal) for user in readers):
        return [_snapshot(program, primal, readers)]
    return readers


def _snapshot(program: Program, primal: fx.Node, readers: list[fx.Node]) -> fx.Node:
    first = next(node for node in program.operations if node in readers)
    with program.graph.inserting_before(first):
        copy = program.graph.call_function(aten.clone.default, (primal,))
    copy.meta["val"] = primal.meta["val"]
    for reader in readers:
        reader.replace_input_with(primal, copy)
    return copy


def _random_draws(program: Program) -> None:
    """Keeps first draws in program order, with the generator's state saved before each that may be drawn again."""
    last: dict[torch.device, fx.Node] = {}
    for node in [node for node in program.operations if is_random(node)]:
        device = tensors_of(node)[0].device
        state_bytes = rng.state_bytes(device)
        if tensor_bytes(node) < state_bytes:
            # Its state would take more memory than its result.
            program.once.add(node)
            steps = [node]
        else:
            with program.graph.inserting_before(node):
                state = program.graph.call_function(rng.save_state, (device,))
            with program.joint.fake_mode:
                state.meta["val"] = torch.empty(rng.save_state(device).numel(), dtype=torch.uint8)
            program.once.add(state)
            program.again[node] = Call(rng.replay, (state, device, node.target, *node.args), dict(node.kwargs))
            node.target, node.args = rng.draw, (state, cast(Any, node.target), *node.args)
            steps = [state, node]
        if device in last:
            program.order(steps[0], last[device])
        last[device] = node


def _gradient_layouts(program: Program) -> None:
    """Copies, as planned operations, the gradients that autograd would otherwise copy itself when it takes them."""
    (output,) = program.graph.find_nodes(op="output")
    returned = list(output.args[0])
    start = len(program.joint.mutated)
    inputs = {
        storage_id(value) for node in (*program.joint.primals, *program.joint.tangents) for value in tensors_of(node)
    }
    seen: set[Any] = set()
    for position, (gradient, primal) in enumerate(zip(returned[start:], program.joint.primals, strict=True), start):
        if not isinstance(gradient, fx.Node):
            continue
        value, like = gradient.meta["val"], primal.meta["val"]
        if gradient in seen or storage_id(value) in inputs or not _same_layout(value, like):
            with program.graph.inserting_before(output):
                copy = program.graph.call_function(laid_out, (gradient, tuple(like.shape), tuple(_layout(like))))
            with program.joint.fake_mode:
                copy.meta["val"] = torch.empty_strided(
                    like.shape, _layout(like), dtype=value.dtype, device=value.device
                )
            returned[position] = copy
        seen.add(gradient)
    output.args = (tuple(returned),)


def laid_out(tensor: torch.Tensor, size: tuple[int, ...], stride: tuple[int, ...]) -> torch.Tensor:
    """A fresh copy with the given strides."""
    return torch.empty_strided(size, stride, dtype=tensor.dtype, device=tensor.device).copy_(tensor)


def _layout(like: torch.Tensor) -> tuple[int, ...]:
    """The strides that autograd gives a gradient: the parameter's where they are dense, else those of a new tensor."""
    if aten.is_non_overlapping_and_dense(like):
        return tuple(like.stride())
    return tuple(torch.empty(like.shape, device="meta").stride())


def _same_layout(value: torch.Tensor, like: torch.Tensor) -> bool:
    return value.shape == like.shape and all(
        size == 1 or mine == wanted
        for size, mine, wanted in zip(like.shape, value.stride(), _layout(like), strict=True)
    )
