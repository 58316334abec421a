"""The promise: compiled memory within the budget, gradients to the bit those of the keep-everything program."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hcp import InfeasibleBudget, keep_everything, replay
from hcp.integrations.jax import jit, value_and_grad
from hcp.integrations.jax.emit import emit
from tests.effort import some
from tests.integration.jax_steps import STEPS

TRIED = some(["60%", "45%", "100%", "30%"], 3)

# LLVM's optimizations take most of the time and come after memory has been assigned.
QUICK = {"xla_backend_optimization_level": 0}
# As users have it, whatever the suite's flags are.
FULL = {"xla_backend_optimization_level": 3}
FULLY_OPTIMIZED = ["mlp"]
# What their steps leave behind is most of the memory, and is planned.
LOOPS = ["scan_inside", "scan_over_layers"]


def options(name):
    return {"compiler_options": FULL if name in FULLY_OPTIMIZED else QUICK}


def planned_runs(loss, args, budgets, **options):
    """For each budget that can be kept: the function, the compiled program's memory, and the results."""
    for budget in budgets:
        function = value_and_grad(loss, budget=budget, solver="eviction")
        try:
            compiled = jit(function, **options).lower(*args).compile()
        except InfeasibleBudget:
            continue
        analysis = compiled.memory_analysis()
        taken = analysis.temp_size_in_bytes + analysis.output_size_in_bytes
        yield function, taken, compiled(*args)


def keep_everything_results(function, args, known, **options):
    """Of the program that was planned, whose loops may have been cut up; ``known`` holds one for each graph."""
    planned = function.plan.graph.fingerprint
    if planned not in known:
        prepared = function.prepare(*args)
        program = emit(prepared.lowered, keep_everything(prepared.lowered.graph))
        flat = jit(program, **options)(*prepared.captured.program.constants, *jax.tree.leaves(args))
        known[planned] = prepared.captured.rebuilt(flat)
    return known[planned]


def bits_equal(first, second):
    return all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True))


@pytest.mark.parametrize("name", dict.fromkeys([*FULLY_OPTIMIZED, *some(STEPS, 4)]))
def test_memory_is_within_the_budget_and_gradients_are_those_of_keeping_everything(name):
    loss, args = STEPS[name]()
    reference = jax.jit(jax.value_and_grad(loss), **options(name))(*args)
    kept, recomputed, budgets = {}, 0, 0
    for function, taken, results in planned_runs(loss, args, TRIED, **options(name)):
        plan = function.plan
        assert taken <= plan.budget_bytes
        assert replay(plan.graph, plan.schedule).peak == plan.memory_bytes
        assert plan.gap >= 0
        assert plan.gap_scope == "order-free"
        if not plan.plain:
            assert bits_equal(results, keep_everything_results(function, args, kept, **options(name)))
        for ours, theirs in zip(jax.tree.leaves(results), jax.tree.leaves(reference), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6 * float(jnp.abs(theirs).max()))
        recomputed += plan.overhead > 0
        budgets += 1
    assert recomputed, "no budget below keep-everything was planned, so nothing was tested"
    assert budgets == len(TRIED) or name not in LOOPS


@pytest.mark.parametrize("name", some(STEPS, 1))
def test_in_double_precision_gradients_agree_to_twelve_digits(name):
    with jax.enable_x64(True):
        loss, args = STEPS[name]()
        reference = jax.jit(jax.value_and_grad(loss), **options(name))(*args)
        (run,) = planned_runs(loss, args, ["55%"], **options(name))
    assert run[0].plan.memory_bytes < run[0].plan.keep_everything_bytes
    for ours, theirs in zip(jax.tree.leaves(run[2]), jax.tree.leaves(reference), strict=True):
        assert ours.dtype == np.float64
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12 * float(np.abs(theirs).max()))
