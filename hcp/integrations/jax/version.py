"""The versions of JAX that hcp was tested with; another one is refused, not guessed at."""

import os
from typing import Final

import jax

from hcp.integrations.jax.errors import JaxVersionError

# The first version that works and the first that was not seen; tests ran with 0.10.2 alone.
OLDEST: Final = (0, 10)
BELOW: Final = (0, 11)
# Set to 1, this environment variable lets other versions run all the same: for those who test one.
UNTESTED: Final = "HCP_UNTESTED_JAX"


def check_version() -> None:
    """Refuses versions of JAX that were not tested.

    Raises:
        JaxVersionError: If the installed version is out of range.
    """
    major, minor = (int(part) for part in jax.__version__.split(".")[:2])
    if not OLDEST <= (major, minor) < BELOW and os.environ.get(UNTESTED) != "1":
        low, high = (".".join(map(str, version)) for version in (OLDEST, BELOW))
        raise JaxVersionError(
            f"JAX {jax.__version__} is not among the versions tested with hcp, those from {low} and below {high}; "
            f"install one of them: pip install 'jax>={low},<{high}'"
        )
