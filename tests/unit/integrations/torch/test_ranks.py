"""One process makes what all that run the same step need; what goes wrong there is told everywhere."""

import threading

import pytest

pytest.importorskip("torch")

from torch.distributed import HashStore

from hcp.graph.errors import HcpError
from hcp.integrations.torch import ranks
from hcp.integrations.torch.errors import TorchError


class Maker:
    def __init__(self, outcome):
        self.outcome, self.asked = outcome, 0

    def __call__(self):
        self.asked += 1
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome


@pytest.fixture
def store(monkeypatch):
    """Where processes meet."""
    found = HashStore()
    monkeypatch.setattr(ranks, "shared_store", lambda: found)
    return found


def test_alone_a_process_makes_its_own(monkeypatch):
    monkeypatch.setattr(ranks, "shared_store", lambda: None)
    made = Maker("plan")
    assert [ranks.once("key", made, 1.0) for _ in range(2)] == ["plan"] * 2
    assert made.asked == 2


@pytest.mark.parametrize("outcome", [("a plan",), None])
def test_the_first_makes_and_the_others_take_it(store, outcome):
    first, other = Maker(outcome), Maker(("another",))
    assert ranks.once("key", first, 1.0) == outcome
    assert ranks.once("key", other, 1.0) == outcome
    assert (first.asked, other.asked) == (1, 0)
    assert ranks.once("another key", other, 1.0) == ("another",)


def test_the_others_wait(store):
    started, go, found = threading.Event(), threading.Event(), []

    def slow():
        started.set()
        go.wait()
        return "plan"

    first = threading.Thread(target=lambda: found.append(ranks.once("key", slow, 1.0)))
    first.start()
    started.wait()
    second = threading.Thread(target=lambda: found.append(ranks.once("key", Maker("another"), 1.0)))
    second.start()
    go.set()
    first.join()
    second.join()
    assert found == ["plan", "plan"]


def test_all_are_told_why_there_is_none(store):
    with pytest.raises(HcpError, match="no plan within 7"):
        ranks.once("key", Maker(HcpError("no plan within 7")), 1.0)
    with pytest.raises(TorchError, match="no plan within 7"):
        ranks.once("key", Maker("plan"), 1.0)
    with pytest.raises(KeyboardInterrupt):
        ranks.once("stopped", Maker(KeyboardInterrupt()), 1.0)
    with pytest.raises(TorchError, match="another process was stopped"):
        ranks.once("stopped", Maker("plan"), 1.0)


def test_whose_maker_is_gone_makes_its_own(store, monkeypatch):
    monkeypatch.setattr(ranks, "_PATIENCE_SECONDS", -1.0)
    store.add("hcp/key/asked", 1)
    assert ranks.once("key", Maker("plan"), 0.0) == "plan"
