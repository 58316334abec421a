"""The programme for checkpoints of an interval tree against every choice there is."""

from itertools import accumulate, compress, product

from hypothesis import given, settings
from hypothesis import strategies as st

from hcp.heuristics.interval_policy import BlockFigures, select_checkpoints
from tests.effort import examples

amounts = st.integers(0, 6)


@st.composite
def figures(draw):
    blocks = draw(st.integers(1, 6))

    def drawn(numbers=amounts):
        return tuple(draw(st.lists(numbers, min_size=blocks, max_size=blocks)))

    frontier = (0, *drawn())[:blocks]
    widest = tuple(max(pair) for pair in zip(frontier, drawn(), strict=True))
    return BlockFigures(drawn(st.integers(1, 9)), frontier, widest, drawn(), draw(amounts))


def midpoints(low, high):
    """The inner nodes of the tree over blocks low..high-1."""
    if high - low > 1:
        middle = (low + high) // 2
        yield low, high
        yield from midpoints(low, middle)
        yield from midpoints(middle, high)


def cost_of(each, held, memory):
    """What the definition says a choice of held midpoints costs; None where it does not fit."""
    blocks = len(each.cost)
    advance = [0, *accumulate(each.cost)]

    def serve(low, high, start, left):
        if high - low == 1:
            if max(each.widest[start : low + 1]) + each.made[low] > left:
                return None
            return 0 if high == blocks else advance[high] - advance[start]
        middle = (low + high) // 2
        keep = (low, high) in held
        room = left - each.frontier[middle] if keep else left
        parts = serve(middle, high, middle if keep else start, room), serve(low, middle, start, left)
        way = advance[middle] - advance[start] if keep and high != blocks else 0
        return None if room < 0 or None in parts else way + sum(parts)

    return serve(0, blocks, 0, memory)


def checkpoints_of(each, held):
    """Per block, the midpoints on its path that a choice holds while the block is served: those at or before it."""
    blocks = len(each.cost)

    def walk(low, high, cuts):
        if high - low == 1:
            return [cuts]
        middle = (low + high) // 2
        right = (*cuts, middle) if (low, high) in held else cuts
        return [*walk(low, middle, cuts), *walk(middle, high, right)]

    return walk(0, blocks, ())


@settings(max_examples=examples(300), deadline=None)
@given(figures(), st.integers(0, 40))
def test_the_choice_is_the_cheapest_that_fits(each, budget):
    nodes = list(midpoints(0, len(each.cost)))
    costs = {}
    for kept in product((False, True), repeat=len(nodes)):
        held = set(compress(nodes, kept))
        cost = cost_of(each, held, budget - each.fixed) if budget >= each.fixed else None
        if cost is not None:
            key = tuple(checkpoints_of(each, held))
            costs[key] = min(cost, costs.get(key, cost))
    found = select_checkpoints(each, budget)
    if not costs:
        assert found is None
    else:
        assert costs[tuple(found)] == min(costs.values())
