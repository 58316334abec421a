"""Memory and step time of real JAX programs: hcp against plain grad and checkpointing by hand.

Run as ``python -m benchmarks.executed_jax [--profile small|medium|large] [--model mlp] [--out FOLDER]``. Each way is a
compiled program in a process of its own, one after the other, with plain beside it: among many programs the same one
ran up to a tenth slower or faster, by its place. The two take turns, so that a busy machine slows both alike; memory is
the compiler's own account of temporaries and results, a step's time the median, and its ratio to plain the median of
the paired ratios. hcp plans at shares of the keep-everything peak, at the measured memory of every peer, and for the
same model as one scan over its layers. Peers are compiled with the CPU option that keeps their recomputation (see
``hcp.integrations.jax.jit``), "default flags" says where not. The second table asks, for each peer, whether some hcp
plan takes no more memory and is no slower, by their ratios to plain, and if not, why. The third goes through a
simulation of many steps with ``hcp.integrations.jax.scan``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.harness import alone, paired, publish
from benchmarks.jax_peers import Chain, Work, conv, mlp, peers, transformer
from benchmarks.jax_report import Row, points, rows_table, verdicts_of, verdicts_table
from benchmarks.options import ROUNDS, executed_options
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
# Of the largest gradient: an array whose entries are all smaller is compared on this scale.
LEAST_SCALE: Final = 2.0**-12


@dataclass(frozen=True)
class Way:
    """A compiled way of running a step, and what its row says besides."""

    compiled: Callable[..., Any]
    args: tuple[Any, ...]
    plan: JaxPlan | None = None
    notes: Row = field(default_factory=dict)

    @property
    def memory(self) -> int:
        """Bytes of temporaries and results."""
        return memory_of(self.compiled).total

    def step(self) -> Any:  # noqa: ANN401
        """Runs it to the end."""
        return jax.block_until_ready(self.compiled(*self.args))  # type: ignore[no-untyped-call]

    def allocated(self) -> int | None:
        """Most bytes in use while a step runs, above what was in use before; None where the allocator does not say.

        Allocators report the peak of the whole process, so only a step beyond all former ones shows.
        """
        device = jax.devices()[0]
        before = device.memory_stats() or {}
        self.step()
        after = device.memory_stats() or {}
        if "peak_bytes_in_use" not in after or after["peak_bytes_in_use"] <= before.get("peak_bytes_in_use", 0):
            return None
        return int(after["peak_bytes_in_use"] - before["bytes_in_use"])


# Make a model, and a way of running it, in the process that measures.
Build = Callable[[], Work]
Make = Callable[[], Way]


def works(profile: str) -> Mapping[str, Build]:
    """The models at a size."""
    return {
        "small": {
            "mlp": partial(mlp, layers=16, width=128, rows=512),
            "transformer": partial(transformer, layers=2, width=64, heads=2, length=64, sequences=4),
            "conv": partial(conv, layers=8, channels=8, side=32, images=4),
        },
        "medium": {
            "mlp": partial(mlp, layers=16, width=256, rows=1024),
            "transformer": partial(transformer, layers=4, width=128, heads=4, length=128, sequences=4),
            "conv": partial(conv, layers=8, channels=16, side=48, images=8),
        },
        "large": {
            "mlp": partial(mlp, layers=32, width=512, rows=2048),
            "transformer": partial(transformer, layers=12, width=256, heads=8, length=256, sequences=8),
            "conv": partial(conv, layers=16, channels=32, side=64, images=16),
        },
    }[profile]


def rows_of(model: str, build: Build, *, time_limit: float, rounds: int) -> list[Row]:
    """Peers, then hcp at every budget."""
    chains = peers()
    makes = {name: partial(by_hand, build, chain) for name, chain in chains.items()}
    makes["checkpoint, each, default flags"] = partial(by_hand, build, chains["checkpoint, each"], compiler=jax.jit)
    row = partial(row_of, model, reference=makes["plain"], rounds=rounds)
    rows = [row(name, make) for name, make in makes.items()]
    memories = sorted({found["bytes"] for found in rows if "error" not in found})
    budgets: dict[str, list[int | str]] = {"plain": [*BUDGETS, *apart(memories)], "scan": [*IN_SCAN]}
    for chain, budget in [(chain, budget) for chain, own in budgets.items() for budget in own]:
        place = "" if chain == "plain" else f", in a {chain},"
        label = f"hcp{place} at {budget}" if isinstance(budget, str) else f"hcp{place} at {budget:,} B"
        rows.append(row(label, partial(planned, build, chains[chain], budget, time_limit)))
    return rows


def by_hand(build: Build, chain: Chain, *, compiler: Callable[..., Any] = jit) -> Way:
    """A peer."""
    work = build()
    return _compiled(jax.value_and_grad(work.loss(chain)), (work.params, work.batch), compiler)


def planned(build: Build, chain: Chain, budget: int | str, time_limit: float) -> Way:
    """A plan of hcp's."""
    work = build()
    # A plan on disk may be of an older planner, or of a busier machine.
    function = value_and_grad(work.loss(chain), budget=budget, time_limit=time_limit, cache=False)
    return _compiled(function, (work.params, work.batch))


def _compiled(function: Callable[..., Any], args: tuple[Any, ...], compiler: Callable[..., Any] = jit) -> Way:
    compiled = compiler(function).lower(*args).compile()
    return Way(compiled, args, getattr(function, "plan", None))


def row_of(model: str, name: str, make: Make, *, reference: Make, rounds: int) -> Row:
    """What a process of its own measures, or why it could not."""
    try:
        found = alone(partial(measured, make, reference, rounds))
    except HcpError as error:
        found = {"error": str(error)}
    return {"model": model, "way": name} | found


def measured(make: Make, reference: Make, rounds: int) -> Row:
    """A way's memory, its pace beside a reference, and how far its results are from the reference's."""
    way = make()
    # Before anything else of this process takes memory.
    allocated = way.allocated()
    beside = reference()
    pace = paired(way.step, beside.step, rounds)
    return {
        "bytes": way.memory,
        "allocated_bytes": allocated,
        "step_ms": pace.step_ms,
        "x_plain": pace.ratio,
        "x_plain_quartiles": pace.quartiles,
        "budget_bytes": None if way.plan is None else way.plan.budget_bytes,
        "planned_bytes": None if way.plan is None else way.plan.memory_bytes,
        "overhead": None if way.plan is None else way.plan.overhead,
        "gap": None if way.plan is None else way.plan.gap,
        "difference": _difference(way.step(), beside.step()),
    } | way.notes


def apart(memories: Sequence[int]) -> list[int]:
    """Of memories in ascending order, the smallest of those that are close to one another."""
    found: list[int] = []
    for memory in memories:
        if not found or memory > found[-1] * (1 + NEARBY):
            found.append(memory)
    return found


@dataclass(frozen=True)
class Size:
    """Of a simulation: its steps, and the shape of what goes from one to the next."""

    steps: int
    rows: int
    width: int

    def args(self) -> tuple[jax.Array, jax.Array]:
        """The weight of every step, and the start."""
        weight = jax.random.normal(jax.random.key(0), (self.width, self.width)) / self.width**0.5
        return weight, jax.random.normal(jax.random.key(1), (self.rows, self.width))


def simulate(size: Size, rounds: int) -> list[Row]:
    """A scan over time, whose carries are most of the memory, by JAX's own ways and by hcp's."""
    makes: dict[str, Make] = {
        "lax.scan": partial(simulated, size),
        "scan + remat": partial(simulated, size, _remat, notes={"forward_steps": size.steps}),
    }
    for budget in ("100%", "50%", "25%", "12.5%", "6%"):
        makes[f"hcp.scan at {budget}"] = partial(scanned, size, budget)
    for budget in ("50%", "12.5%"):
        # The drop-in, which plans inside of JAX's own loop.
        differentiate = partial(value_and_grad, budget=budget, time_limit=SECONDS["small"], cache=False)
        makes[f"hcp.value_and_grad at {budget}"] = partial(simulated, size, differentiate=differentiate)
    row = partial(row_of, f"scan, {size.steps} steps", reference=makes["lax.scan"], rounds=rounds)
    return [row(name, make) for name, make in makes.items()]


def simulated(
    size: Size,
    loop: Callable[..., Any] = jax.lax.scan,
    *,
    differentiate: Callable[..., Any] = jax.value_and_grad,
    notes: Row | None = None,
) -> Way:
    """A simulation that goes through a loop."""

    def loss(weight: Any, start: Any) -> Any:  # noqa: ANN401
        return jnp.mean(loop(_advance(weight), start, length=size.steps)[0] ** 2)

    return replace(_compiled(differentiate(loss, argnums=(0, 1)), size.args()), notes=notes or {})


def scanned(size: Size, budget: str) -> Way:
    """The same by hcp's scan, with the fewest forward steps that as many carries allow."""
    weight, start = size.args()
    plan = scan_plan(_advance(weight), start, length=size.steps, budget=budget)
    # Two of the carries are the input and the output of a running step.
    fewest = advances(size.steps, max(1, plan.held_carries - 2)) + 1
    notes = {"forward_steps": plan.forward_steps, "binomial_steps": fewest}
    return simulated(size, partial(scan, budget=budget), notes=notes)


def _advance(weight: Any) -> Callable[[Any, Any], tuple[Any, None]]:  # noqa: ANN401
    return lambda x, _: (jnp.tanh(x @ weight), None)


def _remat(body: Callable[..., Any], start: Any, *, length: int) -> Any:  # noqa: ANN401
    return jax.lax.scan(jax.checkpoint(body), start, length=length)


def _difference(ours: Any, theirs: Any) -> float:  # noqa: ANN401
    """The largest difference, relative to the largest entry of each array.

    Some gradients are zero but for rounding, such as those of biases of keys, which attention does not depend on: no
    array's scale is taken for less than a small part of the largest of all.
    """
    pairs = [*zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True)]
    largest = [float(np.abs(theirs).max()) for _, theirs in pairs]
    least = max(*largest, 1e-30) * LEAST_SCALE
    return max(float(np.abs(a - b).max()) / max(scale, least) for (a, b), scale in zip(pairs, largest, strict=True))


def run(chosen: Mapping[str, Build], out: Path | None, *, time_limit: float, rounds: int) -> list[Row]:
    """Measures models, prints the tables, and writes them with a picture for each model; returns the measurements."""
    rows: list[Row] = []
    verdicts: list[Row] = []
    for name, build in chosen.items():
        found = rows_of(name, build, time_limit=time_limit, rounds=rounds)
        rows += found
        verdicts += verdicts_of(found)
        if out is not None and points(found):
            out.mkdir(parents=True, exist_ok=True)
            plot_runs(points(found), out / f"executed_jax-{name}.png", name)
    settings = {"time_limit": time_limit, "rounds": rounds, "platform": alone(jax.default_backend)}
    publish("executed_jax_pareto", verdicts_table(verdicts), verdicts, out, **settings)
    publish("executed_jax", rows_table(rows), rows, out, **settings)
    return rows


def main() -> None:
    """Runs the comparison."""
    options = executed_options(__doc__, MODELS).parse_args()
    wanted, rounds = options.model or MODELS, options.rounds or ROUNDS[options.profile]
    chosen = {name: build for name, build in works(options.profile).items() if name in wanted}
    if chosen:
        run(chosen, options.out, time_limit=options.time_limit or SECONDS[options.profile], rounds=rounds)
    if "scan" in wanted:
        steps = {"small": 100, "medium": 400, "large": 1000}[options.profile]
        rows = simulate(Size(steps, rows=128, width=64), rounds=max(3, rounds // 3))
        publish("executed_jax_scan", rows_table(rows), rows, options.out, steps=steps)


if __name__ == "__main__":
    main()
