"""Host links as people write them: a bandwidth."""

import re
from fractions import Fraction
from typing import Final

from hcp.graph.errors import HcpError
from hcp.graph.ir import Graph
from hcp.schedule.budget import UNITS
from hcp.schedule.host import PER, HostLink

_RATE: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*(/\s*s)?\s*", re.ASCII)


def parse_link(host: HostLink | str, graph: Graph) -> HostLink:
    """The link that a bandwidth stands for, the same both ways and without latency.

    Args:
        host: A link, or a bandwidth: a size a second such as ``"12GiB/s"`` where the graph's cost is in nanoseconds, or
            a number of bytes moved in one unit of the graph's cost, such as ``"0.5"``.
        graph: Says what its costs count.

    Raises:
        HcpError: On anything else, and on a bandwidth of zero.
    """
    if isinstance(host, HostLink):
        return host
    match = _RATE.fullmatch(host) if isinstance(host, str) else None
    if match is None or (match[3] is None and match[2]) or (match[3] is not None and match[2] not in UNITS):
        raise HcpError(
            f"host bandwidth {host!r} is not understood; give a size a second such as '12GiB/s', or the bytes that are "
            "moved in one unit of the graph's cost, such as '0.5'"
        )
    if match[3] is not None and graph.cost_unit != "ns":
        raise HcpError(
            f"host bandwidth {host!r} is in seconds, but the costs of graph {graph.name!r} are in {graph.cost_unit}; "
            "give the bytes that are moved in one unit of cost, such as '0.5'"
        )
    rate = int(Fraction(match[1]) * (PER if match[3] is None else UNITS[match[2]]))
    if rate < 1:
        raise HcpError(f"host bandwidth {host!r} moves nothing; give more than zero")
    return HostLink(rate, rate)
