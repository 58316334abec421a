"""Plans of all kinds for the tests of what shows them."""

from functools import cache

import hcp
from hcp.graph.instances import transformer, unet
from hcp.planning.plan import Plan, judge
from hcp.planning.problem import Problem
from hcp.planning.solution import Solution, Status
from hcp.schedule.actions import Schedule
from hcp.schedule.host import HostLink
from tests.transfers import random_transfers

KINDS = ("recomputing", "waiting", "overlapped", "engines", "hostile")

# What would end an element, be taken for a placeholder or a tag, or break a line.
HOSTILE = ("</script><img src=x onerror=alert(1)>", "a\nb\u2028c", "<!-- <b>bold</b> & $title ${data}", "\ud800'\"\\")


@cache
def plan_of(kind: str) -> Plan:
    """A small plan; "waiting" and "overlapped" ones move values to the host, and engines run beside the computation."""
    if kind == "hostile":
        return hostile_plan()
    graph = transformer(2) if kind == "engines" else unet(3)
    if kind == "engines":
        graph = hcp.on_engines(graph, {"*down*": "other"})
    moving = kind in ("waiting", "overlapped")
    host = HostLink(10**9, 10**9, overlap=kind == "overlapped") if moving else None
    schedule = random_transfers(graph, 3, offload=0.5 if moving else 0)
    usage = hcp.replay(graph, schedule, host)
    return judge(Problem(graph, usage.peak, host=host), Solution(schedule, Status.FEASIBLE, planner="random"))


def hostile_plan() -> Plan:
    """One whose graph has names that do harm where they are taken for code; its first node runs twice."""
    nodes = []
    for i, name in enumerate(HOSTILE):
        before = (HOSTILE[i - 1],) if i else ()
        value = hcp.Value(name, 10 + i)
        nodes.append(hcp.Node(name, name, before, (value,), cost=1, source=f"{name}.3: {name}.py:{i + 1}"))
    nodes.append(hcp.Node("last", inputs=HOSTILE[:1]))
    graph = hcp.Graph(tuple(nodes), name=HOSTILE[0] + HOSTILE[3])
    schedule = Schedule.from_computes(graph, [*HOSTILE, HOSTILE[0], "last"])
    peak = hcp.replay(graph, schedule).peak
    return judge(Problem(graph, peak), Solution(schedule, Status.FEASIBLE, planner=HOSTILE[0]))
