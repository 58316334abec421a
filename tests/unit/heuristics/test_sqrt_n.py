"""Equal segments on a uniform chain."""

from hcp.graph.instances import training_chain
from hcp.heuristics.sqrt_n import SqrtN
from hcp.planning.problem import Problem
from hcp.schedule.replay import replay


def test_sqrt_n_on_a_uniform_chain():
    graph = training_chain(100)
    usage = replay(graph, SqrtN(segments=10)(Problem(graph, 10**6)).schedule)
    # Nine checkpoints and one segment of ten, with two gradients and the value being made beside.
    assert usage.peak <= 9 + 10 + 3
    # The rise is the forward pass and the first backward node. The 91 forward nodes before its last segment run twice,
    # but for the nine checkpoints.
    assert usage.cost == graph.base_cost + 91 - 9
