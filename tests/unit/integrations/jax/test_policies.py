"""Policies that save names: the cheapest that keeps a budget, with what its program really takes."""

from itertools import combinations

import jax
import jax.numpy as jnp
import pytest
from jax.ad_checkpoint import checkpoint_name

import hcp
from hcp.integrations.jax import ExecutionError, JaxError, UnreachableBudget, jit, name_policy
from hcp.integrations.jax.measure import memory_of
from tests.effort import some

WS = jnp.stack([jnp.eye(64, 256) + 0.1 * k for k in range(3)])
W = jnp.eye(64) + 0.1
X = jnp.ones((128, 64)) / 8
OPTIONS = {"solver": "eviction", "cache": False, "quiet": True}


def layer(x, w):
    up = checkpoint_name(x @ w, "up")
    return x + jnp.tanh(checkpoint_name(jnp.sin(up) @ w.T, "down"))


def make(policy):
    def loss(ws, x):
        for w in ws:
            x = jax.checkpoint(layer, policy=policy)(x, w)
        return (x**2).mean()

    return loss


def scanned(policy):
    def loss(ws, x):
        return (jax.lax.scan(lambda x, w: (jax.checkpoint(layer, policy=policy)(x, w), None), x, ws)[0] ** 2).mean()

    return loss


def taken(function):
    return memory_of(jit(jax.value_and_grad(function)).lower(WS, X).compile()).total


@pytest.mark.parametrize("make", some([make, scanned], 1))
def test_it_is_the_cheapest_of_all_that_keep_the_budget(make):
    names = ("up", "down")
    choices = [saved for count in range(3) for saved in combinations(names, count)]
    bytes_of = {saved: taken(make(jax.checkpoint_policies.save_only_these_names(*saved))) for saved in choices}
    budget = sorted(bytes_of.values())[len(choices) // 2]
    found = name_policy(make, WS, X, budget=budget, time_limit=20, **OPTIONS)
    assert found.tried == len(choices)
    assert found.measured_bytes == bytes_of[found.saved] == taken(make(found.policy)) <= budget
    assert {*found.saved, *found.recomputed} == set(names)
    assert {name for name, what in found.settings.items() if what == "device"} == set(found.saved)
    assert found.overhead >= 0
    looser = name_policy(make, WS, X, budget=max(bytes_of.values()), time_limit=20, **OPTIONS)
    assert looser.cost <= found.cost
    assert f"saves {', '.join(found.saved)}" in str(found)
    assert found.plan.budget_bytes == budget


def test_with_many_names_one_after_the_other_is_saved():
    def make(policy):
        def loss(x):
            for k in range(6):
                x = checkpoint_name(jnp.sin(x @ W), f"name {k}")
            return (x**2).mean()

        return jax.checkpoint(loss, policy=policy)

    found = name_policy(make, X, budget="100%", measure=False, time_limit=20, **OPTIONS)
    assert found.measured_bytes is None
    assert found.saved
    assert found.tried < 2**6
    assert found.peak <= found.plan.budget_bytes


@pytest.mark.parametrize("make", some([make, scanned], 2))
def test_names_are_offloaded_where_the_link_is_quick(make):
    options = OPTIONS | {"measure": False, "time_limit": 20}
    computes = name_policy(make, WS, X, budget="60%", **options)
    assert computes.recomputed
    rate = 10**15
    moves = name_policy(make, WS, X, budget="60%", host=hcp.HostLink(rate, rate, overlap=True), **options)
    assert moves.offloaded
    assert moves.peak <= moves.plan.budget_bytes
    assert moves.cost < computes.cost
    assert {name: what for name, what in moves.settings.items() if what == "offload"}.keys() == {*moves.offloaded}
    # Each name that is moved is moved in every layer.
    sizes = {"up": 128 * 256 * 4, "down": 128 * 64 * 4}
    assert moves.host_bytes == len(WS) * sum(sizes[name] for name in moves.offloaded)
    assert f"offloads {', '.join(moves.offloaded)} ({moves.host_bytes:,} bytes)" in str(moves)
    slow = name_policy(make, WS, X, budget="60%", host=hcp.HostLink(10**6, 10**6), **options)
    assert (slow.offloaded, slow.cost) == ((), computes.cost)
    # The policy is one that JAX takes, with the same gradients.
    mine, theirs = (jax.jit(jax.grad(make(each.policy)))(WS, X) for each in (moves, computes))
    assert jnp.allclose(mine, theirs, rtol=1e-5, atol=1e-7)


def test_a_host_that_programs_cannot_use_is_refused():
    with pytest.raises(ExecutionError, match="hold nothing in the memory of the host"):
        name_policy(make, WS, X, budget="70%", host="12GiB/s", time_limit=10, **OPTIONS)


def test_errors_name_the_mend():
    with pytest.raises(JaxError, match="gives no names; name values by"):
        name_policy(lambda policy: jax.checkpoint(jnp.sum, policy=policy), X, budget="100%", time_limit=5, **OPTIONS)

    def at_once(policy):
        """Computed again all at once, it takes what it took before."""

        def loss(x):
            for _ in range(8):
                x = jnp.sin(x @ W)
            return (checkpoint_name(x, "last") ** 2).mean()

        return jax.checkpoint(loss, policy=policy)

    with pytest.raises(UnreachableBudget, match="no choice of the names last keeps"):
        name_policy(at_once, X, budget="70%", time_limit=20, **OPTIONS)
