"""The version of hcp, which stored plans and results carry."""

from typing import Final

__version__: Final = "0.1.0"
