"""Certificates that this hcp cannot check: of a kind or a version that it does not know, or too large."""

import json
from dataclasses import dataclass
from typing import Any, ClassVar

from hcp.graph.ir import Graph
from hcp.planning.checks import BeyondLimit
from hcp.planning.solution import Quantity
from hcp.schedule.scopes import ORDER_FREE


@dataclass(frozen=True)
class UnknownCertificate:
    """Stands for a certificate, which may be right: its bound is neither proved nor wrong.

    Attributes:
        of: What its bound is of.
        reason: Why it was not checked.
        content: What the file holds, as JSON.
    """

    scope: ClassVar[str] = ORDER_FREE
    any_host: ClassVar[bool] = True
    of: Quantity
    reason: str
    content: str

    def proven(self, graph: Graph, budget: int) -> int:  # noqa: ARG002 - the same of every graph and budget
        """Never says what is proved.

        Raises:
            BeyondLimit: Always.
        """
        raise BeyondLimit(self.reason)

    def to_dict(self, graph: Graph) -> dict[str, Any]:  # noqa: ARG002 - says the same of every graph
        """What the file holds."""
        found: dict[str, Any] = json.loads(self.content)
        return found
