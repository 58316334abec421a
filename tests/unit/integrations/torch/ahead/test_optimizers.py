import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from hcp.integrations.torch.ahead.optimizers import OPTIMIZERS, optimizer_memory  # noqa: E402
from hcp.integrations.torch.errors import TorchError  # noqa: E402
from hcp.integrations.torch.measure import record  # noqa: E402


def parameters(dtype=torch.float32):
    return [nn.Parameter(torch.ones(shape, dtype=dtype)) for shape in ((64, 32), (5,), (2, 3, 8), ())]


def stepped(make, given):
    """The state of an optimizer that really steps, in bytes."""
    optimizer = make(given)
    for parameter in given:
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    held = [leaf for state in optimizer.state.values() for leaf in state.values() if isinstance(leaf, torch.Tensor)]
    return optimizer, sum(leaf.untyped_storage().nbytes() for leaf in held)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_state_is_that_of_an_optimizer_that_stepped(name, dtype):
    _, state = stepped(OPTIMIZERS[name], parameters(dtype))
    assert optimizer_memory(name, parameters(dtype)).state == state


def test_an_optimizer_is_measured_before_and_after_its_first_step():
    def make(given):
        return torch.optim.AdamW([{"params": given[:1], "amsgrad": True}, {"params": given[1:]}])

    given = parameters()
    before = optimizer_memory(make(given), given)
    optimizer, state = stepped(make, given)
    assert before.state == optimizer_memory(optimizer, given).state == state
    assert before.name == "AdamW"
    assert optimizer_memory(make, given).state == state


def test_what_a_step_takes_for_a_while_grows_as_measured():
    given = [nn.Parameter(torch.ones(256, 256)) for _ in range(8)]
    held = optimizer_memory("adamw", given)
    optimizer = torch.optim.AdamW(given, foreach=True)
    for parameter in given:
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    assert held.workspace == pytest.approx(record(optimizer.step).peak, rel=0.01)
    assert optimizer_memory("sgd", given).workspace == 0


def test_frozen_parameters_and_groups_without_state_take_none():
    base, adapter, counts = nn.Parameter(torch.ones(64, 64), False), nn.Parameter(torch.ones(4, 4)), torch.ones(3)
    frozen = nn.Parameter(counts.to(torch.uint8), False)
    optimizer = torch.optim.AdamW([base, adapter, frozen])
    assert optimizer_memory(optimizer, [base, adapter]).state == 2 * 4 * 16 + 4
    mixed = torch.optim.SGD([{"params": [base.requires_grad_()], "momentum": 0.9}, {"params": [adapter]}], lr=0.1)
    assert optimizer_memory(mixed, [base, adapter]).state == 4 * 64 * 64


def test_what_cannot_step_on_small_parameters_is_taken_to_need_as_much_as_they_are():
    given = parameters()
    held = optimizer_memory(lambda given: torch.optim.AdamW(given, capturable=True), given)
    assert held.workspace == sum(parameter.numel() * 4 for parameter in given)


def test_frozen_parameters_have_no_state():
    frozen = [parameter.requires_grad_(False) for parameter in parameters()]
    assert optimizer_memory("adamw", frozen).state == 0
    assert optimizer_memory(None, parameters()).state == optimizer_memory("none", parameters()).state == 0


@pytest.mark.parametrize("wrong", ["adamz", 3, len, lambda _: torch.optim.SGD(parameters(), lr=1)])
def test_what_is_no_optimizer_is_refused(wrong):
    with pytest.raises(TorchError, match=r"optimizer"):
        optimizer_memory(wrong, parameters())


def test_one_that_needs_numbers_says_so():
    class Own(torch.optim.Optimizer):
        def __init__(self, given):
            super().__init__(given, {})

        def step(self):
            raise RuntimeError("needs numbers")

    with pytest.raises(TorchError, match=r"Own cannot be stepped without numbers.*after its first step"):
        optimizer_memory(Own, parameters())
