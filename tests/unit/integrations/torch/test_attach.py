"""Plans belong to a module as its forward, in copies and pickles as well."""

import copy
import pickle

import pytest

pytest.importorskip("torch")

import torch
from torch import nn

from hcp.integrations.torch.attach import attach, executor_of
from hcp.integrations.torch.errors import CaptureError, TorchError
from hcp.integrations.torch.request import TorchRequest

REQUEST = TorchRequest(budget="100%", solver="keep_all", cache=False, quiet=True)
X = torch.ones(2, 4)


def net():
    return nn.Sequential(nn.Linear(4, 4), nn.Tanh())


def test_type_and_names_stay():
    module = net()
    names = list(module.state_dict())
    executor = attach(module, REQUEST)
    assert executor_of(module) is executor
    assert type(module) is nn.Sequential
    assert list(module.state_dict()) == names


@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module))], ids=["copied", "pickled"]
)
def test_copies_plan_for_themselves(duplicate):
    module = net()
    executor = attach(module, REQUEST)
    other = duplicate(module)
    assert executor_of(other) is not executor
    assert executor_of(other).request == REQUEST
    assert torch.equal(other(X), module(X))
    assert len(executor_of(other).plans) == len(executor.plans) == 1


def test_one_plan_at_a_time():
    inner = net()
    attach(inner, REQUEST)
    with pytest.raises(CaptureError, match="Sequential is compiled or planned already"):
        attach(inner, REQUEST)
    with pytest.raises(CaptureError, match="Sequential '0' in it is compiled or planned already"):
        attach(nn.Sequential(inner), REQUEST)


def test_other_modules_have_no_executor():
    for module in (net(), "a module"):
        with pytest.raises(TorchError, match="was not prepared by checkpoint"):
            executor_of(module)
    planned, other = net(), net()
    attach(planned, REQUEST)
    vars(other)["forward"] = vars(planned)["forward"]
    with pytest.raises(TorchError, match="was not prepared by checkpoint"):
        executor_of(other)
