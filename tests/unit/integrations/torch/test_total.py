import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from hcp.graph.errors import HcpError  # noqa: E402
from hcp.integrations.torch import checkpoint, plan_for, total  # noqa: E402
from hcp.integrations.torch.errors import BudgetWarning, TorchError  # noqa: E402


def net():
    return nn.Sequential(nn.Linear(64, 64), nn.BatchNorm1d(64), nn.Linear(64, 1))


def test_the_step_gets_what_is_left():
    module = net()
    parameters = sum(parameter.numel() * 4 for parameter in module.parameters())
    buffers = 2 * 64 * 4 + 8
    beside = total("1MiB", optimizer="sgd-momentum", reserve="10%", accumulate=True).beside(module)
    x = torch.ones(8, 64)
    assert beside.left(((x, x[:4]), {})) == 2**20 - 2**20 // 10 - 3 * parameters - buffers - 8 * 64 * 4
    assert beside.update == 2**20 // 10 + 3 * parameters + buffers + beside.optimizer.workspace
    found = plan_for(module, (x,), budget=total("1MiB", optimizer=None, reserve=0), quiet=True)
    assert found.budget_bytes == 2**20 - parameters - buffers - 8 * 64 * 4


def test_a_total_that_leaves_nothing_says_where_it_goes():
    module = checkpoint(net(), total("40kB", optimizer="adamw", reserve=0), quiet=True)
    with pytest.raises(TorchError, match=r"leaves nothing for a step.*parameters 17.* KiB.*state of adamw.*give more"):
        module(torch.ones(8, 64)).sum().backward()


def test_an_optimizer_whose_step_takes_too_much_is_a_warning():
    module = nn.Linear(512, 512, bias=False)
    planned = checkpoint(module, total("4.5MB", optimizer="adamw", reserve=0), quiet=True)
    with pytest.warns(BudgetWarning, match=r"is estimated to take 5,\d+,\d+ bytes while adamw steps, over the total"):
        planned(torch.ones(8, 512)).sum().backward()


@pytest.mark.parametrize("wrong", [{"amount": "80%"}, {"amount": "24 gigs"}, {"amount": 0}, {"reserve": "5 percent"}])
def test_amounts_that_are_none_are_refused_at_once(wrong):
    with pytest.raises(HcpError):
        total(**({"amount": "24GiB"} | wrong))


def test_without_an_amount_there_has_to_be_a_gpu():
    with pytest.raises(TorchError, match=r"total\(\) got no amount"):
        total().beside(net())
