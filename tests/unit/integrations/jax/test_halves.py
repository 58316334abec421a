"""Programs in two halves: whatever the schedule, all results come first, and what goes on is what is read again."""

import jax
import jax.numpy as jnp
import pytest

from hcp import Compute, Schedule, keep_everything
from hcp.integrations.jax.halves import AsItIs, Planned, between
from hcp.integrations.jax.internals import is_gate
from hcp.integrations.jax.jaxpr import flatten
from hcp.integrations.jax.lower import lower

X = jnp.linspace(-1, 1, 16).reshape(4, 4)
COTANGENT = jnp.cos(X)


def function(x):
    for _ in range(3):
        x = jnp.tanh(x @ x)
    jax.debug.callback(lambda _: None, x[0, 0])
    return x


def looped(x):
    return jax.lax.scan(lambda x, y: (jnp.tanh(x @ y), x), x, jnp.stack([x, x + 1, x - 1]))[1].sum(0)


def both(x, function=function):
    output, pullback = jax.vjp(function, x)
    other = x + 1
    (cotangent,) = between([output], [other])
    return output, other, pullback(cotangent)


CLOSED = jax.make_jaxpr(both)(X)
LOWERED = lower(flatten(CLOSED), name="both", calibrate=False)
GATE = next(name for name, each in LOWERED.groups.items() if is_gate(each.main))


def again(graph):
    """What is before the gate once more after it."""
    # It is the last that has effects.
    place = max(place for place, name in enumerate(graph.order) if f"{name}:done" in graph.values)
    before = [name for name in graph.order[:place] if graph.node[name].recomputable]
    return Schedule.from_computes(graph, [*graph.order[: place + 1], *before, *graph.order[place + 1 :]])


def run(halves, constants=()):
    sources = (*constants, X)
    results, kept = halves.first(*sources)
    sources = [sources[place] for place in halves.places]
    # The pullback may be called again.
    halves.second(sources, kept, [X])
    return results, kept, halves.second(sources, kept, [COTANGENT])


@pytest.mark.parametrize(
    "halves",
    [
        AsItIs(CLOSED, 2),
        Planned(LOWERED, keep_everything(LOWERED.graph), 2),
        Planned(LOWERED, again(LOWERED.graph), 2),
    ],
    ids=["as it is", "keeping", "again"],
)
def test_both_halves_are_the_whole(halves):
    results, _, gradients = run(halves)
    output, pullback = jax.vjp(function, X)
    for ours, theirs in zip([*results, *gradients], [output, X + 1, *pullback(COTANGENT)], strict=True):
        assert jnp.allclose(ours, theirs, rtol=1e-6)


@pytest.mark.parametrize("schedule", [keep_everything, again], ids=["keeping", "again"])
def test_loops_that_are_cut_go_on_behind_the_gate(schedule):
    program = flatten(jax.make_jaxpr(lambda x: both(x, looped))(X), cut=True)
    assert program.cut
    assert program.in_place
    lowered = lower(program, name="looped", calibrate=False)
    results, _, gradients = run(Planned(lowered, schedule(lowered.graph), 2), program.constants)
    output, pullback = jax.vjp(looped, X)
    for ours, theirs in zip([*results, *gradients], [output, X + 1, *pullback(COTANGENT)], strict=True):
        assert jnp.allclose(ours, theirs, rtol=1e-5)


def test_what_is_computed_again_is_not_handed_on():
    graph = LOWERED.graph
    kept = [run(Planned(LOWERED, schedule, 2))[1][0] for schedule in (keep_everything(graph), again(graph))]
    assert len(kept[0]) >= 3
    # An output stays, and is read as it is.
    assert len(kept[1]) <= 1


def test_all_results_and_effects_come_before_the_gate_and_it_runs_once():
    graph = LOWERED.graph
    gate = graph.node[GATE]
    assert not gate.recomputable
    assert {LOWERED.value_of[var] for var in LOWERED.program.outvars[:2]} <= set(gate.inputs)
    assert any(name.endswith(":done") for name in gate.inputs)
    made = {value.name for value in gate.outputs}
    readers = [node for node in graph.nodes if made.intersection(node.inputs)]
    assert readers
    assert keep_everything(graph).actions.count(Compute(GATE)) == 1


def test_the_gate_stays_where_nothing_reads_it():
    closed = jax.make_jaxpr(lambda x: (x + 1, *between([x + 1], []))[0])(X)
    assert [is_gate(equation) for equation in flatten(closed).equations] == [False, True]
