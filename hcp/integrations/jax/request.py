"""How a function's gradients are planned: the shared options, and whether the compiled program is measured."""

from dataclasses import dataclass
from typing import ClassVar

from hcp.integrations.devices import Device
from hcp.integrations.jax.errors import ExecutionError, JaxError, UnreachableBudget
from hcp.integrations.request import Errors, Request
from hcp.planning.plan import Plan


@dataclass(frozen=True, kw_only=True)
class JaxRequest(Request):
    """The options of ``value_and_grad``, which explains each; the budget is for temporary and output memory.

    Attributes:
        measure: Whether to compile and plan again until the compiled program keeps the budget.
        device: What to plan for, if not for the devices at hand; nothing is compiled then.

    Raises:
        JaxError: If an option is not understood, or there is neither a budget nor a plan.
    """

    errors: ClassVar[Errors] = Errors(JaxError, ExecutionError, UnreachableBudget)

    measure: bool = True
    device: Device | None = None

    def remedy(self, plan: Plan) -> str:
        """What helps where a planner found no schedule; the least that one holds is not what a program takes."""
        return plan.status.remedy
