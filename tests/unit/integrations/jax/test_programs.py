"""What compiled programs take, measured once."""

from collections import OrderedDict

import jax
import jax.numpy as jnp
import pytest

from hcp import keep_everything
from hcp.heuristics.eviction import Eviction
from hcp.integrations import measurements
from hcp.integrations.jax import programs as module
from hcp.integrations.jax.jaxpr import flatten
from hcp.integrations.jax.lower import lower
from hcp.integrations.jax.measure import measure, memory_of
from hcp.integrations.jax.placement import Placement
from hcp.integrations.jax.programs import Programs, Source, unplanned
from hcp.planners import solve

X = jnp.ones((32, 32))
TABLE = jnp.arange(32.0)


def loss(x):
    for _ in range(6):
        x = jnp.sin(x @ x + TABLE)
    return x.sum()


CLOSED = jax.make_jaxpr(jax.grad(loss))(X)


@pytest.fixture
def measured(monkeypatch):
    """How often something is compiled; nothing is known."""
    asked = []

    def counted(function, shapes, **options):
        asked.append(function)
        return measure(function, shapes, **options)

    monkeypatch.setattr(module, "measure", counted)
    monkeypatch.setattr(measurements, "_KNOWN", OrderedDict())
    return asked


def programs(cache):
    program, placement = flatten(CLOSED), Placement()
    lowered = lower(program, name="loss", calibrate=False)
    sources = [Source(placement.shape(var), False) for var in program.sources]
    captured = [Source(placement.shape(var), False) for var in (*CLOSED.jaxpr.constvars, *program.invars)]
    return Programs(lowered, CLOSED, sources, captured, cache)


def test_each_program_is_compiled_once(measured, tmp_path):
    made = programs(tmp_path)
    kept = keep_everything(made.lowered.graph)
    assert made.plain() == memory_of(jax.jit(jax.grad(loss)).lower(X).compile()).total
    first = made.taken(kept)
    assert (made.taken(kept), programs(tmp_path).taken(kept)) == (first, first)
    assert len(measured) == 2
    # Another process finds it in the file.
    measurements._KNOWN.clear()
    other = programs(tmp_path)
    assert (other.taken(kept), other.plain()) == (first, made.plain())
    assert len(measured) == 2


def test_those_that_keep_a_budget(measured):
    made = programs(False)
    graph = made.lowered.graph
    kept, less = keep_everything(graph), solve(graph, "60%", Eviction()).schedule
    whole, part = made.taken(kept), made.taken(less)
    assert part < whole
    assert made.within(whole - 1) == [(less, part)]
    assert {taken for _, taken in made.within(whole)} == {whole, part}
    assert made.within(part - 1) == []


def test_what_runs_unplanned_is_what_was_captured():
    (found,) = unplanned(CLOSED)(*CLOSED.consts, X)
    assert jnp.array_equal(found, jax.grad(loss)(X))


def test_programs_that_come_to_the_same_plan_are_told_apart(measured):
    """What is marked, or computed again, is left aside by plans; plain programs are what they are."""
    kept = jax.make_jaxpr(jax.grad(jax.checkpoint(loss)))(X)
    program = flatten(kept)
    sources = [Source(Placement().shape(var), False) for var in (*kept.jaxpr.constvars, *program.invars)]
    made = programs(False)
    other = Programs(made.lowered, kept, made.sources, sources, False)
    made.plain()
    other.plain()
    assert len(measured) == 2
