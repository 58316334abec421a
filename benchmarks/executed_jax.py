"""Memory and step time of real JAX programs: hcp against plain grad and checkpointing by hand.

Run as ``python -m benchmarks.executed_jax [--profile small|medium|large] [--model mlp] [--out FOLDER]``. All ways of
one model are compiled programs of one process and take turns, so that a busy machine slows all alike; memory is the
compiler's own account of temporaries and results, and a step's time the median. hcp plans at shares of the
keep-everything peak, at the measured memory of every peer, and for the same model as one scan over its layers. Peers
are compiled with the CPU option that keeps their recomputation (see ``hcp.integrations.jax.jit``), "default flags" says
where not. The second table asks, for each peer, whether some hcp plan takes no more memory and is no slower (by the
median of paired ratios), and if not, why. The third goes through a simulation of many steps with
``hcp.integrations.jax.scan``.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Final

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.harness import publish
from benchmarks.jax_peers import Work, conv, mlp, peers, transformer
from benchmarks.jax_report import Row, points, ratio, rows_table, verdicts_of, verdicts_table
from benchmarks.options import executed_options
from hcp.graph.errors import HcpError
from hcp.heuristics.revolve import advances
from hcp.integrations.jax import JaxPlan, jit, scan, scan_plan, value_and_grad
from hcp.integrations.jax.measure import memory_of
from hcp.report.figures import plot_runs

BUDGETS: Final = ("100%", "80%", "60%", "45%", "30%")
# Of the same model written as a scan over its layers.
IN_SCAN: Final = ("50%", "25%")
MODELS: Final = ("mlp", "transformer", "conv", "scan")
SECONDS: Final = {"small": 1.0, "medium": 12.0, "large": 30.0}
# Budgets closer to one another than this are planned once, for the smallest.
NEARBY: Final = 0.02


@dataclass(frozen=True)
class Way:
    """A compiled way of running a step."""

    compiled: Callable[..., Any]
    args: tuple[Any, ...]
    plan: JaxPlan | None = None

    @property
    def memory(self) -> int:
        """Bytes of temporaries and results."""
        return memory_of(self.compiled).total

    def step(self) -> Any:  # noqa: ANN401
        """Runs it to the end."""
        return jax.block_until_ready(self.compiled(*self.args))  # type: ignore[no-untyped-call]


def works(profile: str) -> dict[str, Work]:
    """The models at a size."""
    return {
        "small": {
            "mlp": mlp(layers=16, width=128, rows=512),
            "transformer": transformer(layers=2, width=64, heads=2, length=64, sequences=4),
            "conv": conv(layers=8, channels=8, side=32, images=4),
        },
        "medium": {
            "mlp": mlp(layers=16, width=256, rows=1024),
            "transformer": transformer(layers=4, width=128, heads=4, length=128, sequences=4),
            "conv": conv(layers=8, channels=16, side=48, images=8),
        },
        "large": {
            "mlp": mlp(layers=32, width=512, rows=2048),
            "transformer": transformer(layers=12, width=256, heads=8, length=256, sequences=8),
            "conv": conv(layers=16, channels=32, side=64, images=16),
        },
    }[profile]


def ways_of(work: Work, time_limit: float) -> dict[str, Way]:
    """Peers, then hcp at every budget that can be kept."""
    args = (work.params, work.batch)
    chains = peers(len(work.params["blocks"]))
    ways = {
        name: Way(jit(jax.value_and_grad(work.loss(chain))).lower(*args).compile(), args)
        for name, chain in chains.items()
    }
    default = jax.jit(jax.value_and_grad(work.loss(chains["checkpoint, each"])))
    ways["checkpoint, each, default flags"] = Way(default.lower(*args).compile(), args)
    memories = sorted({way.memory for way in ways.values()})
    budgets: dict[str, list[int | str]] = {"plain": [*BUDGETS, *apart(memories)], "scan": [*IN_SCAN]}
    for chain, budget in [(chain, budget) for chain, own in budgets.items() for budget in own]:
        function = value_and_grad(work.loss(chains[chain]), budget=budget, time_limit=time_limit)
        place = "" if chain == "plain" else f", in a {chain},"
        label = f"hcp{place} at {budget}" if isinstance(budget, str) else f"hcp{place} at {budget:,} B"
        try:
            ways[label] = Way(jit(function).lower(*args).compile(), args, function.plan)
        except HcpError as error:
            print(f"{label}: {error}")
    return ways


def apart(memories: Sequence[int]) -> list[int]:
    """Of memories in ascending order, the smallest of those that are close to one another."""
    found: list[int] = []
    for memory in memories:
        if not found or memory > found[-1] * (1 + NEARBY):
            found.append(memory)
    return found


def paired_times(ways: Mapping[str, Way], rounds: int) -> dict[str, list[float]]:
    """Seconds of each step, round by round; the ways take turns, forwards and backwards."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds + 1):
        for name, way in list(ways.items())[:: 1 if turn % 2 else -1]:
            start = time.perf_counter()
            way.step()
            # The first round warms up.
            if turn:
                times[name].append(time.perf_counter() - start)
    return times


def rows_of(model: str, ways: Mapping[str, Way], times: Mapping[str, list[float]], reference: str) -> list[Row]:
    """One row a way."""
    expected = ways[reference].step()
    return [
        {
            "model": model,
            "way": name,
            "bytes": way.memory,
            "step_ms": 1e3 * median(times[name]),
            "x_plain": ratio(times[name], times[reference]),
            "budget_bytes": None if way.plan is None else way.plan.budget_bytes,
            "planned_bytes": None if way.plan is None else way.plan.memory_bytes,
            "overhead": None if way.plan is None else way.plan.overhead,
            "gap": None if way.plan is None else way.plan.gap,
            "difference": _difference(way.step(), expected),
        }
        for name, way in ways.items()
    ]


def simulate(steps: int, rows: int, width: int, rounds: int) -> list[Row]:
    """A scan over time, whose carries are most of the memory, by JAX's own ways and by hcp's."""
    weight = jax.random.normal(jax.random.key(0), (width, width)) / width**0.5
    args = (weight, jax.random.normal(jax.random.key(1), (rows, width)))

    def loss(loop: Callable[..., Any], **how: Any) -> Callable[..., Any]:  # noqa: ANN401
        def run(weight: Any, start: Any) -> Any:  # noqa: ANN401
            return jnp.mean(loop(lambda x, _: (jnp.tanh(x @ weight), None), start, length=steps, **how)[0] ** 2)

        return run

    def remat(body: Callable[..., Any], start: Any, **how: Any) -> Any:  # noqa: ANN401
        return jax.lax.scan(jax.checkpoint(body), start, **how)

    differentiated = partial(jax.value_and_grad, argnums=(0, 1))
    functions: dict[str, tuple[Callable[..., Any], int | None, int | None]] = {
        "lax.scan": (differentiated(loss(jax.lax.scan)), None, None),
        "scan + remat": (differentiated(loss(remat)), steps, None),
    }
    for budget in ("100%", "50%", "25%", "12.5%", "6%"):
        try:
            plan = scan_plan(lambda x, _: (jnp.tanh(x @ weight), None), args[1], length=steps, budget=budget)
        except HcpError as error:
            print(f"hcp.scan at {budget}: {error}")
            continue
        # Two of the carries are the input and the output of a running step.
        optimum = advances(steps, max(1, plan.held_carries - 2)) + 1
        functions[f"hcp.scan at {budget}"] = (differentiated(loss(scan, budget=budget)), plan.forward_steps, optimum)
    for budget in ("50%", "12.5%"):
        # The drop-in, which plans inside of JAX's own loop.
        planned = value_and_grad(loss(jax.lax.scan), (0, 1), budget=budget, time_limit=SECONDS["small"])
        functions[f"hcp.value_and_grad at {budget}"] = (planned, None, None)
    ways = {name: Way(jit(function).lower(*args).compile(), args) for name, (function, _, _) in functions.items()}
    times = paired_times(ways, rounds)
    found = rows_of(f"scan, {steps} steps", ways, times, "lax.scan")
    for row, (_, forward, fewest) in zip(found, functions.values(), strict=True):
        row |= {"forward_steps": forward, "binomial_steps": fewest}
    return found


def _difference(ours: Any, theirs: Any) -> float:  # noqa: ANN401
    """The largest difference, relative to the largest entry of each array."""
    pairs = zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True)
    return max(float(np.abs(a - b).max() / max(float(np.abs(b).max()), 1e-30)) for a, b in pairs)


def run(chosen: Mapping[str, Work], out: Path | None, *, time_limit: float, rounds: int) -> list[Row]:
    """Measures models, prints the tables, and writes them with a picture for each model; returns the verdicts."""
    rows: list[Row] = []
    verdicts: list[Row] = []
    for name, work in chosen.items():
        ways = ways_of(work, time_limit)
        times = paired_times(ways, rounds)
        found = rows_of(name, ways, times, "plain")
        rows += found
        verdicts += verdicts_of(found, times)
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            plot_runs(points(found), out / f"executed_jax-{name}.png", name)
    settings = {"time_limit": time_limit, "rounds": rounds, "platform": jax.default_backend()}
    publish("executed_jax_pareto", verdicts_table(verdicts), verdicts, out, **settings)
    publish("executed_jax", rows_table(rows), rows, out, **settings)
    return verdicts


def main() -> None:
    """Runs the comparison."""
    options = executed_options(__doc__, MODELS).parse_args()
    wanted = options.model or MODELS
    chosen = {name: work for name, work in works(options.profile).items() if name in wanted}
    if chosen:
        run(chosen, options.out, time_limit=options.time_limit or SECONDS[options.profile], rounds=options.rounds)
    if "scan" in wanted:
        steps = {"small": 100, "medium": 400, "large": 1000}[options.profile]
        rows = simulate(steps, rows=128, width=64, rounds=max(3, options.rounds // 3))
        publish("executed_jax_scan", rows_table(rows), rows, options.out, steps=steps)


if __name__ == "__main__":
    main()
