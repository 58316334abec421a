"""What a drawing of a schedule points out."""

from hcp.graph.instances import training_chain
from hcp.heuristics.sqrt_n import SqrtN
from hcp.planning.problem import Problem
from hcp.report.show import plan_marks
from hcp.schedule.actions import keep_everything


def test_the_marks_of_a_plan():
    graph = training_chain(16)
    kept = plan_marks(graph, keep_everything(graph))
    # At the peak the first backward node runs: all forward values are live.
    assert kept.frontier == {f"v{i}" for i in range(16)}
    assert not kept.checkpoints
    assert not kept.recomputed
    planned = plan_marks(graph, SqrtN(segments=4)(Problem(graph, 100)).schedule)
    assert {"v4", "v8"} <= planned.checkpoints
    assert "v1" in planned.recomputed
    assert not planned.checkpoints & set(planned.recomputed)
