"""What the certificates that speak of all schedules within a budget have in common."""

from dataclasses import dataclass

from hcp.planning.solution import Quantity
from hcp.schedule.scopes import ORDER_FREE


@dataclass(frozen=True, kw_only=True)
class BudgetCertificate:
    """Bounds the cost of schedules within a budget, or shows that there are none.

    Attributes:
        budget: Bytes; a bound on the cost holds for every budget up to it.
        of_peak: Whether it is shown that no schedule meets ``budget``, so that the peak is at least one byte more.
    """

    budget: int
    of_peak: bool = False

    @property
    def of(self) -> Quantity:
        """What is bounded."""
        return "peak" if self.of_peak else "cost"

    @property
    def scope(self) -> str:
        """Of which schedules it speaks; of every one unless a subclass says otherwise."""
        return ORDER_FREE

    def speaks_of(self, budget: int) -> bool:
        """Whether it proves something where schedules have a budget."""
        return self.of_peak or budget <= self.budget
