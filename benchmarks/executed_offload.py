"""Copies to the host beside the computation, executed: steps of a transformer on the CPU, where an engine is a thread.

Run as ``python -m benchmarks.executed_offload [--rounds 21] [--out benchmarks/results]``, on two idle cores: one
computes, the other copies. The link is measured with both ways and a computation at once, and each operation is timed
by itself. All ways are in one process and take turns:

- *keep*: everything is kept;
- *beside*: planned for copies that overlap the computation;
- *the same in turn*: the very same actions, but the computation waits for each copy;
- *again*: nothing moves.

A step's time as planned is that of keep, as measured, with the plan's cost over keep's: operations take less by
themselves than in a step, which every way has alike.
"""

import argparse
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final

import torch
from torch import nn

from benchmarks.harness import alone, in_turn, milliseconds, publish
from hcp.integrations.torch import checkpoint, measure_peak, plan_for
from hcp.integrations.torch.calibration import host_link
from hcp.integrations.torch.demo.models import GPT
from hcp.planning.plan import Plan
from hcp.report.tables import Table

HEADERS: Final = ("way", "peak", "planned peak", "step ms", "x keep", "planned x keep", "moved MB")


@dataclass(frozen=True)
class Sizes:
    """Of the transformer."""

    width: int = 128
    layers: int = 6
    length: int = 256
    rows: int = 8


@dataclass(frozen=True)
class Ways:
    """Planned copies of one model, with their plans."""

    models: dict[str, nn.Module]
    plans: dict[str, Plan]


def planned(sizes: Sizes, budget: str, cache: str, time_limit: float) -> Ways:
    """The model, in every way."""
    torch.manual_seed(0)
    net = GPT(layers=sizes.layers, width=sizes.width, context=sizes.length, dropout=0.0)
    inputs = _inputs(sizes)
    options: dict[str, Any] = {"cost": "measured", "cache": cache, "quiet": True, "time_limit": time_limit}
    link = host_link("cpu", cache, overlap=True)
    made = {
        "keep": plan_for(net, inputs, budget="100%", **options),
        "beside": plan_for(net, inputs, budget=budget, host=link, **options),
        "again": plan_for(net, inputs, budget=budget, **options),
    }
    plans = {way: each.plan for way, each in made.items()}
    plans["the same in turn"] = in_turn(plans["beside"])
    models = {}
    for way, plan in plans.items():
        models[way] = copy = GPT(layers=sizes.layers, width=sizes.width, context=sizes.length, dropout=0.0)
        copy.load_state_dict(net.state_dict())
        checkpoint(copy, plan=plan, **options)
    return Ways(models, plans)


def _inputs(sizes: Sizes) -> tuple[torch.Tensor, torch.Tensor]:
    tokens = torch.randint(256, (sizes.rows, sizes.length + 1), generator=torch.Generator().manual_seed(1))
    return tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()


def run(sizes: Sizes, budget: str, time_limit: float, rounds: int) -> list[dict[str, Any]]:
    """Measures every way, in turns."""
    torch.set_num_threads(1)
    with TemporaryDirectory() as cache:
        ways = planned(sizes, budget, cache, time_limit)
    inputs = _inputs(sizes)

    def step(model: nn.Module) -> None:
        model.zero_grad(set_to_none=True)
        model(*inputs).backward()

    peaks: dict[str, int] = {}
    times: dict[str, list[float]] = {way: [] for way in ways.models}
    for way, model in ways.models.items():
        step(model)
        model.zero_grad(set_to_none=True)
        peaks[way] = measure_peak(partial(step, model))
    for _ in range(rounds):
        for way, model in ways.models.items():
            times[way].append(milliseconds(partial(step, model)))
    kept = ways.plans["keep"].cost
    rows = []
    for way, plan in ways.plans.items():
        usage = plan.usage
        assert usage is not None
        assert plan.cost is not None
        rows.append(
            {
                "way": way,
                "peak": peaks[way],
                "planned_peak": plan.peak,
                "ms": median(times[way]),
                "ratio": median(mine / keep for mine, keep in zip(times[way], times["keep"], strict=True)),
                "planned_ratio": plan.cost / kept,
                "planned_ms": plan.cost / 1e6,
                "moved": usage.transferred,
                "waits": sum(usage.waited.values()),
                "link": None if plan.problem.host is None else plan.problem.host.to_dict(),
            }
        )
    return rows


def main() -> None:
    """Measures, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", default="50%", help="of keep-everything")
    parser.add_argument("--width", type=int, default=Sizes.width)
    parser.add_argument("--time-limit", type=float, default=20.0, help="seconds a plan")
    parser.add_argument("--rounds", type=int, default=21, help="timed steps of each way")
    parser.add_argument("--out", type=Path, help="folder for the table and its JSON")
    options = parser.parse_args()
    sizes = Sizes(width=options.width)
    rows = alone(partial(run, sizes, options.budget, options.time_limit, options.rounds))
    cells = tuple(
        (
            row["way"],
            f"{row['peak']:,}",
            f"{row['planned_peak']:,}",
            f"{row['ms']:.1f}",
            f"{row['ratio']:.3f}",
            f"{row['planned_ratio']:.3f}",
            f"{row['moved'] / 1e6:.0f}",
        )
        for row in rows
    )
    table = Table(HEADERS, cells, (False, True, True, True, True, True, True))
    publish("executed_offload", table, rows, options.out, budget=options.budget, width=options.width)


if __name__ == "__main__":
    main()
