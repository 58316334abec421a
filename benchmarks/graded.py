"""PyTorch's own plans of a Llama-style step, graded: cost and peak by replay, beside the bound and hcp's plan there.

Run as ``python -m benchmarks.graded [--out FOLDER]``. The rows are ``activation_memory_budget`` from 0.1 to 0.9,
``torch.utils.checkpoint`` a block, the same with two selective policies, and eager PyTorch, which keeps everything.
*replayed* is the peak of the schedule, in which values go after their last use; *as a plan* is the measured peak of the
schedule run by ``checkpoint(model, plan=schedule)``, *as PyTorch runs it* that of the way itself: compiled by
``aot_eager`` for budgets, else eager. Overhead is by the roofline model. Bounds hold for every schedule of the captured
graph with no higher peak.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch
import torch.utils.checkpoint as torch_checkpoint
from torch import nn

from benchmarks.harness import publish
from benchmarks.torch_models import LlamaBlock
from benchmarks.torch_peers import Call, Wrap, by_block, eager, inductor, planned, way_of
from benchmarks.torch_works import Work, llama
from hcp.grading import Grade, grade
from hcp.integrations.torch import ActivationBudget, BlockCheckpoint, peer_schedules
from hcp.report.tables import Table
from hcp.report.units import percent_text

aten = torch.ops.aten

HEADERS: Final = (
    "way", "overhead", "again", "replayed", "as a plan", "as PyTorch runs it", "bound", "verified", "over the bound",
    "of extra cost", "hcp", "over hcp",
)  # fmt: skip
SHARES: Final = tuple(tenths / 10 for tenths in range(1, 10))
# What selective checkpointing saves.
POLICIES: Final[Mapping[str, Sequence[Any]]] = {
    "products": (aten.mm.default, aten._scaled_dot_product_flash_attention_for_cpu.default),
    "attention": (aten._scaled_dot_product_flash_attention_for_cpu.default,),
}


@dataclass(frozen=True)
class Peer:
    """A way, as it is graded and as it is run.

    Attributes:
        way: What ``peer_schedules`` takes.
        wrap: What runs it.
    """

    way: Any
    wrap: Wrap


def peers(model: nn.Module) -> dict[str, Peer]:
    """All rows, by name."""
    budgets = {
        f"activation_memory_budget {share:g}": Peer(
            ActivationBudget(share), partial(inductor, budget=share, backend="aot_eager")
        )
        for share in SHARES
    }
    selective = {
        f"checkpoint a block, save {name}": Peer(
            BlockCheckpoint(LlamaBlock, list(saved)), partial(by_block_saving, saved=list(saved))
        )
        for name, saved in POLICIES.items()
    }
    block = {"checkpoint a block": Peer(BlockCheckpoint(LlamaBlock), by_block)}
    return {"keep everything": Peer(model, eager), **budgets, **block, **selective}


def by_block_saving(work: Work, model: nn.Module, *, saved: list[Any]) -> Call:
    """The model with selective checkpointing of each of its blocks."""
    contexts = partial(torch_checkpoint.create_selective_checkpoint_contexts, saved)
    for block in work.blocks(model):
        inner = type(block).forward.__get__(block)
        vars(block)["forward"] = partial(torch_checkpoint.checkpoint, inner, use_reentrant=False, context_fn=contexts)
    return model


def main() -> None:
    """Grades and measures every way and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--context", type=int, default=128, help="positions")
    parser.add_argument("--way", action="append", help="part of a way's name; repeat for several; all by default")
    parser.add_argument("--time-limit", "-t", type=float, default=20.0, help="seconds for each plan and bound")
    parser.add_argument("--out", type=Path, help="folder for graded.json and graded.md")
    options = parser.parse_args()
    sizes = {"layers": options.layers, "width": options.width, "batch": options.batch, "context": options.context}
    work = llama("cpu", vocabulary=512, heads=4, groups=2, inner=options.width * 8 // 3, **sizes)
    rows = graded(work, options.way, options.time_limit)
    table = Table(HEADERS, tuple(map(_cells, rows)), (False, *[True] * 6, False, *[True] * 4))
    publish("graded", table, rows, options.out, time_limit=options.time_limit, **sizes)


def graded(work: Work, chosen: Sequence[str] | None, time_limit: float) -> list[dict[str, object]]:
    """A row for each way.

    Args:
        work: What is trained.
        chosen: Parts of the names of the ways; None for all.
        time_limit: Seconds for each plan and bound.
    """
    model = work.make()
    every = peers(model)
    ways = {name: peer for name, peer in every.items() if chosen is None or any(part in name for part in chosen)}
    found = peer_schedules(model, work.batch, ways={name: peer.way for name, peer in ways.items()})
    rows = []
    for name, schedule in found.schedules.items():
        judged = grade(found.graph, schedule, name=name, time_limit=time_limit)
        rows.append(
            row(judged, measured(work, partial(planned, budget=None, plan=schedule)), measured(work, ways[name].wrap))
        )
        print(*_cells(rows[-1]), sep=" | ", flush=True)
    return rows


def measured(work: Work, wrap: Wrap) -> int:
    """Bytes that a step takes, after one that compiles."""
    way = way_of(work, wrap)
    way.step()
    return way.peak()


def row(found: Grade, as_plan: int, as_it_runs: int) -> dict[str, object]:
    """A grade with the measured peaks."""
    plan = found.to_dict().pop("plan")
    assert isinstance(plan, dict)
    kept = {key: plan[key] for key in ("status", "cost", "peak", "overhead", "gap", "seconds")}
    return found.to_dict() | {"plan": kept, "peak_as_plan": as_plan, "peak_as_it_runs": as_it_runs}


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    above = row["peak_as_it_runs"] - row["peak"]
    bound = row["bound"] / (row["cost"] / (1 + row["overhead"])) - 1
    return (
        row["schedule"],
        percent_text(row["overhead"]),
        str(row["recomputed"]),
        f"{row['peak']:,}",
        "equal" if row["peak_as_plan"] == row["peak"] else f"{row['peak_as_plan']:,}",
        f"{above:+,}" if above else "equal",
        percent_text(bound),
        "yes" if row["bound_verified"] else "no",
        percent_text(row["over_bound"]),
        percent_text(row["over_bound_of_extra"]),
        percent_text(row["plan"]["overhead"]),
        percent_text(row["over_plan"]),
    )


if __name__ == "__main__":
    main()
