"""Of which schedules a bound speaks."""

import re
from typing import Final

ORDER_FREE: Final = "order-free"
FIXED_ORDER: Final = "fixed-order"

_WITHIN_COST: Final = re.compile(rf"{ORDER_FREE}, cost <= (0|[1-9][0-9]{{0,18}})")


def within_cost(limit: int) -> str:
    """The scope of all schedules, in any order, that cost no more than a limit."""
    return f"{ORDER_FREE}, cost <= {limit}"


def speaks_of(scope: str, cost: int, in_order: bool) -> bool:
    """Whether bounds of a scope hold for a schedule of some cost, whose first executions follow the order or do not."""
    within = _WITHIN_COST.fullmatch(scope)
    return scope == ORDER_FREE or (scope == FIXED_ORDER and in_order) or (within is not None and cost <= int(within[1]))
