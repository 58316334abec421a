"""Of which schedules a bound speaks."""

from typing import Final

ORDER_FREE: Final = "order-free"
FIXED_ORDER: Final = "fixed-order"
