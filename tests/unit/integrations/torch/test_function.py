"""Functions as what is planned: the modules that they call are found, wherever they have them from."""

import copy
import pickle
import types
from functools import partial, wraps

import pytest

pytest.importorskip("torch")

import torch
from torch import nn

from hcp.integrations.torch.errors import TorchError
from hcp.integrations.torch.function import FunctionStep, PlannedFunction, module_of

NET, OTHER = nn.Linear(4, 4), nn.Linear(4, 4)
HELD = {"nets": [NET, (OTHER,)]}
PACKAGE = types.ModuleType("package")
PACKAGE.net, PACKAGE.other = NET, OTHER


class Task:
    def __init__(self):
        self.net, self.unread = NET, OTHER

    def loss(self, x):
        return self.net(x).sum()


TASK = Task()


def by_global(x):
    return NET(x).sum()


def by_helper(x):
    return by_global(x) * 2


def by_container(x):
    return HELD["nets"][0](x)


def by_package(x):
    return PACKAGE.net(x)


def by_object(x):
    return TASK.net(x)


def by_default(x, net=NET, *, other=OTHER):
    return other(net(x))


def by_inner(x):
    def inner():
        return NET(x)

    return inner()


def by_itself(x, depth=0):
    return by_itself(x, depth + 1) if depth < 2 else NET(x)


def by_closure():
    net, late = NET, None
    del late

    @wraps(by_global)
    def loss(x):
        return net(x)

    return loss


def given(net, x):
    return net(x)


@pytest.mark.parametrize(
    ("function", "modules"),
    [
        (by_global, [NET]),
        (by_helper, [NET]),
        (by_container, [NET, OTHER]),
        (by_package, [NET]),
        (by_object, [NET]),
        (TASK.loss, [NET]),
        (NET.forward, [NET]),
        (by_default, [NET, OTHER]),
        (by_inner, [NET]),
        (by_itself, [NET]),
        (by_closure(), [NET]),
        (partial(given, NET), [NET]),
        (partial(TASK.loss), [NET]),
        (PlannedFunction(module_of(by_global, "checkpoint")).__call__, [NET]),
    ],
)
def test_modules_are_found(function, modules):
    step = module_of(function, "checkpoint")
    assert list(step.children()) == modules
    assert len(list(step.parameters())) == 2 * len(modules)


def test_modules_are_themselves():
    assert module_of(NET, "checkpoint") is NET


def test_messages_call_a_function_by_its_name():
    assert type(module_of(by_global, "checkpoint")).__name__ == "by_global"
    assert type(module_of(partial(given, NET), "checkpoint")).__name__ == "given"


def none_at_all(x):
    return x * 2


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (none_at_all, r"plan_for\(\) found no torch.nn.Module that none_at_all\(\) calls, .*have it call one"),
        ("loss", r"plan_for\(\) got 'str' object; give it a torch.nn.Module, or a function that calls modules"),
        (nn.Linear, r"plan_for\(\) got the class Linear; give it a torch.nn.Module"),
        (None, r"plan_for\(\) got 'NoneType' object"),
    ],
)
def test_what_is_neither_is_named(step, message):
    with pytest.raises(TorchError, match=message):
        module_of(step, "plan_for")


def test_a_planned_function_is_a_function():
    step = module_of(by_global, "checkpoint")
    planned = PlannedFunction(step)
    assert isinstance(step, FunctionStep)
    assert planned.__name__ == "by_global"
    assert module_of(planned, "plan_for") is step
    assert torch.equal(planned(torch.ones(2, 4)), by_global(torch.ones(2, 4)))
    assert copy.deepcopy(planned) is planned
    with pytest.raises(TorchError, match="by_global is a planned function, which cannot be pickled"):
        pickle.dumps(planned)
