"""Groups in the making: what leaves them, what they read, and which would wait for themselves as one."""

import jax
import jax.numpy as jnp
import pytest
from jax import lax

from hcp.integrations.fusion import Clusters
from hcp.integrations.fusion import clusters as module
from hcp.integrations.jax.flow import JaxprFlow
from hcp.integrations.jax.jaxpr import flatten

X = jnp.ones((4, 4))


def of(function):
    return Clusters(JaxprFlow.of(flatten(jax.make_jaxpr(function)(X))))


def fork(x):
    """0 is read by 1 and by 3; 2 lies between these."""
    a = lax.sin(x)
    b = lax.cos(a)
    c = lax.exp(b)
    return lax.add(a, c)


def test_each_operation_begins_alone():
    made = of(fork)
    assert [cluster.members for cluster in made.of] == [[0], [1], [2], [3]]
    assert made.sources(made.of[3]) == {made.of[0], made.of[2]}
    assert list(made.readers(made.of[0])) == [made.of[1], made.of[3]]
    assert len(made.of[3].outputs) == 1


def test_what_is_read_inside_alone_does_not_leave():
    made = of(fork)
    made.join([made.of[1], made.of[2]])
    assert made.of[1] is made.of[2]
    assert (sorted(made.of[1].members), made.of[1].last) == ([1, 2], 2)
    (leaves,) = made.of[1].outputs
    assert leaves in made.flow.made[2]
    assert made.sources(made.of[1]) == {made.of[0]}
    # Read outside as well.
    made.join([made.of[0], made.of[1]])
    assert len(made.of[0].outputs) == 2
    made.join([made.of[0], made.of[3]])
    assert tuple(made.of[0].outputs) == made.flow.made[3]


def test_ways_back():
    made = of(fork)
    assert made.leads_back([made.of[1], made.of[3]])
    assert made.leads_back([made.of[0], made.of[3]])
    assert not made.leads_back([made.of[0], made.of[1]])
    assert not made.leads_back([made.of[2], made.of[3]])
    made.join([made.of[1], made.of[2]])
    assert not made.leads_back([made.of[1], made.of[3]])


def test_long_searches_draw_on_what_short_ones_left(monkeypatch):
    def chain(x):
        for _ in range(40):
            x = lax.sin(x)
        return x

    monkeypatch.setattr(module, "NEAR", 2)
    monkeypatch.setattr(module, "FAR", 100)
    made = of(lambda x: (chain(x), chain(lax.cos(x))))
    apart = [made.of[0], made.of[41]]
    # Two chains that do not meet: a search goes through both, 78 reads.
    made._left = 0
    assert made.leads_back(apart)
    made._left = 200
    assert not made.leads_back(apart)
    assert made._left == 200 + 2 * 2 - 78


@pytest.mark.parametrize("heavy", [0, 2])
def test_a_group_remembers_its_heavy_operation(heavy):
    def function(x):
        for k in range(3):
            x = lax.dot(x, x) if k == heavy else lax.sin(x)
        return x

    made = of(function)
    made.join([made.of[0], made.of[1]])
    assert made.of[0].heavy == (0 if heavy == 0 else None)
    made.join([made.of[1], made.of[2]])
    assert made.of[0].heavy == heavy
