"""Values of multipliers against all points of small models, and the bytes that hold them."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hcp.graph.instances import instance
from hcp.schedule.actions import keep_everything
from hcp.schedule.replay import replay
from hcp.solvers.cut_relaxation.chains import candidate_chains
from hcp.solvers.cut_relaxation.model import build_cut_model
from hcp.solvers.tree.box import Branch, whole_box
from hcp.solvers.tree.encoding import Damaged, Reader, Writer
from hcp.solvers.tree.evaluation import Evaluator, Multipliers
from hcp.solvers.tree.sums import RunSum, run_sums
from tests.effort import examples
from tests.strategies import seeded_graphs


@settings(max_examples=examples(200), deadline=None)
@given(seeded_graphs(), st.integers(0, 2**32))
def test_no_point_of_a_box_is_below_its_value(graph, seed):
    random = np.random.default_rng(seed)
    budget = max(1, replay(graph, keep_everything(graph)).peak * int(random.integers(5, 10)) // 10)
    form = build_cut_model(graph.index, budget, candidate_chains(graph, (4, 8))[0])
    model, sums = form.model, run_sums(form.grid)
    evaluator = Evaluator(model, form.grid, sums)
    rows, columns = model.shape
    box = whole_box(columns, len(sums))
    for _ in range(int(random.integers(0, 4))):
        upper = bool(random.integers(2))
        if sums and random.integers(2):
            branch = Branch(int(random.integers(len(sums))), of_sum=True, at=int(random.integers(0, 3)))
        else:
            branch = Branch(int(random.integers(columns)))
        box = box.half(branch, upper=upper)
    y = np.where(random.random(rows) < 0.3, random.random(rows) * 10.0 ** random.integers(-3, 3), 0.0)
    w = np.where(random.random(len(sums)) < 0.3, random.normal(size=len(sums)), 0.0)
    multipliers = evaluator.rounded(y, w, int(random.integers(2, 40)))
    value, empty = evaluator.value(multipliers, box), evaluator.value(multipliers, box, with_cost=False)
    fixed = evaluator.fixed(multipliers, box, int(graph.base_cost + random.integers(0, 5)))
    members = [each.columns(form.grid) for each in sums]
    for point in _points(box, random):
        inside = (model.matrix @ point <= model.rhs).all() and all(
            box.least[k] <= point[members[k]].sum() + each.constant(form.grid) <= box.most[k]
            for k, each in enumerate(sums)
        )
        if inside:
            cost = int(model.cost @ point) + model.constant
            assert value is None or value.numerator <= cost << value.digits
            assert value is None or value.least_cost(1) <= cost
            assert empty is None or empty.numerator <= 0
            if fixed is not None and cost <= graph.base_cost:
                whole = np.arange(columns) < form.grid.count
                assert ((fixed.low <= point) & (point <= fixed.high))[whole].all()


def _points(box, random):
    """All points of a box of few columns, else random ones."""
    free = np.flatnonzero(box.low < box.high)
    every = product((0, 1), repeat=len(free)) if len(free) <= 10 else random.integers(0, 2, (500, len(free)))
    for bits in every:
        point = box.low.astype(np.int64)
        point[free] = bits
        if (point <= box.high).all():
            yield point


def test_sums_that_are_none_are_refused():
    graph = instance("unet:2")
    grid = build_cut_model(graph.index, 500, candidate_chains(graph, (4, 8))[0]).grid
    good = run_sums(grid)[0]
    assert good.is_valid(grid)
    once = int(np.flatnonzero(grid.once)[0])
    for nodes in ((), (good.nodes[0], good.nodes[0]), (-1,), (graph.index.n,), (once,)):
        assert not RunSum(nodes).is_valid(grid)


WHOLE = st.integers(-(2**80), 2**80)
PAIRS = st.dictionaries(st.integers(0, 40), st.integers(1, 2**60), max_size=8)


@settings(max_examples=examples(200))
@given(st.lists(WHOLE), st.lists(st.tuples(st.integers(0, 90), PAIRS, PAIRS, st.booleans()), max_size=6))
def test_what_was_written_is_read(numbers, vectors):
    vectors = [
        Multipliers(
            shift,
            tuple(sorted(rows.items())),
            tuple((k, -numerator if below else numerator) for k, numerator in sorted(sums.items())),
        )
        for shift, rows, sums, below in vectors
    ]
    writer = Writer(41)
    for number in numbers:
        writer.number(number)
    for vector in vectors:
        writer.multipliers(vector)
    reader = Reader(bytes(writer.content), 41, 41)
    assert [reader.number() for _ in numbers] == numbers
    for vector in vectors:
        read = reader.multipliers()
        assert (read.shift, dict(read.rows), dict(read.sums)) == (vector.shift, dict(vector.rows), dict(vector.sums))
    assert reader.done
    with pytest.raises(Damaged):
        reader.number()


@settings(max_examples=examples(200))
@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(content):
    reader = Reader(content, 3, 3)
    try:
        while not reader.done:
            found = reader.multipliers()
            assert all(numerator > 0 and 0 <= row < 3 for row, numerator in found.rows)
            assert all(0 <= each < 3 for each, _ in found.sums)
    except Damaged:
        pass
