"""Rows with constants among their columns, against the sums that they stand for."""

from itertools import product

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hcp.solvers.models.rows import ONE, ZERO, RowBuilder
from tests.effort import examples

COLUMNS = 4
columns = st.sampled_from((ZERO, ONE, *range(COLUMNS)))
coefficients = st.integers(-3, 3)


@st.composite
def families(draw):
    """A builder, each of its rows as terms and a right-hand side, and the rows of each whole block."""
    builder, rows, whole = RowBuilder(), [], {}
    for block in range(draw(st.integers(1, 4))):
        before = len(rows)
        keeping = draw(st.booleans())
        builder.begin(str(block), whole=keeping)
        rhs = draw(st.integers(-4, 4))
        width, terms = draw(st.integers(1, 3)), draw(st.integers(1, 3))
        drawn = [(draw(coefficients), draw(st.lists(columns, min_size=width, max_size=width))) for _ in range(terms)]
        match draw(st.sampled_from(("family", "row", "entries"))):
            case "family":
                builder.add(*((factor, np.array(row)) for factor, row in drawn), rhs=rhs)
                rows += [([(factor, row[i]) for factor, row in drawn], rhs) for i in range(width)]
            case "row":
                factors = draw(st.lists(coefficients, min_size=width, max_size=width))
                builder.add_row(np.array(factors), np.array(drawn[0][1]), rhs)
                rows.append((list(zip(factors, drawn[0][1], strict=True)), rhs))
            case "entries":
                # One row for each term, each with its own right-hand side.
                sides = np.array([rhs + i for i in range(terms)])
                number = np.repeat(np.arange(terms), width)
                column = np.concatenate([row for _, row in drawn])
                builder.add_entries(number, column, np.repeat([factor for factor, _ in drawn], width), sides)
                rows += [([(factor, x) for x in row], int(sides[i])) for i, (factor, row) in enumerate(drawn)]
        if keeping:
            whole[str(block)] = rows[before:]
    return builder, rows, whole


def holds(row, point):
    terms, rhs = row
    return sum(factor * (1 if x == ONE else 0 if x == ZERO else point[x]) for factor, x in terms) <= rhs


@settings(max_examples=examples(300), deadline=None)
@given(families())
def test_built_rows_admit_the_points_that_the_terms_admit(drawn):
    builder, rows, whole = drawn
    matrix, rhs, blocks, _ = builder.build(COLUMNS)
    for point in product((0, 1), repeat=COLUMNS):
        assert bool(np.all(matrix @ np.array(point) <= rhs)) == all(holds(row, point) for row in rows)
    # Rows that hold for every point are left out.
    for name, span in blocks.items():
        for i in range(span.start, span.stop) if name not in whole else ():
            assert any(matrix[i] @ np.array(point) > rhs[i] for point in product((0, 1), repeat=COLUMNS))


@settings(max_examples=examples(200), deadline=None)
@given(families())
def test_whole_blocks_have_every_row_in_its_place(drawn):
    builder, _, whole = drawn
    matrix, rhs, blocks, _ = builder.build(COLUMNS)
    assert [span.start for span in blocks.values()] == [0, *(span.stop for span in blocks.values())][:-1]
    assert len(rhs) == max(span.stop for span in blocks.values())
    for name, rows in whole.items():
        assert blocks[name].stop - blocks[name].start == len(rows)
        for i, (terms, side) in enumerate(rows, blocks[name].start):
            dense = np.zeros(COLUMNS, np.int64)
            for factor, x in terms:
                if x >= 0:
                    dense[x] += factor
            assert matrix[i].toarray().ravel().tolist() == dense.tolist()
            assert rhs[i] == side - sum(factor for factor, x in terms if x == ONE)
