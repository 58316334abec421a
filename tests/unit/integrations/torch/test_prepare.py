"""Joint graphs made fit for planning: side effects explicit, ordered, and apart from what runs again."""

import pytest

pytest.importorskip("torch")

import torch
from torch import nn

from hcp.integrations.torch import rng
from hcp.integrations.torch.capture import trace
from hcp.integrations.torch.errors import CaptureError
from hcp.integrations.torch.internals import IN_PLACE_BATCH_NORM, PLAIN_BATCH_NORM
from hcp.integrations.torch.prepare import prepare
from hcp.integrations.torch.program import is_random, tensor_bytes, tensors_of, writes_input
from tests.integration.training_steps import MovingMean, SharedNorm

aten = torch.ops.aten


def prepared(module, *shape):
    return prepare(trace(module, (torch.randn(shape, requires_grad=True),), {}))


def targets(program):
    return [node.target for node in program.operations]


def test_norms_that_share_buffers_update_them_in_place_and_in_order():
    program = prepared(SharedNorm(), 8, 16)
    norms = [node for node in program.operations if node.target is IN_PLACE_BATCH_NORM]
    assert len(norms) == 2
    assert program.after[norms[1]] == [norms[0]]
    # Run again, they read the batch alone and write nothing.
    assert [program.again[norm].target for norm in norms] == [PLAIN_BATCH_NORM] * 2
    assert not program.effects - {node for node in program.operations if writes_input(node)}


def test_a_norm_that_does_not_train_is_left_alone():
    module = nn.Sequential(nn.Linear(16, 16), nn.BatchNorm1d(16)).eval()
    program = prepared(module, 8, 16)
    assert IN_PLACE_BATCH_NORM not in targets(program)
    assert not program.again
    assert not program.effects


class StatisticsReader(nn.Module):
    """Reads a norm's running mean in the step that changes it, before or after the change."""

    def __init__(self, before):
        super().__init__()
        self.before = before
        self.norm = nn.BatchNorm1d(16)

    def forward(self, x):
        mean = self.norm.running_mean.clone() if self.before else None
        x = self.norm(x)
        return (x * (self.norm.running_mean if mean is None else mean)).sum()


def test_statistics_that_are_read_afterwards_are_written_apart():
    program = prepared(StatisticsReader(before=False), 8, 16)
    assert IN_PLACE_BATCH_NORM not in targets(program)
    # The mean, the variance and the count.
    assert len(program.effects) == 3


def test_statistics_that_are_read_before_they_change_are_refused():
    with pytest.raises(CaptureError, match="reads the running statistics"):
        prepared(StatisticsReader(before=True), 8, 16)


def test_buffers_are_written_once_behind_their_readers():
    program = prepared(MovingMean(), 8, 16)
    place = {node: i for i, node in enumerate(program.graph.nodes)}
    assert {node.target for node in program.effects} == {aten.copy_.default}
    for update in program.effects:
        assert update in program.once
        buffer = update.args[0]
        for reader in buffer.users:
            if reader.op == "call_function" and reader is not update:
                assert place[reader] < place[update]
                assert reader in program.after[update]


def test_draws_keep_their_order_and_may_be_replayed():
    module = nn.Sequential(nn.Linear(256, 256), nn.Dropout(0.5), nn.Linear(256, 256), nn.Dropout(0.5))
    program = prepared(module, 64, 256)
    draws = [node for node in program.operations if is_random(node)]
    assert [node.target for node in draws] == [rng.draw] * 2
    states = [node for node in program.operations if node.target is rng.save_state]
    assert program.once >= set(states)
    # The second state is saved when the first draw is over.
    assert program.after[states[1]] == [draws[0]]
    for draw, state in zip(draws, states, strict=True):
        assert draw.args[0] is state
        again = program.again[draw]
        assert (again.target, again.args[0], again.args[2]) == (rng.replay, state, draw.args[1])


def test_a_draw_smaller_than_its_state_runs_once_instead():
    program = prepared(nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5)), 2, 4)
    draws = [node for node in program.operations if is_random(node)]
    assert draws
    assert all(tensor_bytes(node) < rng.state_bytes(torch.device("cpu")) for node in draws)
    assert program.once >= set(draws)
    assert rng.save_state not in targets(program)


def test_gradients_have_the_layout_of_their_parameters():
    program = prepared(nn.Sequential(nn.Linear(6, 3), nn.Tanh()), 5, 6)
    for primal, gradient in zip(program.joint.primals, program.joint.gradients, strict=True):
        if gradient is not None:
            (like,), (value,) = tensors_of(primal), tensors_of(gradient)
            assert (value.shape, value.stride()) == (like.shape, like.stride())


def test_what_needs_tangents_is_found_by_reachability():
    program = prepared(nn.Sequential(nn.Linear(6, 3), nn.Tanh()), 5, 6)
    found = program.depends_on_tangents()
    reached, stack = set(program.joint.tangents), list(program.joint.tangents)
    while stack:
        for user in stack.pop().users:
            if user.op == "call_function" and user not in reached:
                reached.add(user)
                stack.append(user)
    assert found == reached
