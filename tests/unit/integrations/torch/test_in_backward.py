import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from hcp.graph.ir import Graph, Node, Value  # noqa: E402
from hcp.integrations.planning import judged  # noqa: E402
from hcp.integrations.torch.capture import trace  # noqa: E402
from hcp.integrations.torch.errors import ExecutionError  # noqa: E402
from hcp.integrations.torch.in_backward import hooked, settle, settled, take_gradient, take_in_backward  # noqa: E402
from hcp.integrations.torch.prepare import prepare  # noqa: E402
from hcp.planning.problem import InfeasibleBudget, Problem  # noqa: E402
from hcp.schedule.actions import Compute, Schedule, keep_everything  # noqa: E402
from hcp.schedule.replay import replay  # noqa: E402


def test_hooks_are_called_with_the_gradient_as_autograd_does():
    seen = []
    parameter = nn.Parameter(torch.ones(2))
    parameter.register_post_accumulate_grad_hook(lambda p: seen.append(p.grad.clone()))
    assert take_gradient(parameter, torch.full((2,), 3.0)) is parameter
    take_gradient(parameter, torch.full((2,), 4.0))
    assert [each.tolist() for each in seen] == [[3.0, 3.0], [7.0, 7.0]]
    with pytest.raises(ExecutionError, match="has none now; register it again"):
        take_gradient(nn.Parameter(torch.ones(3)), torch.ones(3))


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x):
        return self.linear(torch.tanh(self.linear(x))).square().mean()


def test_a_parameter_takes_its_gradient_after_all_that_read_it():
    program = prepare(trace(Twice(), (torch.ones(3, 4),), {}))
    gradients = [gradient for gradient in program.joint.gradients if gradient is not None]
    (taking,) = take_in_backward(program, frozenset({"linear.weight"}))
    assert taking.args[1] in gradients
    # Twice forward, and once for the gradient of what is between.
    assert len(program.after[taking]) == 3
    assert len([gradient for gradient in program.joint.gradients if gradient is not None]) == len(gradients) - 1
    assert taking in program.once


def step(size=100):
    """Two readers of a parameter, the second of which takes long to get at, and a node that takes a gradient."""
    return Graph(
        (
            Node("read", "mm", (), (Value("a", size), Value("read:done", 0)), 1),
            Node("loss", "sum", ("a",), (Value("l", 1),), 1, recomputable=False),
            Node("gradient", "mm", ("l",), (Value("g", size),), 1),
            Node("take", "take_gradient", ("g", "read:done"), (Value("take:done", 0),), 1, recomputable=False),
            Node("end", "mm", ("l", "a", "take:done"), (Value("e", 1, "gradient", resident=True),), 1),
        )
    )


def test_a_reader_that_runs_again_later_has_the_hook_wait():
    graph = step()
    order = ["read", "loss", "gradient", "take", "read", "end"]
    early = Schedule.from_steps(graph, [Compute(name) for name in order])
    late = settled(graph, early)
    assert list(late.computes) == ["read", "loss", "gradient", "read", "take", "end"]
    assert replay(graph, late).cost == replay(graph, early).cost
    kept = keep_everything(graph)
    assert settled(graph, kept) is kept


def test_what_takes_more_when_put_right_is_planned_for_less():
    graph = step()
    order = ["read", "loss", "gradient", "take", "read", "end"]
    early = Schedule.from_steps(graph, [Compute(name) for name in order])
    budget = replay(graph, early).peak
    late = replay(graph, settled(graph, early)).peak
    assert late > budget
    asked = []

    def search(problem):
        asked.append(problem.budget)
        if problem.budget < budget:
            raise InfeasibleBudget("nothing takes less")
        return judged(problem, early, "mine")

    assert settle(Problem(graph, budget), search).schedule is None
    assert asked == [budget, 2 * budget - late]
    wide = settle(Problem(graph, late), lambda problem: judged(problem, early, "mine"))
    assert wide.schedule == settled(graph, early)
    assert wide.peak == late


def test_gradients_that_are_reduced_over_processes_are_not_taken_before(monkeypatch):
    module = nn.Linear(2, 2)
    module.weight.register_post_accumulate_grad_hook(lambda _: None)
    assert hooked(module) == {"weight"}
    monkeypatch.setattr("hcp.integrations.torch.in_backward.inside_ddp", lambda: True)
    with pytest.raises(ExecutionError, match="Linear runs inside DistributedDataParallel or FSDP"):
        hooked(module)
