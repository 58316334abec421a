"""The executor without compiler: gradients to the bit, memory that the plan says, checkpoints on host and disk."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hcp import keep_everything, replay
from hcp.heuristics.eviction import Eviction
from hcp.integrations.jax import ExecutionError, JaxCallbacks, JaxCodec, grad, height_compressed_grad, value_and_grad
from hcp.runtime import CheckpointStorage, HeightCompressedExecutor
from tests.integration.jax_steps import STEPS, small_mlp


def equal(first, second):
    return all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True))


def close(ours, theirs):
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["conv", "scan_inside", "cond_inside"])
def test_it_is_the_oracle_of_compiled_plans(name):
    loss, args = STEPS[name]()
    prepared = value_and_grad(loss, budget="80%", solver="eviction", measure=False).prepare(*args)
    lowered = prepared.lowered
    executor = HeightCompressedExecutor()
    results = []
    compiled = {}
    for schedule in (prepared.plan.schedule, keep_everything(lowered.graph)):
        executor.configure(lowered.graph, plan=schedule)
        callbacks = JaxCallbacks(lowered, (*prepared.captured.program.constants, *jax.tree.leaves(args)), compiled)
        execution = executor.run(callbacks)
        assert execution.profile.peak_bytes == replay(lowered.graph, schedule).peak
        # All that is left are results.
        left = {name for name, array in callbacks.held.items() if not array.is_deleted()}
        assert all(lowered.graph.values[name].resident for name in left)
        results.append(callbacks.results(execution.results))
    assert equal(*results)
    close(results[0], jax.tree.leaves(jax.jit(jax.value_and_grad(loss))(*args)))


def test_height_compressed_grad():
    loss, args = small_mlp()
    function = height_compressed_grad(loss)
    with pytest.raises(ExecutionError, match="nothing to report yet"):
        function.report()
    found = function(*args)
    close(found, jax.grad(loss)(*args))
    usage = function.last_executor.configuration.usage
    graph = function.last_executor.configuration.graph
    assert usage.peak < replay(graph, keep_everything(graph)).peak
    assert "of keep-everything" in function.report()
    planned = height_compressed_grad(loss, planner=Eviction(), budget="80%")
    assert equal(planned(*args), found)
    assert equal(height_compressed_grad(loss, block_size=2)(*args), found)
    assert planned.last_executor.configuration.usage.peak <= 0.8 * replay(graph, keep_everything(graph)).peak
    with_aux = height_compressed_grad(lambda p, x: (loss(p, x), x.sum()), has_aux=True, block_size=3)(*args)
    close(with_aux, (found, args[1].sum()))


@pytest.mark.parametrize("tier", ["host", "disk"])
def test_checkpoints_elsewhere(tier, tmp_path):
    loss, args = small_mlp()
    expected = height_compressed_grad(loss, block_size=3)(*args)
    with CheckpointStorage(tmp_path, codec=JaxCodec()) as storage:
        function = height_compressed_grad(loss, block_size=3, storage=storage, tier=tier)
        assert equal(function(*args), expected)
    assert function.last_execution.profile.peak_stored_bytes > 0


@pytest.mark.parametrize(
    "array",
    [
        jnp.arange(6.0).reshape(2, 3),
        jnp.ones((3,), jnp.bfloat16) / 3,
        jnp.array(True),
        jax.random.key(3),
        jax.random.split(jax.random.key(1, impl="rbg"), 2),
    ],
)
def test_arrays_come_back_from_plain_memory(array):
    back = JaxCodec().decode(JaxCodec().encode(array))
    assert back.dtype == array.dtype
    words = jax.random.key_data if jnp.issubdtype(array.dtype, jax.dtypes.prng_key) else np.asarray
    assert np.array_equal(words(back), words(array))


def test_errors():
    loss, args = small_mlp()
    with pytest.raises(ExecutionError, match="a block size and a planner; give one"):
        height_compressed_grad(loss, block_size=2, planner="eviction", budget="50%")
    with pytest.raises(ExecutionError, match="a planner and a budget together"):
        height_compressed_grad(loss, planner="eviction")
    with pytest.raises(ExecutionError, match=r"cannot be part of a jit or vmap; use hcp.integrations.jax.grad"):
        jax.jit(height_compressed_grad(loss))(*args)


def test_plans_come_from_the_cache(tmp_path):
    loss, args = small_mlp()
    how = {"budget": "80%", "solver": "eviction", "cache": tmp_path}
    first = grad(loss, **how)
    first(*args)
    (file,) = (path for path in tmp_path.glob("*.json") if not path.name.startswith("measured-"))
    written = file.stat().st_mtime_ns
    second = grad(loss, **how)
    second(*args)
    assert second.plan.schedule == first.plan.schedule
    assert file.stat().st_mtime_ns == written
    grad(loss, **how | {"budget": "70%"})(*args)
    assert len([path for path in tmp_path.glob("*.json") if not path.name.startswith("measured-")]) > 1
