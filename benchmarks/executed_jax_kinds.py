"""Memory, step and compile time of many kinds of JAX programs: hcp at every point that JAX's own policies reach.

Run as ``python -m benchmarks.executed_jax_kinds [--model llama] [--out FOLDER]``. Each way is a compiled program in a
process of its own with plain beside it, as in ``executed_jax``. The peers put ``jax.checkpoint`` with one of the
policies that JAX ships around each block, or step of a loop, compiled with the CPU option that keeps what they
recompute. hcp plans at shares of plain's memory and at the measured memory of every peer. The second table asks, for
each peer, whether some hcp plan takes no more memory and is no slower.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final

import jax

from benchmarks.executed_jax import Way, apart, row_of
from benchmarks.harness import publish
from benchmarks.jax_models import MODELS, Wrap, plain
from benchmarks.jax_report import Row, rows_table, verdicts_of, verdicts_table
from benchmarks.options import ROUNDS, executed_options
from hcp.integrations.jax import jit, value_and_grad

# A step of some milliseconds on a shared machine is not told from another that differs by less.
CLOCK: Final = 0.05
BUDGETS: Final = ("100%", "60%", "40%")
SECONDS: Final = {"small": 2.0, "medium": 20.0, "large": 60.0}


def policies() -> Mapping[str, Wrap]:
    """The ways of wrapping a block; other processes get them, so they can be pickled."""
    names = ("nothing_saveable", "dots_saveable", "dots_with_no_batch_dims_saveable")
    return {"plain": plain} | {name: partial(_checkpointed, policy=name) for name in names}


def _checkpointed(block: Callable[..., Any], *, policy: str) -> Callable[..., Any]:
    return jax.checkpoint(block, policy=getattr(jax.checkpoint_policies, policy))


def by_hand(name: str, wrap: Wrap) -> Way:
    """A peer; plain is compiled as users compile it."""
    model = MODELS[name]()
    function = jax.value_and_grad(model.loss(wrap), has_aux=model.has_aux)
    return _way(function, model.args, jax.jit if wrap is plain else jit)


def planned(name: str, budget: int | str, time_limit: float) -> Way:
    """A plan of hcp's; one on disk may be of an older planner, or of a busier machine."""
    model = MODELS[name]()
    function = value_and_grad(
        model.loss(plain), has_aux=model.has_aux, budget=budget, time_limit=time_limit, cache=False
    )
    way = _way(function, model.args, jit)
    return replace(way, plan=function.plan)


def _way(function: Callable[..., Any], args: tuple[Any, ...], compiler: Callable[..., Any]) -> Way:
    start = time.perf_counter()
    lowered = compiler(function).lower(*args)
    traced = time.perf_counter()
    compiled = lowered.compile()
    notes = {"plan_s": traced - start, "compile_s": time.perf_counter() - traced}
    return Way(compiled, args, notes=notes)


def rows_of(name: str, *, time_limit: float, rounds: int) -> list[Row]:
    """Peers, then hcp at every budget."""
    row = partial(row_of, name, reference=partial(by_hand, name, plain), rounds=rounds)
    rows = [row(way, partial(by_hand, name, wrap)) for way, wrap in policies().items()]
    memories = sorted({found["bytes"] for found in rows if "error" not in found})
    for budget in (*BUDGETS, *apart(memories)):
        label = f"hcp at {budget}" if isinstance(budget, str) else f"hcp at {budget:,} B"
        rows.append(row(label, partial(planned, name, budget, time_limit)))
    return rows


def main() -> None:
    """Runs the comparison."""
    options = executed_options(__doc__, tuple(MODELS)).parse_args()
    rounds = options.rounds or ROUNDS[options.profile]
    time_limit = options.time_limit or SECONDS[options.profile]
    rows: list[Row] = []
    for name in options.model or MODELS:
        rows += rows_of(name, time_limit=time_limit, rounds=rounds)
    by_model = [[row for row in rows if row["model"] == name] for name in MODELS]
    verdicts = [verdict for own in by_model for verdict in verdicts_of(own, CLOCK)]
    settings = {"time_limit": time_limit, "rounds": rounds}
    publish("executed_jax_kinds_pareto", verdicts_table(verdicts), verdicts, options.out, **settings)
    publish("executed_jax_kinds", rows_table(rows), rows, options.out, **settings)


if __name__ == "__main__":
    main()
