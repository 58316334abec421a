"""Programs that run a schedule: any legal one gives the same results."""

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hcp import HcpError, keep_everything
from hcp.integrations.jax.emit import emit
from hcp.integrations.jax.lower import lower
from hcp.integrations.jax.platform import compiler_options
from hcp.schedule.actions import Schedule
from tests.unit.integrations.jax.programs import check_groups, flat

X = jnp.ones((8, 16))
W = jnp.ones((16, 16))


def test_literal_and_repeated_results():
    def function(x):
        y = jnp.sin(x)
        return y, 1, y, x

    program = flat(function, X)
    lowered = lower(program, name="literals")
    found = jax.jit(emit(lowered, keep_everything(lowered.graph)), compiler_options=compiler_options())(X)
    assert [np.asarray(a).shape for a in found] == [X.shape, (), X.shape, X.shape]
    assert found[1] == 1
    assert lowered.graph.inputs[0].bytes >= 3 * X.nbytes


# None of these lets rounding errors grow.
UNARY = [
    jnp.sin,
    jnp.tanh,
    jax.nn.relu,
    jnp.transpose,
    jnp.flip,
    lambda x: jnp.cumsum(x, 0) / 4,
    lambda x: jnp.tanh(x.sum()) + x,
]
BINARY = [
    lambda a, b: (a + b) / 2,
    lambda a, b: jnp.tanh(a) * b,
    lambda a, b: a.reshape(-1)[:4].mean() * jnp.cos(b),
    lambda a, b: jnp.tanh(a.reshape(-1, 4) @ W[:4, :4]).mean() + b,
]


@settings(max_examples=8, deadline=None, derandomize=True)
@given(data=st.data())
def test_random_programs_run_the_same_in_any_schedule(data):
    picks = data.draw(
        st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99), st.integers(0, 99)), min_size=3, max_size=14)
    )

    def function(x):
        made = [x]
        for kind, first, second in picks:
            a, b = made[first % len(made)], made[second % len(made)]
            if kind % 2 or a.shape != b.shape:
                result = UNARY[kind % len(UNARY)](a)
                made.append(result if result.size == x.size else x)
            else:
                made.append(BINARY[kind // 2 % len(BINARY)](a, b))
        return [made[-1], made[len(made) // 2].sum()]

    x = jnp.linspace(-1, 1, 16).reshape(4, 4)
    program = flat(function, x)
    try:
        lowered = lower(program, name="random", calibrate=False)
    except HcpError:
        assert not program.equations
        return
    graph = lowered.graph
    check_groups(program, list(lowered.groups.values()))
    again = [name for name in graph.order for _ in range(data.draw(st.integers(1, 2)))]
    results = [
        jax.jit(emit(lowered, schedule), compiler_options=compiler_options())(*program.constants, x)
        for schedule in (keep_everything(graph), Schedule.from_computes(graph, again))
    ]
    for a, b, expected in zip(*results, function(x), strict=True):
        assert np.array_equal(a, b)
        np.testing.assert_allclose(a, expected, rtol=1e-4, atol=1e-4)
