"""The drop-in: ``checkpoint(module, budget=...)`` plans a training step at the first call, and runs the plan."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

from torch import nn

from hcp.graph.ir import Graph
from hcp.integrations.request import Fallback, GivenPlan
from hcp.integrations.torch.ahead.weightless import faked, holds_memory
from hcp.integrations.torch.attach import attach, executor_of
from hcp.integrations.torch.backends import backend_of, inductor
from hcp.integrations.torch.capture import Joint, trace
from hcp.integrations.torch.cost import Cost, check_cost, device_of
from hcp.integrations.torch.errors import TorchError
from hcp.integrations.torch.function import FunctionStep, PlannedFunction, module_of
from hcp.integrations.torch.joint_graph import lower_joint
from hcp.integrations.torch.lower import Lowered
from hcp.integrations.torch.plans import TorchPlan
from hcp.integrations.torch.request import TIME_LIMIT, Compiler, Host, TorchRequest
from hcp.integrations.torch.step_planner import TorchExecutor
from hcp.integrations.torch.total import Total
from hcp.integrations.torch.version import check_version
from hcp.planning.planner import Planner
from hcp.planning.problem import Monitor, ignore
from hcp.plans.cache import CacheOption

M = TypeVar("M", bound=Callable[..., Any])


def checkpoint(
    module: M,
    budget: int | str | Total | None = None,
    *,
    solver: str | Planner = "auto",
    time_limit: float = TIME_LIMIT,
    cost: Cost = "roofline",
    plan: GivenPlan | None = None,
    cache: CacheOption = True,
    seed: int = 0,
    fallback: Fallback = "error",
    quiet: bool = False,
    monitor: Monitor = ignore,
    host: Host = None,
    compiler: Compiler = "aot_eager",
    mode: str | None = None,
    options: Mapping[str, Any] | None = None,
    dynamic: bool | None = None,
    max_length: int | None = None,
    optimizer_in_backward: bool = False,
) -> M:
    """Prepares a module, or a function that calls modules, so that each training step keeps within a memory budget.

    The first call with given shapes captures the step and plans it; every call then runs the plan. Gradients,
    outputs, buffers and random state are those of the unplanned step. Calls that need no gradient run the module's own
    forward. Copies (``copy.deepcopy``, pickles) are planned modules as well.

    Args:
        module: A module is changed in place; its type, parameters and ``state_dict`` names stay. A function, such as
            one that calls a model and computes the loss, is not: what is returned is called in its place. The modules
            that it calls have to be in its closure, its globals, its defaults, or the object that it is a method of.
        budget: Most bytes a forward and backward may hold above what exists when the step starts: an integer, a size
            such as ``"8GiB"``, or a percentage: ``"50%"`` of the captured step's keep-everything peak, or
            ``"50% of eager"``, of what the module takes that is not planned, which is run to be measured. Steps with
            other shapes may then take as much as the largest so far. Or what ``total`` makes: a budget for all the
            memory, parameters and the optimizer's state included.
        solver: A name from ``hcp.planners.PLANNERS``, or a planner.
        time_limit: Seconds that planning may take, for each variant of the step.
        cost: ``"roofline"`` (the same on every machine), ``"calibrated"`` (the roofline with this machine's constants),
            ``"measured"`` (each operation timed; both are measured once and cached), or a function from an
            ``fx.Node`` to nanoseconds.
        plan: A plan to run instead of solving: a ``TorchPlan``, ``Plan`` or ``Schedule`` made for this step's graph,
            or a function that makes a schedule for a graph.
        cache: Where plans are looked up and kept: a folder, True for the default one (``$HCP_CACHE``, else ``hcp`` in
            the user's cache folder), or False for this process' memory only.
        seed: For planners that draw random numbers.
        fallback: What a call does that cannot run planned: ``"error"``, or ``"warn"`` and run unplanned.
        quiet: Whether to say nothing on stderr when planning.
        monitor: Called with the progress of planning, which is then not shown on a terminal.
        host: Where given, the plan may move values to the host's memory and back: a bandwidth such as ``"12GiB/s"``,
            ``"measured"`` for that of this machine (measured once and cached), ``"overlapped"`` for that of copies
            that run beside the computation, or a ``hcp.HostLink``.
        compiler: ``"aot_eager"`` runs the plan operation by operation, with the peak it promised to the byte;
            ``"inductor"`` has Inductor compile it, and keeps the measured peak of the compiled program within the
            budget. A percentage is then of what the program takes that Inductor makes without a plan.
        mode: For Inductor, as ``torch.compile`` takes it.
        options: For Inductor, as ``torch.compile`` takes them.
        dynamic: None captures sizes that turn out to differ between calls once for all, and takes the plan over to
            other sizes where it keeps the budget; False captures and plans every shape by itself, as is always done
            with Inductor.
        max_length: The longest sequences to come, where lengths differ: the first call is captured for any length, and
            planned for this one. The length is the second size of the first input that has two or more.
        optimizer_in_backward: Whether hooks that parameters got by ``register_post_accumulate_grad_hook`` before the
            first call, which step an optimizer and let go of the gradient, run as soon as the gradient is there and
            the parameter was read for the last time; else autograd calls them after the backward. What they take for a
            while is planned for up to twice the parameter.

    Returns:
        The same module; for a function, what runs it planned.

    Raises:
        HcpError: On anything but a module that is not compiled or a function that calls such, a bad option, an untested
            PyTorch, or with neither budget nor plan.
    """
    check_version()
    step = module_of(module, "checkpoint")
    request = TorchRequest(
        budget=None if isinstance(budget, Total) else budget,
        total=budget if isinstance(budget, Total) else None,
        solver=solver,
        time_limit=time_limit,
        cost=cost,
        plan=plan,
        cache=cache,
        seed=seed,
        fallback=fallback,
        quiet=quiet,
        monitor=monitor,
        host=host,
        compiler=compiler,
        mode=mode,
        options=options,
        dynamic=dynamic,
        max_length=max_length,
        optimizer_in_backward=optimizer_in_backward,
    )
    attach(step, request)
    return cast(M, PlannedFunction(step) if isinstance(step, FunctionStep) else step)


def plan_of(module: Callable[..., Any]) -> list[TorchPlan]:
    """The plans in force for a module from its next call on, in the order in which its calls asked for them.

    A search that waits until it was seen what the program does between forward and backward is made now.

    Args:
        module: What ``checkpoint`` prepared, or what holds it, such as DistributedDataParallel.

    Raises:
        TorchError: If it was not prepared by ``checkpoint``, or has not been called in training yet.
    """
    executor = executor_of(module.step if isinstance(module, PlannedFunction) else module)
    executor.settle(unseen=True)
    plans = executor.plans
    if not plans:
        name = executor.name if isinstance(module, PlannedFunction) else type(module).__name__
        raise TorchError(f"{name} has no plan yet; call it once in training mode first")
    return list(plans)


def plan_for(
    module: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any] | None = None,
    *,
    budget: int | str | Total,
    solver: str | Planner = "auto",
    time_limit: float = TIME_LIMIT,
    cost: Cost = "roofline",
    cache: CacheOption = True,
    seed: int = 0,
    quiet: bool = False,
    monitor: Monitor = ignore,
    host: Host = None,
    compiler: Compiler = "aot_eager",
    mode: str | None = None,
    options: Mapping[str, Any] | None = None,
    optimizer_in_backward: bool = False,
) -> TorchPlan:
    """Plans the training step of ``module(*args, **kwargs)``; the module is neither run nor changed.

    It may be on the meta device, as ``capture_graph`` says. The plan can be given to ``checkpoint(module, plan=...)``.
    The options are those of ``checkpoint``. With Inductor, the step is compiled as well, and run to be measured,
    which leaves nothing changed.

    Raises:
        HcpError: If the step cannot be captured as one graph, or no plan meets the budget.
    """
    request = TorchRequest(
        budget=None if isinstance(budget, Total) else budget,
        total=budget if isinstance(budget, Total) else None,
        solver=solver,
        time_limit=time_limit,
        cost=cost,
        cache=cache,
        seed=seed,
        quiet=quiet,
        monitor=monitor,
        host=host,
        compiler=compiler,
        mode=mode,
        options=options,
        optimizer_in_backward=optimizer_in_backward,
    )
    check_version()
    step = module_of(module, "plan_for")
    executor = TorchExecutor(type(step).__name__, request, called_with=(args, dict(kwargs or {})))
    executor.look_at(step)
    if compiler == "inductor":
        plan: TorchPlan = inductor().fused_plan(executor, step, args, dict(kwargs or {}))
        return plan
    lowered = _lowered(step, args, kwargs, "plan_for", cost=cost, cache=cache, taken=executor.taken)
    return executor.plan_graph(lowered.graph, device_of(lowered.program.joint.primals))


def backend(
    budget: int | str | None = None,
    *,
    solver: str | Planner = "auto",
    time_limit: float = TIME_LIMIT,
    cost: Cost = "roofline",
    plan: GivenPlan | None = None,
    cache: CacheOption = True,
    seed: int = 0,
    quiet: bool = False,
    monitor: Monitor = ignore,
    host: Host = None,
    compiler: Compiler = "aot_eager",
) -> "Backend":
    """A backend for ``torch.compile(model, backend=..., fullgraph=True, dynamic=False)``.

    Every graph that is compiled is planned within the budget by itself, so that a model which breaks into several
    holds the sum of their peaks: hence ``fullgraph=True``. The options are those of ``checkpoint``.

    Raises:
        HcpError: On a bad option, an untested PyTorch, or with neither budget nor plan.
    """
    check_version()
    request = TorchRequest(
        budget=budget,
        solver=solver,
        time_limit=time_limit,
        cost=cost,
        plan=plan,
        cache=cache,
        seed=seed,
        quiet=quiet,
        monitor=monitor,
        host=host,
        compiler=compiler,
    )
    return Backend(request)


class Backend:
    """What ``backend`` returns."""

    def __init__(self, request: TorchRequest) -> None:
        self._executor = TorchExecutor("compiled", request)
        self._compile = backend_of(self._executor)

    @property
    def plans(self) -> list[TorchPlan]:
        """The plans in force, one a compiled graph that needs gradients, in the order of compilation."""
        return list(self._executor.plans)

    def __call__(self, module: Any, inputs: Any, **options: Any) -> Any:  # noqa: ANN401 - as torch.compile calls it
        """Compiles a graph that Dynamo captured; a mode and options of Inductor's are for it alone."""
        if self._executor.request.compiler != "inductor":
            if options:
                raise TorchError(
                    f"torch.compile was given {' and '.join(sorted(options))}, which only Inductor takes; "
                    "give backend(..., compiler='inductor') as well, or neither of them"
                )
            return self._compile(module, inputs)
        return self._compile(module, inputs, **options)


def capture_graph(
    module: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any] | None = None,
    *,
    cost: Cost = "roofline",
    cache: CacheOption = False,
    compiler: Compiler = "aot_eager",
    mode: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> Graph:
    """The training step of ``module(*args, **kwargs)`` as an hcp graph; the module is neither run nor changed.

    Where the module or its inputs hold no memory, being on the meta device or fake, what operations return is told by
    rule, as on the CPU, and the workspace of kernels is not counted. Measured costs are taken from the cache and kept
    there; by default they are measured now.

    Args:
        module: As for ``checkpoint``.
        args: Of the call.
        kwargs: Of the call.
        cost: As for ``checkpoint``.
        cache: Where measured costs are kept, as for ``checkpoint``.
        compiler: ``"aot_eager"`` for a graph of operations, ``"inductor"`` for one of the kernels to be expected.
        mode: As for ``checkpoint``.
        options: As for ``checkpoint``.

    Raises:
        TorchError: If the step cannot be captured as one graph, or nothing in it needs a gradient.
    """
    check_version()
    step = module_of(module, "capture_graph")
    if compiler == "inductor":
        request = TorchRequest(budget=1, cost=cost, cache=cache, compiler=compiler, mode=mode, options=options)
        executor = TorchExecutor(type(step).__name__, request)
        graph: Graph = inductor().fused_graph(executor, step, args, dict(kwargs or {}))
        return graph
    check_cost(cost)
    return _lowered(step, args, kwargs, "capture_graph", cost=cost, cache=cache).graph


def _lowered(
    module: nn.Module,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any] | None,
    function: str,
    *,
    cost: Cost,
    cache: CacheOption,
    taken: frozenset[str] = frozenset(),
) -> Lowered:
    """A captured step; where a module or its inputs hold no memory, by rule."""
    joint, real = captured_step(module, (args, dict(kwargs or {})), function, cost)
    return lower_joint(joint, cost, type(module).__name__, cache, run=real, taken=taken)


def captured_step(
    module: nn.Module, given: tuple[tuple[Any, ...], dict[str, Any]], function: str, cost: Cost
) -> tuple[Joint, bool]:
    """The joint graph of a call, and whether the module and what it is given hold memory.

    Args:
        module: What is called.
        given: Positional and keyword arguments.
        function: Of hcp's, that was given them.
        cost: As for ``checkpoint``.

    Raises:
        TorchError: If it cannot be captured, or cannot without memory.
    """
    name, real = type(module).__name__, holds_memory(module, given)
    if not real:
        if cost == "measured":
            raise TorchError(
                f"{function}() got {name!r} without memory, and cost 'measured' times operations; give 'roofline' or "
                "'calibrated'"
            )
        if isinstance(module, FunctionStep):
            raise TorchError(
                f"{function}() got function {name!r} and tensors without memory; give it a module that returns the loss"
            )
        module, given = faked(module, given)
    return trace(module, *given), real
