"""Small integer programs, and their answers by trying every point."""

from itertools import product

import numpy as np
from hypothesis import strategies as st
from scipy import sparse

from hcp.solvers.models.rows import Model

SMALL = st.integers(-5, 5)


@st.composite
def programs(draw, most_columns=6, most_rows=5, sizes=SMALL):
    """A model whose columns are all 0 or 1 in its integer program; often infeasible, sometimes without rows."""
    columns, rows = draw(st.integers(1, most_columns)), draw(st.integers(0, most_rows))
    entries = draw(st.lists(sizes, min_size=rows * columns, max_size=rows * columns))
    rhs = draw(st.lists(st.integers(-4, 8), min_size=rows, max_size=rows))
    cost = draw(st.lists(st.integers(0, 9), min_size=columns, max_size=columns))
    matrix = sparse.csr_matrix(np.array(entries, np.int64).reshape(rows, columns))
    return Model(
        matrix, np.array(rhs, np.int64), np.array(cost, np.int64), draw(st.integers(0, 20)), np.ones(columns, bool)
    )


def points(model):
    """Every point that satisfies the rows."""
    for point in product((0, 1), repeat=model.shape[1]):
        if np.all(model.matrix @ np.array(point) <= model.rhs):
            yield np.array(point, np.float64)


def least_cost(model):
    """The optimum, or None where no point satisfies the rows."""
    return min((model.value(point) for point in points(model)), default=None)
