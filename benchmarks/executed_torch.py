"""Peak memory and step time of real training steps: hcp against eager, checkpointing by hand, and PyTorch's compiler.

Run as ``python -m benchmarks.executed_torch [--profile small|medium|large] [--model gpt] [--out FOLDER]``. Each way
runs in a process of its own, one after the other, with eager beside it: what is compiled for one would otherwise serve
the next. The two take turns, so that a busy machine slows both alike; a step is a forward and a backward from cleared
gradients, its time the median, and its ratio to eager the median of the paired ratios. That of eager itself is to a
second eager, and shows what the clock can tell. hcp plans with measured costs, at shares of the keep-everything peak
and at the measured peak of every peer. The second table asks, for each peer, whether some hcp plan has a peak no higher
and a step no slower, by their ratios to eager.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from benchmarks.harness import Pace, alone, paired, publish
from benchmarks.options import ROUNDS, executed_options
from benchmarks.torch_peers import Call, Work, Wrap, eager, gpt, peers, resnet, unet
from benchmarks.torch_report import Failed, Measured, Verdict, points, rows_table, verdicts_of, verdicts_table
from hcp import Plan
from hcp.graph.errors import HcpError
from hcp.graph.ir import Graph
from hcp.integrations.torch import capture_graph, checkpoint, measure_peak
from hcp.integrations.torch.calibration import host_link
from hcp.planners import solve
from hcp.report.figures import plot_runs
from hcp.schedule.actions import Schedule
from hcp.schedule.host import HostLink

# Makes a model and its batch, in the process that measures.
Build = Callable[[], Work]
MODELS: Final = ("gpt", "resnet", "unet")
BUDGETS: Final = ("90%", "75%", "60%", "45%")
ACTIVATION_BUDGETS: Final = (0.5, 0.3, 0.1, 0.0)
# For each plan, by profile.
SECONDS: Final = {"small": 4.0, "medium": 12.0, "large": 30.0}


@dataclass(frozen=True)
class Way:
    """A way of running a step, ready to run."""

    model: nn.Module
    call: Call
    batch: tuple[Any, ...]

    def step(self) -> None:
        """A forward and a backward from cleared gradients."""
        self.model.zero_grad(set_to_none=True)
        self.call(*self.batch).backward()  # type: ignore[no-untyped-call]
        if torch.cuda.is_available():
            torch.cuda.synchronize()

    def peak(self) -> int:
        """Most bytes that a step holds above its start."""
        self.model.zero_grad(set_to_none=True)
        return measure_peak(self.step)

    def gradients(self) -> list[torch.Tensor]:
        """What a step from a fixed random state gives."""
        torch.manual_seed(7)
        self.step()
        return [parameter.grad.clone() for parameter in self.model.parameters() if parameter.grad is not None]


@dataclass(frozen=True)
class Found:
    """What a process found of one way: its peak, its pace beside eager, and whether the gradients are eager's."""

    peak_bytes: int
    pace: Pace
    equal: bool


def works(profile: str, device: str = "cpu") -> Mapping[str, Build]:
    """The models at a size."""
    return {
        "small": {
            "gpt": partial(gpt, device, layers=2, width=64, heads=2, length=32, batch=4),
            "resnet": partial(resnet, device, channels=8, stages=2, blocks=1, size=16, batch=4),
            "unet": partial(unet, device, channels=8, levels=2, size=16, batch=4),
        },
        "medium": {
            "gpt": partial(gpt, device, layers=4, width=128, heads=4, length=64, batch=4),
            "resnet": partial(resnet, device, channels=16, stages=3, blocks=2, size=32, batch=8),
            "unet": partial(unet, device, channels=16, levels=3, size=32, batch=8),
        },
        "large": {
            "gpt": partial(gpt, device, layers=12, width=256, heads=8, length=128, batch=8),
            "resnet": partial(resnet, device, channels=32, stages=4, blocks=4, size=64, batch=16),
            "unet": partial(unet, device, channels=32, levels=4, size=64, batch=16),
        },
    }[profile]


def measure(
    name: str,
    build: Build,
    *,
    time_limit: float,
    rounds: int,
    inductor: bool = False,
    floor: bool = True,
    host: HostLink | None = None,
) -> list[Measured | Failed]:
    """Runs every way of one model.

    Args:
        name: Of the model.
        build: Makes the model.
        time_limit: Seconds for each of hcp's plans.
        rounds: Timed steps of each way.
        inductor: Whether to compile kernels too.
        floor: Whether to plan at the peaks of peers as well.
        host: Where given, there are plans that move values over it besides those that only recompute.
    """
    threads = torch.get_num_threads()
    measured = partial(_measured, build, rounds, threads)
    wraps = peers(ACTIVATION_BUDGETS, inductor=inductor)
    rows = [_row(name, method, partial(measured, wrap)) for method, wrap in wraps.items()]
    peaks = sorted({row.peak_bytes for row in rows if isinstance(row, Measured)}) if floor else []
    try:
        graph = alone(partial(_captured, build, threads))
    except HcpError as error:
        return [*rows, Failed(name, "hcp", str(error))]
    run: set[Schedule | None] = set()
    budgets: list[int | str] = [*BUDGETS, *peaks]
    for link, budget in product((None, host) if host else (None,), budgets):
        label = _label(budget, link)
        try:
            plan = _plan(graph, budget, time_limit, link)
        except HcpError as error:
            rows.append(Failed(name, label, str(error)))
            continue
        # The same plan twice would be the luckier of two measurements.
        if plan.schedule not in run:
            run.add(plan.schedule)
            rows.append(_row(name, label, partial(measured, partial(_planned, plan=plan)), plan))
    return rows


def _label(budget: int | str, link: HostLink | None) -> str:
    label = f"hcp at {budget}" if isinstance(budget, str) else f"hcp at {budget:,} B"
    return label if link is None else f"{label} with host"


def _plan(graph: Graph, budget: int | str, time_limit: float, link: HostLink | None) -> Plan:
    plan = solve(graph, budget, "auto", time_limit=time_limit, host=link)
    if plan.schedule is None:
        raise HcpError(f"no plan within {time_limit:g} s: {plan.status.remedy}")
    return plan


def _row(name: str, method: str, task: Callable[[], Found], plan: Plan | None = None) -> Measured | Failed:
    try:
        found = alone(task)
    except HcpError as error:
        return Failed(name, method, str(error))
    return Measured(
        model=name,
        method=method,
        peak_bytes=found.peak_bytes,
        step_ms=found.pace.step_ms,
        x_eager=found.pace.ratio,
        planned_peak_bytes=None if plan is None else plan.peak,
        gap=None if plan is None else plan.gap,
        equal=found.equal,
    )


def _captured(build: Build, threads: int) -> Graph:
    torch.set_num_threads(threads)
    work = build()
    return capture_graph(work.make(), work.batch, cost="measured")


def _measured(build: Build, rounds: int, threads: int, wrap: Wrap) -> Found:
    torch.set_num_threads(threads)
    work = build()
    way, plain = _way(work, wrap), _way(work, eager)
    peak = way.peak()
    pace = paired(way.step, plain.step, rounds)
    return Found(peak, pace, all(map(torch.equal, way.gradients(), plain.gradients())))


def _way(work: Work, wrap: Wrap) -> Way:
    model = work.make()
    way = Way(model, wrap(work, model), work.batch)
    # The first step compiles, and prepares libraries.
    way.step()
    return way


def _planned(work: Work, model: nn.Module, *, plan: Plan) -> Call:  # noqa: ARG001 - a wrap
    # The plan recognises its graph by the costs as well, which are not measured twice alike.
    nodes = plan.graph.node
    return checkpoint(model, plan=plan, cost=lambda operation: nodes[operation.name].cost)


def run(
    chosen: Mapping[str, Build],
    out: Path | None,
    *,
    title: str,
    host: HostLink | None = None,
    **settings: Any,  # noqa: ANN401
) -> list[Verdict]:
    """Measures the models, prints the tables, and writes them with a picture for each model."""
    rows: list[Measured | Failed] = []
    verdicts: list[Verdict] = []
    for name, build in chosen.items():
        found = measure(name, build, host=host, **settings)
        rows += found
        verdicts += verdicts_of(found)
        if out is not None and points(found):
            out.mkdir(parents=True, exist_ok=True)
            plot_runs(points(found), out / f"{title}-{name}.png", name)
    settings["host"] = host and host.to_dict()
    publish(f"{title}_pareto", verdicts_table(verdicts), [asdict(verdict) for verdict in verdicts], out, **settings)
    publish(title, rows_table(rows), [asdict(row) for row in rows], out, **settings)
    return verdicts


def main() -> None:
    """Runs the comparison on the CPU, on one thread."""
    parser = executed_options(__doc__, MODELS)
    parser.add_argument("--inductor", action="store_true", help="compile kernels as well, which takes minutes")
    parser.add_argument("--host", action="store_true", help="let plans move values to the host and back as well")
    options = parser.parse_args()
    torch.set_num_threads(1)
    chosen = {name: build for name, build in works(options.profile).items() if name in (options.model or MODELS)}
    run(
        chosen,
        options.out,
        title="executed_torch",
        time_limit=options.time_limit or SECONDS[options.profile],
        rounds=options.rounds or ROUNDS[options.profile],
        inductor=options.inductor,
        host=host_link("cpu", False) if options.host else None,
    )


if __name__ == "__main__":
    main()
