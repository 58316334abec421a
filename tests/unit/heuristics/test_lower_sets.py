"""The programme over lower sets against its own definition, by trying every sequence on small graphs."""

from hypothesis import given, settings
from hypothesis import strategies as st

from hcp.graph.instances import training_chain
from hcp.heuristics.lower_set_programme import Forward, LowerSetProgramme, ancestor_sets, every_lower_set
from hcp.heuristics.lower_sets import LowerSets, canonical_strategy, forward_pass
from hcp.heuristics.segments import Walk
from hcp.planning.problem import Problem
from hcp.schedule.replay import replay
from tests.effort import examples

# Two nodes that both read the first, and one that reads both.
DIAMOND = Forward(((), (0,), (0,), (1, 2)), (1, 2, 3, 4), (5, 6, 7, 8))


@st.composite
def forwards(draw):
    n = draw(st.integers(1, 5))
    amounts = st.lists(st.integers(0, 5), min_size=n, max_size=n)
    reads = [draw(st.sets(st.integers(0, v - 1))) if v else () for v in range(n)]
    return Forward(tuple(tuple(sorted(row)) for row in reads), tuple(draw(amounts)), tuple(draw(amounts)))


def sequences(family, everything):
    """Every increasing sequence of members that ends with all."""
    stack = [()]
    while stack:
        sequence = stack.pop()
        last = sequence[-1] if sequence else 0
        if last == everything:
            yield sequence
        stack += [(*sequence, lower) for lower in family if lower != last and not last & ~lower]


def test_the_definition_on_a_diamond():
    assert sorted(every_lower_set(DIAMOND, None)) == [0b1, 0b11, 0b101, 0b111, 0b1111]
    assert ancestor_sets(DIAMOND) == [0b1, 0b11, 0b101, 0b1111]
    assert every_lower_set(DIAMOND, 4) is None
    assert DIAMOND.boundary(0b11) == 0b11
    sequence = (0b11, 0b1111)
    # Nodes 0 and 1 are cached; 2 and 3 are computed again.
    assert DIAMOND.overhead(sequence) == 3 + 4
    # First segment: 2 (5 + 6), gradients of 2 and 3, values of 2 (which 3 reads). Second: cache 11, 2 (7 + 8).
    assert DIAMOND.peak(sequence) == max(22 + 7 + 8 + 7, 11 + 30)


@settings(max_examples=examples(150), deadline=None)
@given(forwards(), st.booleans())
def test_the_programme_equals_its_definition(forward, exact):
    everything = (1 << forward.n) - 1
    family = every_lower_set(forward, None) if exact else ancestor_sets(forward)
    programme = LowerSetProgramme(forward, family, levels=10**6)
    known = [(forward.peak(s), forward.overhead(s)) for s in sequences({*family, everything}, everything)]
    for limit in sorted({peak + shift for peak, _ in known for shift in (-1, 0)}):
        found = programme.solve(limit)
        least = min((overhead for peak, overhead in known if peak <= limit), default=None)
        assert (found is None) == (least is None)
        if found is not None:
            assert forward.peak(found) <= limit
            assert forward.overhead(found) == least
    assert programme.limits[0] <= min(peak for peak, _ in known)
    assert programme.solve(programme.limits[1]) is not None


def test_canonical_strategies_run_what_the_definition_says():
    graph = training_chain(9)
    walk = Walk(graph, graph.order)
    forward = forward_pass(walk)
    # The rise is the nine forward nodes and the first backward node.
    sequence = (0b111, 0b111111, (1 << 10) - 1)
    usages = [replay(graph, schedule) for schedule in canonical_strategy(walk, sequence)]
    # All but the two boundaries and the last segment is run again.
    assert all(set(usage.recomputed) == {"v0", "v1", "v3", "v4"} for usage in usages)
    assert forward.overhead(sequence) == 4 + (3 + 2)


def test_a_fixed_order_restricts_the_family():
    graph = training_chain(20)
    free = LowerSets()(Problem(graph, 14)).schedule
    fixed = LowerSets()(Problem(graph, 14, order=graph.order)).schedule
    assert replay(graph, fixed).cost == replay(graph, free).cost
