"""When planned steps started, and a picture that is whole or not there."""

import pytest

pytest.importorskip("torch")
pytest.importorskip("matplotlib")

from hcp.graph.errors import HcpError
from hcp.graph.ir import Graph, Node, Value
from hcp.integrations.torch.demo.picture import Executed, _starts, plot_execution
from hcp.integrations.torch.measure import Memory
from hcp.planning.plan import judge
from hcp.planning.problem import Problem
from hcp.planning.solution import Solution, Status
from hcp.schedule.actions import Schedule


@pytest.fixture
def plan():
    nodes = (
        Node("a", "aten.mm.default", (), (Value("x", 4),), cost=3),
        Node("state", "save_state", ("x",), (Value("s", 1),), cost=1),
        Node("b", "aten.relu.default", ("x", "s"), (Value("y", 4),), cost=2),
        Node("c", "aten.mm.default", ("x", "y"), (Value("z", 4, resident=True),), cost=3),
    )
    graph = Graph(nodes)
    schedule = Schedule.from_computes(graph, ["a", "state", "b", "a", "c"])
    return judge(Problem(graph, 20), Solution(schedule, Status.FEASIBLE))


def memory(*operations):
    return Memory((100, 900), (4, 0), {}, operations)


def test_steps_start_where_their_operations_ran_in_order(plan):
    ran = memory(("mm", 110), ("empty", 120), ("relu", 200), ("mm", 300), ("mm", 400))
    # Saving a random state is no ATen operation: it starts with the one before it.
    assert _starts(plan, ran) == [110, 110, 200, 300, 400]


def test_steps_that_were_not_seen_keep_the_clock_from_going_back(plan):
    starts = _starts(plan, memory(("mm", 110), ("relu", 200)))
    assert starts == sorted(starts)
    assert _starts(plan, memory()) == [100] * 5


def drawn(path, plan):
    ran = memory(("mm", 110), ("relu", 200), ("mm", 300), ("mm", 400))
    way = {"eager": Executed(2**20, 0.1)}
    plot_execution(path, plan=plan, measured=ran, curve=[(8, 0.1), (4, 0.2)], rows={"anneal": (8, 0.1)}, executed=way)


def test_the_picture_is_whole_or_not_there(plan, tmp_path):
    drawn(tmp_path / "demo.png", plan)
    assert (tmp_path / "demo.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(HcpError, match="give an image file"):
        drawn(tmp_path / "demo.txt", plan)
    assert [path.name for path in tmp_path.iterdir()] == ["demo.png"]
