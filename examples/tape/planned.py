"""The drop-in: a training step that keeps a budget."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from examples.tape.callbacks import run_by_callbacks
from examples.tape.capture import Model, Step, capture
from examples.tape.emit import emit
from examples.tape.framework import Array, Shape, run
from examples.tape.request import TapeRequest
from hcp import HcpError
from hcp.integrations.planned import Planned
from hcp.integrations.planning import allow_unplanned, plan_step

Arrays = Mapping[str, Array]
# Loss, and gradients by parameter.
Results = tuple[Array, dict[str, Array]]


def planned(
    model: Model,
    budget: int | str | None = None,
    **options: Any,  # noqa: ANN401 - TapeRequest names and checks them
) -> "PlannedModel":
    """A function from parameters and batch to the loss and the gradients, within a budget.

    Args:
        model: Notes the forward pass.
        budget: Most bytes of a forward and backward above parameters and batch.
        **options: See ``TapeRequest``.

    Raises:
        HcpError: On a bad option; at the first call with given shapes, if no plan keeps the budget.
    """
    return PlannedModel(model, TapeRequest(budget=budget, **options))


@dataclass
class PlannedModel:
    """What ``planned`` returns.

    Attributes:
        plans: One a variant of shapes, in the order in which calls asked for them.
    """

    model: Model
    request: TapeRequest
    plans: list[Planned] = field(default_factory=list)
    _runs: dict[Any, Callable[[Arrays], Results]] = field(default_factory=dict, repr=False)

    def __call__(self, parameters: Arrays, batch: Arrays) -> Results:
        """Captures and plans at the first call with given shapes; every call then runs the plan."""
        shapes = _shapes(parameters), _shapes(batch)
        key = tuple(tuple(part.items()) for part in shapes)
        if key not in self._runs:
            step = capture(self.model, *shapes, "tape step")
            self._runs[key] = self._prepared(step, ", ".join(map(str, shapes[1].values())))
        return self._runs[key]({**parameters, **batch})

    def _prepared(self, step: Step, inputs: str) -> Callable[[Arrays], Results]:
        try:
            plan = plan_step(step.graph, self.request, inputs=inputs).plan
        except HcpError as error:
            allow_unplanned(self.request, error, f"the step runs unplanned: {error}", stacklevel=4)
            return partial(run_unplanned, step)
        self.plans.append(Planned(plan))
        assert plan.schedule is not None
        inner = emit(step, plan.schedule) if self.request.compiled else partial(run_by_callbacks, step, plan)
        return lambda sources: _results(step, inner(sources))


def run_unplanned(step: Step, sources: Arrays) -> Results:
    """The framework's own way: everything is kept."""
    return _results(step, run(step.tape, sources, (step.loss, *step.gradients.values())))


def _shapes(part: Arrays) -> Mapping[str, Shape]:
    return {name: array.shape for name, array in part.items()}


def _results(step: Step, made: Arrays) -> Results:
    return made[step.loss], {name: made[gradient] for name, gradient in step.gradients.items()}
