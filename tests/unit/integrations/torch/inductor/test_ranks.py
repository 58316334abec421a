"""One process chooses for all that run the same step; what goes wrong there is told everywhere."""

from types import SimpleNamespace

import pytest

pytest.importorskip("torch")

from hcp.graph.errors import HcpError
from hcp.integrations.torch.errors import TorchError
from hcp.integrations.torch.inductor import ranks


class Step:
    def __init__(self, outcome):
        self.outcome, self.asked = outcome, 0

    def choose(self):
        self.asked += 1
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


@pytest.fixture
def world(monkeypatch):
    """A group of processes; its list of what was sent, by the one whose rank is ``at``."""
    state = SimpleNamespace(at=0, size=2, sent=[])
    monkeypatch.setattr(ranks, "data_parallel_group", lambda: state)

    def broadcast(message, src, group):
        assert (src, group) == (0, state)
        if state.at == src:
            state.sent[:] = message
        else:
            message[:] = state.sent

    fake = SimpleNamespace(
        get_world_size=lambda group: group.size,
        get_global_rank=lambda _, rank: rank,
        get_rank=lambda: state.at,
        broadcast_object_list=broadcast,
    )
    monkeypatch.setattr(ranks, "dist", fake)
    return state


def test_alone_a_process_chooses(world, monkeypatch):
    world.size = 1
    assert ranks.choose_once(Step("plan")) == "plan"
    monkeypatch.setattr(ranks, "data_parallel_group", lambda: None)
    assert ranks.choose_once(Step("plan")) == "plan"
    assert world.sent == []


@pytest.mark.parametrize("outcome", [("a plan",), None])
def test_the_first_chooses_and_the_others_take_it(world, outcome):
    first, other = Step(outcome), Step(("another",))
    assert ranks.choose_once(first) == outcome
    world.at = 1
    assert ranks.choose_once(other) == outcome
    assert (first.asked, other.asked) == (1, 0)


def test_all_are_told_why_there_is_none(world):
    for world.at in (0, 1):
        with pytest.raises(TorchError, match="no plan within 7"):
            ranks.choose_once(Step(HcpError("no plan within 7")))
