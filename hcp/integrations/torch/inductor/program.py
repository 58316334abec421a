"""A joint graph as Inductor is about to lower it, with what keeps a plan from changing what the step does.

Inductor's joint passes have taken random draws apart: seeds are drawn once, and every draw is a function of its seed,
so that it is drawn the same again. Batch norm is plain arithmetic, whose new statistics are copied into the buffers.
"""

import torch
from torch import fx

from hcp.integrations.torch.capture import Joint
from hcp.integrations.torch.inductor.internals import SEEDS
from hcp.integrations.torch.internals import is_operation
from hcp.integrations.torch.prepare import snapshot_readers
from hcp.integrations.torch.program import Program, is_random, tensors_of, writes_input


def program_of(joint: Joint) -> Program:
    """What may run again, and what has to keep its order.

    Random draws without a seed, writes into inputs and other effects happen once and in the program's order. Who reads
    what a write changes reads it before.
    """
    program = Program(joint)
    program.drop_dead(_happens_once)
    last: fx.Node | None = None
    for node in list(program.operations):
        if writes_input(node):
            _write(program, node)
        elif _happens_once(node):
            program.once.add(node)
            if last is not None:
                program.order(node, last)
            last = node
    return program


def draws(node: fx.Node) -> bool:
    """Whether a node takes random numbers from a generator."""
    return node.target is SEEDS or is_random(node)


def _happens_once(node: fx.Node) -> bool:
    return draws(node) or _has_effects(node)


def _has_effects(node: fx.Node) -> bool:
    """Whether something besides the node's result tells that it ran."""
    if is_operation(node.target):
        return not tensors_of(node) and not isinstance(node.meta.get("val"), torch.SymInt | int | float | bool)
    return node.is_impure()


def _write(program: Program, node: fx.Node) -> None:
    target = node.args[0]
    assert isinstance(target, fx.Node)
    readers = snapshot_readers(
        program, target, [user for user in target.users if user is not node and user.op != "output"]
    )
    node.replace_all_uses_with(target)
    program.effects.add(node)
    program.once |= {node, *readers}
    program.order(node, *readers)
