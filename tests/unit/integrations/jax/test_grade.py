"""Programs with ``jax.checkpoint`` in them, graded beside the bound of the function's own graph."""

import jax
import jax.numpy as jnp
import pytest
from jax.ad_checkpoint import checkpoint_name

from hcp.integrations.jax import JaxError, UnreachableBudget, grade, name_policy
from hcp.report.tables import grades_table

WS = jnp.stack([jnp.eye(64, 256) + 0.1 * k for k in range(3)])
X = jnp.ones((128, 64)) / 8
POLICIES = jax.checkpoint_policies
WRAPS = {
    "plain": lambda layer: layer,
    "blocks": jax.checkpoint,
    "dots": lambda layer: jax.checkpoint(layer, policy=POLICIES.dots_saveable),
    "no batch": lambda layer: jax.checkpoint(layer, policy=POLICIES.dots_with_no_batch_dims_saveable),
    "up": lambda layer: jax.checkpoint(layer, policy=POLICIES.save_only_these_names("up")),
    "nothing": lambda layer: jax.checkpoint(layer, policy=POLICIES.nothing_saveable),
}


def layer(x, w):
    up = checkpoint_name(x @ w, "up")
    return x + jnp.tanh(jnp.sin(up) @ w.T)


def unrolled(wrap):
    def loss(ws, x):
        for w in ws:
            x = wrap(layer)(x, w)
        return (x**2).mean()

    return loss


def scanned(wrap):
    def loss(ws, x):
        return (jax.lax.scan(lambda x, w: (wrap(layer)(x, w), None), x, ws)[0] ** 2).mean()

    return loss


@pytest.mark.parametrize(("make", "name"), [(unrolled, "loss"), (scanned, "loss, loops written out")])
def test_policies_are_graded_at_their_own_peaks_beside_the_functions_graph(make, name):
    ways = {each: make(wrap) for each, wrap in WRAPS.items()}
    found = grade(ways["plain"], WS, X, ways=ways, solver="eviction", time_limit=5, cache=False)
    by_name = {each.name: each for each in found}
    assert list(by_name) == list(ways)
    assert {each.graph.name for each in found} == {name}
    for each in found:
        assert each.plan.peak <= each.usage.peak == each.plan.problem.budget
        assert each.bound.value <= each.plan.cost
        # It is no schedule of that graph, and nothing says that it is one.
        assert each.schedule is None
        assert each.to_dict()["of_graph"] is False
        assert each.to_dict()["recomputed"] is None
    blocks, nothing, plain = by_name["blocks"], by_name["nothing"], by_name["plain"]
    assert (blocks.cost, blocks.usage.peak) == (nothing.cost, nothing.usage.peak)
    assert blocks.usage.peak < by_name["up"].usage.peak < plain.usage.peak
    assert by_name["dots"].cost < blocks.cost
    text = grades_table(found).to_text()
    assert text.count(", of the graph alone") == len(ways)


def test_cost_and_peak_are_those_of_name_policy():
    def make(policy):
        return unrolled(lambda layer: jax.checkpoint(layer, policy=policy))

    options = {"solver": "eviction", "time_limit": 5, "cache": False}
    (found,) = grade(unrolled(WRAPS["plain"]), WS, X, ways={"up": unrolled(WRAPS["up"])}, **options)
    said = name_policy(make, WS, X, budget=found.usage.peak, measure=False, quiet=True, **options)
    assert said.saved == ("up",)
    assert (said.cost, said.peak) == (found.cost, found.usage.peak)


def test_functions_without_loops_keep_everything_as_they_are():
    (found,) = grade(
        unrolled(WRAPS["plain"]), WS, X, ways={"same": unrolled(WRAPS["plain"])}, time_limit=2, cache=False
    )
    assert (found.cost, found.overhead, found.over_bound) == (found.graph.base_cost, 0, 0)
    assert found.verified


@pytest.mark.parametrize(
    ("ways", "said"),
    [
        ({}, "there is no way to grade; give at least one"),
        (
            {"other": lambda ws, x: (ws[:2] ** 2).mean().astype(jnp.float16)},
            "way 'other' and its gradients are of types",
        ),
    ],
)
def test_what_cannot_be_graded_is_refused(ways, said):
    with pytest.raises(JaxError, match=said):
        grade(unrolled(WRAPS["plain"]), WS, X, ways=ways, time_limit=1, cache=False)


def test_programs_that_are_smaller_than_any_schedule_are_named():
    def less(ws, _x):
        return ws.sum()

    with pytest.raises(JaxError, match=r"way 'less' takes [\d,]+ bytes, less than any schedule of loss") as caught:
        grade(unrolled(WRAPS["plain"]), WS, X, ways={"less": less}, time_limit=1, cache=False)
    assert not isinstance(caught.value, UnreachableBudget)
