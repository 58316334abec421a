"""A captured step with symbols for sizes: what is made of it for given ones."""

from dataclasses import dataclass, field

import pytest

pytest.importorskip("torch")

import torch
from torch import nn

from hcp.integrations.torch import CaptureError
from hcp.integrations.torch import family as module
from hcp.integrations.torch.boundary import Boundary
from hcp.integrations.torch.capture import Joint, Split, backend, compile_whole, trace
from hcp.integrations.torch.emit import emit
from hcp.integrations.torch.family import Family
from hcp.integrations.torch.internals import may_differ
from hcp.integrations.torch.joint_graph import lower_joint
from hcp.schedule.actions import keep_everything


def lowered(joint: Joint):
    return lower_joint(joint, "roofline", "Net", False)


def split(joint: Joint) -> Split:
    found = lowered(joint)
    return emit(found, keep_everything(found.graph))


HELD = Boundary()


@dataclass
class Kept:
    """A step that keeps everything, and learns nothing."""

    joint: Joint
    tangent_bytes: int | None = None
    between: Boundary = HELD
    seen: list = field(default_factory=list)

    @property
    def halves(self):
        return split(self.joint)

    @property
    def told(self):
        return HELD

    def tell(self, boundary):
        pass

    def renew(self, boundary):
        self.seen.append(boundary)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner, self.outer = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x, more=None):
        hidden = self.inner(x).relu().transpose(0, 1)
        out = self.outer(hidden) * hidden.shape[1]
        return (out, x.shape[0]) if more is None else (out + more, x.shape[0])


def captured(net, seen=None):
    """A call, and the families that it was captured as."""
    found = []

    def sized(joint):
        found.append(
            Family(joint, Kept, lambda sizes, at: None if seen is None else seen.append((sizes, at)), lambda _: None)
        )
        return found[-1].sized

    return found, compile_whole(net, net.forward, backend(sized), dynamic=None)


def rows(count):
    x = torch.randn(count, 3, 4)
    may_differ(x, 0)
    return x


def test_graphs_of_a_family_are_those_of_static_captures():
    net, seen = Net(), []
    found, call = captured(net, seen=seen)
    call(rows(5))
    (family,) = found
    ((sizes, at),) = seen
    assert list(sizes.values()) == [5]
    for count in (5, 7, 2):
        concrete = at(dict.fromkeys(sizes, count))
        wanted = lowered(trace(net, (torch.randn(count, 3, 4),), {})).graph
        graph = lowered(concrete).graph
        assert [(node.op, node.cost, [value.bytes for value in node.outputs]) for node in graph.nodes] == [
            (node.op, node.cost, [value.bytes for value in node.outputs]) for node in wanted.nodes
        ]
    assert family.joint.symbols == frozenset(sizes)


def test_calls_run_and_return_numbers_of_their_own():
    net = Net()
    found, call = captured(net)
    for count in (5, 3, 5, 8):
        x = rows(count)
        out, number = call(x)
        out.square().sum().backward()
        got = [parameter.grad.clone() for parameter in net.parameters()]
        net.zero_grad()
        expected, _ = net(x)
        expected.square().sum().backward()
        torch.testing.assert_close(out, expected)
        torch.testing.assert_close(got, [parameter.grad for parameter in net.parameters()])
        net.zero_grad()
        assert number == count
    assert len(found) == 1


def test_views_elsewhere_in_their_storage_are_the_same_variant():
    net, made = Net(), []
    batches = torch.randn(4, 5, 3, 4)

    def counted(joint):
        made.append(joint)
        return Kept(joint)

    def sized(joint):
        return Family(joint, counted, lambda *_: None, lambda _: None).sized

    call = compile_whole(net, net.forward, backend(sized), dynamic=None)
    for batch in batches:
        torch.testing.assert_close(call(batch)[0], net(batch)[0])
    # As captured first, and once with a symbol for the place.
    assert len(made) <= 2


def test_the_outline_is_not_run():
    with pytest.raises(AssertionError, match="not run"):
        module._never_run()


def test_an_operation_that_takes_no_other_sizes_is_named(monkeypatch):
    net, seen = Net(), []
    _, call = captured(net, seen=seen)
    call(rows(5))
    ((sizes, at),) = seen

    def fails(*_args, **_kwargs):
        raise RuntimeError("wrong sizes")

    nodes = at.__self__.joint.module.graph.nodes
    node = next(node for node in nodes if "relu" in str(node.target))
    monkeypatch.setattr(node, "target", fails)
    with pytest.raises(CaptureError, match=r"does not run on tensors of other sizes .*wrong sizes.*dynamic=False"):
        at(dict.fromkeys(sizes, 3))


def test_a_step_that_wants_it_hears_what_happened_between_its_halves_and_may_change():
    net, made = nn.Sequential(nn.Linear(4, 4), nn.Tanh()), []

    class Wants(Kept):
        def renew(self, boundary):
            if boundary is None:
                return None
            super().renew(boundary)
            return self.halves

    def plan(joint):
        made.append(Wants(joint, lowered(joint).tangent_bytes))
        return made[-1]

    def sized(joint):
        return Family(joint, plan, lambda *_: None, lambda _: None).sized

    call = compile_whole(net, net.forward, backend(sized))
    x = torch.randn(16, 4)
    call(x).square().mean().backward()
    assert made[0].seen == []
    flying = call(x)
    (boundary,) = made[0].seen
    assert boundary.passed
    assert boundary.dropped == frozenset(), "what tanh gave is saved for its backward"
    # Each backward is that of its own forward, whatever runs now.
    later = call(x)
    net.zero_grad()
    (flying.square().mean() + 2 * later.square().mean()).backward()
    found = [parameter.grad.clone() for parameter in net.parameters()]
    net.zero_grad()
    (3 * net(x).square().mean()).backward()
    torch.testing.assert_close(found, [parameter.grad for parameter in net.parameters()])
    assert len(made[0].seen) == 1
