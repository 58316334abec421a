"""Bad use gives one clear sentence, and never a step that silently runs unplanned."""

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402

from hcp.graph.errors import HcpError  # noqa: E402
from hcp.integrations.torch import (  # noqa: E402
    CaptureError,
    ExecutionError,
    TorchError,
    TorchVersionError,
    capture_graph,
    checkpoint,
    measure_peak,
    plan_for,
    plan_of,
)
from hcp.integrations.torch.demo.models import MLP  # noqa: E402
from hcp.planning.problem import InfeasibleBudget  # noqa: E402
from hcp.runtime import FallbackWarning  # noqa: E402
from hcp.schedule.actions import Schedule, ScheduleError, keep_everything  # noqa: E402
from hcp.schedule.replay import replay  # noqa: E402


def _model():
    torch.manual_seed(0)
    return MLP(8, 2, 4)


X = torch.ones(4, 8)


class Breaks(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(8, 8)

    def forward(self, x):
        x = self.linear(x)
        torch._dynamo.graph_break()
        return x.relu()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((lambda x: x, "50%"), r"found no torch.nn.Module that <lambda>\(\) calls"),
        ((_model(),), "neither a budget nor a plan"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(TorchError, match=message):
        checkpoint(*arguments)


@pytest.mark.parametrize("cost", ["fast", None, 3])
def test_a_bad_cost_option_lists_the_choices(cost):
    with pytest.raises(TorchError, match="'roofline', 'calibrated', 'measured', or a function"):
        checkpoint(_model(), "50%", cost=cost)


@pytest.mark.parametrize("amount", [-1, 1.5, True, None])
def test_a_cost_function_must_give_whole_numbers(amount):
    with pytest.raises(TorchError, match="expected a whole number"):
        capture_graph(_model(), (X,), cost=lambda node: amount)


def test_a_compiled_module_is_refused():
    model = checkpoint(_model(), "100%", solver="keep_all")
    with pytest.raises(CaptureError, match="MLP is compiled or planned already"):
        checkpoint(model, "50%")


def test_an_untested_torch_is_refused(monkeypatch):
    monkeypatch.setattr(torch, "__version__", "2.10.1+cpu")
    with pytest.raises(TorchVersionError, match=r"2\.10\.1\+cpu.*install one from 2\.11 to 2\.13"):
        checkpoint(_model(), "50%")


def test_a_graph_break_is_an_error():
    model = checkpoint(Breaks(), "100%", solver="keep_all")
    with pytest.raises(CaptureError, match=r"Breaks cannot be captured as one graph.*remove the graph break"):
        model(X)


class Inverts(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.eye(8))

    def forward(self, x):
        return x @ torch.linalg.inv(self.weight)


class CountsWithoutMomentum(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(8, momentum=None)

    def forward(self, x):
        return self.norm(x)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Inverts, r"because of effects \(aten._linalg_check_errors.default\).*keep these out of the module"),
        (CountsWithoutMomentum, "CountsWithoutMomentum.*: Could not guard on data-dependent"),
    ],
    ids=["effects", "data-dependent"],
)
def test_what_cannot_be_captured_is_an_error(model, message):
    if model is Inverts and torch.__version__ < "2.13":
        pytest.skip("checks of linear algebra are no effects yet")
    with pytest.raises(CaptureError, match=message):
        checkpoint(model(), "50%")(X)


def test_an_operation_that_does_not_run_alone_is_an_error():
    @torch.library.custom_op("hcp_tests::wants_ones", mutates_args=())
    def wants_ones(x: torch.Tensor) -> torch.Tensor:
        assert (x == 1).all(), "not ones"
        return x.clone()

    wants_ones.register_fake(torch.empty_like)
    wants_ones.register_autograd(lambda context, gradient: gradient)

    class Wants(nn.Linear):
        def forward(self, x):
            return super().forward(wants_ones(x))

    with pytest.raises(CaptureError, match=r"wants_ones.default .*does not run by itself on stand-in values.*not ones"):
        checkpoint(Wants(8, 8), "50%")(X)


def test_a_dispatch_mode_is_an_error():
    class Mode(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            return func(*args, **(kwargs or {}))

    model = checkpoint(_model(), "100%", solver="keep_all")
    with Mode(), pytest.raises(ExecutionError, match="under Mode, a TorchDispatchMode"):
        model(X)


def test_compilation_switched_off_is_an_error():
    model = checkpoint(_model(), "100%", solver="keep_all")
    with (
        torch.compiler.set_stance("force_eager"),
        pytest.raises(ExecutionError, match=r"MLP ran unplanned.*set_stance"),
    ):
        model(X)
    lenient = checkpoint(_model(), "100%", solver="keep_all", fallback="warn")
    with torch.compiler.set_stance("force_eager"), pytest.warns(FallbackWarning, match="ran unplanned"):
        lenient(X)
    model(X)
    assert len(plan_of(model)) == 1


def test_a_planned_module_in_a_compiled_one_runs_planned_or_not_at_all():
    inner = checkpoint(_model(), "100%", solver="keep_all")
    outer = nn.Sequential(inner, nn.ReLU())
    with pytest.raises(torch._dynamo.exc.Unsupported, match="disable"):
        torch.compile(outer, backend="eager", fullgraph=True)(X)
    torch.compile(outer, backend="eager")(X)
    assert len(plan_of(inner)) == 1


def test_a_first_call_under_a_profiler_is_an_error():
    model = checkpoint(_model(), "100%", solver="keep_all")
    with torch.profiler.profile(), pytest.raises(ExecutionError, match="profiler is running already"):
        model(X)
    with torch.profiler.profile(), pytest.raises(ExecutionError, match="profiler is running already"):
        measure_peak(lambda: None)


def test_an_impossible_budget_is_an_error_at_the_first_call():
    model = checkpoint(_model(), 100, solver="anneal", time_limit=2)
    with pytest.raises(
        InfeasibleBudget, match=r"no schedule fits 100 bytes.*smallest budget known to work is \d+ bytes"
    ):
        model(X)
    with pytest.raises(HcpError, match="12 Gib"):
        checkpoint(_model(), "12 Gib", solver="anneal", time_limit=2)(X)


def test_gradients_that_stay_are_named_where_they_exceed_the_budget():
    model = MLP(8, 6, 4)
    graph = capture_graph(model, (X[:1],))
    held = sum(value.bytes for value in graph.values.values() if value.kind == "gradient")
    # No node alone holds as much.
    assert graph.index.floor.max() < held - 1
    with pytest.raises(InfeasibleBudget, match=r"\d+ gradients.* \('\w+', .*\) stay to the end and hold \d+ bytes"):
        plan_for(model, (X[:1],), budget=held - 1, solver="anneal", time_limit=0.2)


def test_plans_that_do_not_fit_are_refused():
    graph = capture_graph(_model(), (X,))
    with pytest.raises(ScheduleError, match="never runs"):
        checkpoint(_model(), plan=Schedule.from_computes(graph, graph.order[:1]))(X)
    peak = replay(graph, keep_everything(graph)).peak
    with pytest.raises(ExecutionError, match=rf"over the budget of {peak - 1:,}; raise the budget"):
        checkpoint(_model(), peak - 1, plan=keep_everything)(X)
    with pytest.raises(InfeasibleBudget, match=r"no schedule fits 100 bytes: .*gradients .* stay to the end"):
        checkpoint(_model(), 100, plan=keep_everything)(X)
    model = checkpoint(_model(), "100%", solver="keep_all")
    model(X)
    (made,) = plan_of(model)
    other = checkpoint(_model(), plan=made.plan)
    with pytest.raises(ExecutionError, match="made for another graph"):
        other(torch.ones(5, 8))


def test_plan_of_needs_a_planned_module_and_a_call():
    with pytest.raises(TorchError, match="was not prepared by checkpoint"):
        plan_of(_model())
    with pytest.raises(TorchError, match="has no plan yet"):
        plan_of(checkpoint(_model(), "50%"))


def test_double_backward_is_an_error():
    model = checkpoint(_model(), "100%", solver="keep_all")
    x = torch.ones(4, 8, requires_grad=True)
    (gradient,) = torch.autograd.grad(model(x).sum(), x, create_graph=True)
    with pytest.raises(ExecutionError, match=r"gradients of MLP are differentiated again.*not planned"):
        gradient.sum().backward()


def test_weights_edited_before_backward_are_an_error():
    model = checkpoint(_model(), "100%", solver="keep_all")
    loss = model(X).sum()
    with torch.no_grad():
        model.head.weight.mul_(2)
    with pytest.raises(ExecutionError, match=r"weight or input of MLP was changed in place.*run the backward first"):
        loss.backward()


def test_capture_needs_something_to_differentiate():
    with torch.no_grad(), pytest.raises(CaptureError, match="needs no gradient"):
        capture_graph(_model(), (X,))
