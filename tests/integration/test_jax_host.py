"""Plans that move values to the host's memory: what is emitted, and what is said where programs cannot do it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hcp import keep_everything, replay
from hcp.integrations.jax import ExecutionError, checkpoint_plan, grad, jit, value_and_grad
from hcp.integrations.jax import host as host_memory
from hcp.integrations.jax.emit import emit
from hcp.integrations.jax.jaxpr import flatten
from hcp.integrations.jax.lower import lower
from hcp.schedule.actions import Fetch, Free, Offload, Schedule
from hcp.schedule.host import HostLink
from tests.integration.jax_steps import SIZE, mlp, scan_over_layers, small_mlp

QUICK = {"compiler_options": {"xla_backend_optimization_level": 0}}
HOW = {"solver": "eviction", "host": "100GiB/s"}


@pytest.fixture
def pretended(monkeypatch):
    """Planning as on a platform with host memory; the moves are traced, and CPUs then drop them."""
    monkeypatch.setattr(host_memory, "holds_on_host", lambda platform: True)


def test_a_platform_without_host_memory_says_so():
    loss, args = small_mlp()
    with pytest.raises(ExecutionError, match=r"loss .* compiled for 'cpu' hold nothing .*height_compressed_grad"):
        grad(loss, budget="60%", **HOW)(*args)
    with pytest.raises(ExecutionError, match="leave host out"):
        checkpoint_plan(loss, *args, budget="60%", **HOW)


def test_devices_that_list_no_host_memory_are_not_asked_further(monkeypatch):
    class Device:
        def addressable_memories(self):
            return [type("Memory", (), {"kind": "device"})]

    monkeypatch.setattr(jax, "devices", lambda platform: [Device()])
    host_memory.holds_on_host.cache_clear()
    assert not host_memory.holds_on_host("none")


@pytest.mark.usefixtures("pretended")
@pytest.mark.parametrize(("step", "budget"), [(mlp, "60%"), (scan_over_layers, "30%")])
def test_moves_are_planned_and_emitted(step, budget):
    loss, args = step()
    prepared = value_and_grad(loss, budget=budget, measure=False, **HOW).prepare(*args)
    schedule, graph = prepared.plan.schedule, prepared.lowered.graph
    moves = [action for action in schedule.actions if isinstance(action, Offload | Fetch)]
    assert len(moves) >= 4
    usage = replay(graph, schedule, prepared.plan.plan.problem.host)
    assert usage.peak <= prepared.plan.budget_bytes
    assert usage.host_peak > 0
    sources = (*prepared.captured.program.constants, *jax.tree.leaves(args))
    program = emit(prepared.lowered, schedule)
    spaces = [equation.params for equation in jax.make_jaxpr(program)(*sources).eqns if "device_put" in str(equation)]
    there = [params for params in spaces if jax.memory.Space.Host in params["devices"]]
    assert len(spaces) == len(moves)
    assert len(there) == sum(isinstance(action, Offload) for action in moves)
    kept = jit(emit(prepared.lowered, keep_everything(graph)), **QUICK)(*sources)
    found = jit(program, **QUICK)(*sources)
    assert all(np.array_equal(a, b) for a, b in zip(found, kept, strict=True))


def test_what_is_written_in_place_goes_and_comes_back_as_it_is():
    weights = jnp.stack([jnp.eye(SIZE) * 0.9] * 4)
    x = jnp.linspace(-1, 1, 8 * SIZE).reshape(8, SIZE)

    def loss(x):
        end, seen = jax.lax.scan(lambda x, w: (jnp.tanh(x @ w), x), x, weights)
        return end.sum() + (jnp.sort(seen, 0)[1:3] ** 2).sum()

    program = flatten(jax.make_jaxpr(jax.value_and_grad(loss))(x), cut=True)
    lowered = lower(program, name="stack", calibrate=False)
    kept = keep_everything(lowered.graph)
    storage = next(lowered.value_of[first] for first in program.in_place.values())
    writes = [k for k, a in enumerate(kept.actions) if getattr(a, "node", "").startswith("dynamic_update_slice")]
    reader = next(k for k, a in enumerate(kept.actions) if getattr(a, "node", "").startswith("sort"))
    away = (Offload(storage), Free(storage))
    actions = (
        *kept.actions[: writes[-1] + 1],
        *away,
        *kept.actions[writes[-1] + 1 : reader],
        Fetch(storage),
        *kept.actions[reader:],
    )
    schedule = Schedule(actions)
    assert replay(lowered.graph, schedule, HostLink(10**9, 10**9)).host_peak == lowered.graph.values[storage].bytes
    found = jit(emit(lowered, schedule), **QUICK)(*program.constants, x)
    expected = jit(emit(lowered, kept), **QUICK)(*program.constants, x)
    assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))
