"""Peak memory and step time of real training steps: hcp against eager, checkpointing by hand, and PyTorch's compiler.

Run as ``python -m benchmarks.executed_torch [--profile small|medium|large] [--model gpt] [--out FOLDER]``. All ways of
one model run in one process and take turns, so that a busy machine slows all alike; a step is a forward and a backward
from cleared gradients, and its time the median. hcp plans with measured costs, at shares of the keep-everything peak
and at the measured peak of every peer. The second table asks, for each peer, whether some hcp plan has a peak no higher
and a step no slower (by the median of paired ratios).
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

import torch
from torch import nn

from benchmarks.harness import publish
from benchmarks.options import executed_options
from benchmarks.torch_peers import Call, Work, gpt, peers, resnet, unet
from benchmarks.torch_report import Measured, Verdict, points, rows_table, verdicts_table
from hcp.graph.errors import HcpError
from hcp.graph.ir import Graph
from hcp.integrations.torch import capture_graph, checkpoint, measure_peak
from hcp.integrations.torch.calibration import host_link
from hcp.planners import solve
from hcp.report.figures import plot_runs
from hcp.schedule.actions import Schedule
from hcp.schedule.host import HostLink
from hcp.schedule.plan import Plan

MODELS: Final = ("gpt", "resnet", "unet")
BUDGETS: Final = ("90%", "75%", "60%", "45%")
ACTIVATION_BUDGETS: Final = (0.5, 0.3, 0.1, 0.0)
# For each plan, by profile.
SECONDS: Final = {"small": 4.0, "medium": 12.0, "large": 30.0}


@dataclass
class Way:
    """A way of running a step, ready to run."""

    model: nn.Module
    call: Call
    batch: tuple[Any, ...]
    plan: Plan | None = None

    def step(self) -> None:
        """A forward and a backward from cleared gradients."""
        self.model.zero_grad(set_to_none=True)
        self.call(*self.batch).backward()  # type: ignore[no-untyped-call]

    def peak(self) -> int:
        """Most bytes that a step holds above its start."""
        self.model.zero_grad(set_to_none=True)
        return measure_peak(self.step)

    def gradients(self) -> list[torch.Tensor]:
        """What a step from a fixed random state gives."""
        torch.manual_seed(7)
        self.step()
        return [parameter.grad.clone() for parameter in self.model.parameters() if parameter.grad is not None]


def works(profile: str, device: str = "cpu") -> dict[str, Work]:
    """The models at a size."""
    return {
        "small": {
            "gpt": gpt(device, layers=2, width=64, heads=2, length=32, batch=4),
            "resnet": resnet(device, channels=8, stages=2, blocks=1, size=16, batch=4),
            "unet": unet(device, channels=8, levels=2, size=16, batch=4),
        },
        "medium": {
            "gpt": gpt(device, layers=4, width=128, heads=4, length=64, batch=4),
            "resnet": resnet(device, channels=16, stages=3, blocks=2, size=32, batch=8),
            "unet": unet(device, channels=16, levels=3, size=32, batch=8),
        },
        "large": {
            "gpt": gpt(device, layers=12, width=256, heads=8, length=128, batch=8),
            "resnet": resnet(device, channels=32, stages=4, blocks=4, size=64, batch=16),
            "unet": unet(device, channels=32, levels=4, size=64, batch=16),
        },
    }[profile]


def measure(
    name: str,
    work: Work,
    *,
    time_limit: float,
    rounds: int,
    inductor: bool = False,
    floor: bool = True,
    host: bool = False,
) -> tuple[list[Measured], list[Verdict]]:
    """Runs every way of one model.

    Args:
        name: Of the model.
        work: The model.
        time_limit: Seconds for each of hcp's plans.
        rounds: Timed steps of each way.
        inductor: Whether to compile kernels too.
        floor: Whether to plan at the peaks of peers as well.
        host: Whether to make plans that move values to the host and back besides those that only recompute.
    """
    ways = _peer_ways(work, inductor)
    peaks = {method: way.peak() for method, way in ways.items()}
    graph = capture_graph(work.make(), work.batch, cost="measured")
    budgets: list[int | str] = [*BUDGETS, *(sorted(set(peaks.values())) if floor else [])]
    run: set[Schedule | None] = set()
    link = host_link(work.batch[0].device.type, False) if host else None
    for budget, moves in [(budget, None) for budget in budgets] + [(budget, link) for budget in budgets if link]:
        plan = _plan(graph, budget, time_limit, moves)
        # The same plan twice would be the luckier of two measurements.
        if plan is not None and plan.schedule not in run:
            run.add(plan.schedule)
            label = f"hcp at {budget}" if isinstance(budget, str) else f"hcp at {budget:,} B"
            label += " with host" if moves is not None else ""
            ways[label] = _planned(work, plan)
            peaks[label] = ways[label].peak()
    times = paired_times({method: way.step for method, way in ways.items()}, rounds)
    reference = ways["eager"].gradients()
    rows = [
        Measured(
            model=name,
            method=method,
            peak_bytes=peaks[method],
            step_ms=1e3 * median(times[method]),
            x_eager=_ratio(times[method], times["eager"]),
            planned_peak_bytes=None if way.plan is None else way.plan.peak,
            gap=None if way.plan is None else way.plan.gap,
            equal=all(map(torch.equal, way.gradients(), reference)),
        )
        for method, way in ways.items()
    ]
    return rows, _verdicts(name, ways, peaks, times)


def _peer_ways(work: Work, inductor: bool) -> dict[str, Way]:
    ways = {}
    for method, wrap in peers(work, ACTIVATION_BUDGETS, inductor=inductor).items():
        torch._dynamo.reset()
        model = work.make()
        way = Way(model, wrap(model), work.batch)
        # The first step compiles, and prepares libraries.
        way.step()
        ways[method] = way
    return ways


def _plan(graph: Graph, budget: int | str, time_limit: float, host: HostLink | None) -> Plan | None:
    try:
        plan = solve(graph, budget, "auto", time_limit=time_limit, host=host)
    except HcpError as error:
        print(f"{graph.name} at {budget}: {error}")
        return None
    return plan if plan.schedule is not None else None


def _planned(work: Work, plan: Plan) -> Way:
    # The plan recognises its graph by the costs as well, which are not measured twice alike.
    nodes = plan.graph.node
    model = checkpoint(work.make(), plan=plan, cost=lambda operation: nodes[operation.name].cost)
    way = Way(model, model, work.batch, plan)
    way.step()
    return way


def paired_times(steps: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each step, round by round; the steps take turns, forwards and backwards."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(rounds + 1):
        for name, step in list(steps.items())[:: 1 if turn % 2 else -1]:
            _settle()
            start = time.perf_counter()
            step()
            _settle()
            # The first round warms up.
            if turn:
                times[name].append(time.perf_counter() - start)
    return times


def _settle() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _ratio(mine: list[float], theirs: list[float]) -> float:
    return median(a / b for a, b in zip(mine, theirs, strict=True))


def _verdicts(
    name: str, ways: Mapping[str, Way], peaks: Mapping[str, int], times: Mapping[str, list[float]]
) -> list[Verdict]:
    found = []
    ours = [method for method, way in ways.items() if way.plan is not None]
    for peer in ways:
        if peer in ours:
            continue
        fitting = {method: _ratio(times[method], times[peer]) for method in ours if peaks[method] <= peaks[peer]}
        best = min(fitting, key=fitting.__getitem__, default=None)
        ratio = None if best is None else fitting[best]
        found.append(Verdict(name, peer, best, ratio, _ratio(times["aot_eager"], times[peer])))
    return found


def run(works_: Mapping[str, Work], out: Path | None, *, title: str, **settings: Any) -> list[Verdict]:  # noqa: ANN401
    """Measures the models, prints the tables, and writes them with a picture for each model."""
    rows: list[Measured] = []
    verdicts: list[Verdict] = []
    for name, work in works_.items():
        found, judged = measure(name, work, **settings)
        rows += found
        verdicts += judged
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            plot_runs(points(found), out / f"{title}-{name}.png", name)
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
    chosen = {name: work for name, work in works(options.profile).items() if name in (options.model or MODELS)}
    run(
        chosen,
        options.out,
        title="executed_torch",
        time_limit=options.time_limit or SECONDS[options.profile],
        rounds=options.rounds,
        inductor=options.inductor,
        host=options.host,
    )


if __name__ == "__main__":
    main()
