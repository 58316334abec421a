"""The versions of PyTorch that hcp was tested with; another one is refused, not guessed at."""

from typing import Final

import torch

from hcp.integrations.torch.errors import TorchVersionError

OLDEST: Final = (2, 11)
NEWEST: Final = (2, 13)


def check_version() -> None:
    """Refuses versions of PyTorch that were not tested.

    Raises:
        TorchVersionError: If the installed version is out of range.
    """
    major, minor = (int(part) for part in torch.__version__.split(".")[:2])
    if not OLDEST <= (major, minor) <= NEWEST:
        low, high = (".".join(map(str, version)) for version in (OLDEST, NEWEST))
        raise TorchVersionError(
            f"PyTorch {torch.__version__} is not among the versions tested with hcp; install one from {low} to {high}"
        )
