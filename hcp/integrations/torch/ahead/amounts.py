"""What people write for all the memory of a training, and for the part of it that is not counted."""

from hcp.integrations.torch.errors import TorchError
from hcp.schedule.budget import is_share, parse_budget


def total_bytes(total: int | str) -> int:
    """Bytes, or a size.

    Raises:
        BudgetError: If it is not understood.
        TorchError: If it is a percentage.
    """
    if is_share(total):
        raise TorchError(f"total {total!r} is not understood; give bytes, or a size such as '60GiB'")
    return parse_budget(total, None)


def reserve_bytes(reserve: int | str, whole: int) -> int:
    """Bytes, a size or a percentage of the whole; unlike a budget it may be zero.

    Raises:
        BudgetError: If it is not understood.
    """
    return 0 if reserve in (0, "0") else parse_budget(reserve, None, whole)
