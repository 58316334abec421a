"""Makes the graphs of the library of instances, and plans them.

python -m benchmarks.instances make                      # captures every graph; what is known of a graph stays
python -m benchmarks.instances solve -b 50% -t 120       # plans, and takes over what is better
"""

import argparse
import platform
from collections.abc import Iterator
from datetime import date
from importlib.metadata import version
from typing import Final

import hcp
from benchmarks.instances import generated
from benchmarks.instances.specs import Spec
from hcp.graph.errors import HcpError
from hcp.instances.library import INDEX, folder, load, names, save, summaries
from hcp.instances.record import Instance
from hcp.instances.submission import submitted
from hcp.report.units import percent_text

_LICENCE: Final = "Apache-2.0"


def specs() -> Iterator[Spec]:
    """All instances; frameworks are imported here and not before."""
    from benchmarks.instances import jax_steps, torch_steps

    yield from generated.specs()
    yield from torch_steps.specs()
    yield from jax_steps.specs()


def make(chosen: list[str]) -> None:
    """Captures graphs into the library."""
    known = set(names()) if (folder() / INDEX).exists() else set()
    for spec in specs():
        if chosen and spec.name not in chosen:
            continue
        graph = spec.make()
        old = load(spec.name) if spec.name in known else None
        kept = old.best if old is not None and old.graph.fingerprint == graph.fingerprint else ()
        packages = ("hcp-checkpointing", *spec.packages)
        provenance = {
            "made by": f"python -m benchmarks.instances make {spec.name}",
            "versions": ", ".join(f"{name} {version(name)}" for name in packages) + f", Python {_python()}",
            "shapes": spec.shapes,
            "costs": spec.costs,
            "licence": _LICENCE,
        }
        save(Instance(spec.name, graph, spec.family, spec.level, spec.training, spec.title, provenance, kept))
        print(f"{spec.name}: {len(graph.nodes)} nodes, {'kept' if kept else 'no'} plans", flush=True)


def _python() -> str:
    return ".".join(platform.python_version_tuple()[:2])


def solve(chosen: list[str], budgets: list[str], time_limit: float, solver: str, seed: int) -> None:
    """Plans instances, the smallest first, and takes over what is better."""
    rows = [row for row in summaries() if not chosen or row.name in chosen]
    for row in sorted(rows, key=lambda row: row.nodes):
        for budget in budgets:
            instance = load(row.name)
            try:
                plan = hcp.solve(instance.graph, budget, solver, time_limit=time_limit, seed=seed)
                by = f"hcp {version('hcp-checkpointing')} {solver}"
                change = submitted(instance, plan, by, date.today().isoformat(), budget)
            except HcpError as error:
                print(f"{row.name} at {budget}: {error}", flush=True)
                continue
            if change.any:
                save(change.instance)
                gap = percent_text(change.instance.best_at(change.budget).gap)
            print(f"{row.name} at {budget}: {f'better, gap {gap}' if change.any else 'as it was'}", flush=True)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.instances", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    maker = commands.add_parser("make")
    maker.add_argument("names", nargs="*")
    solver = commands.add_parser("solve")
    solver.add_argument("names", nargs="*")
    solver.add_argument("-b", "--budget", action="append", default=[])
    solver.add_argument("-t", "--time-limit", type=float, default=120.0)
    solver.add_argument("-s", "--solver", default="auto")
    solver.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.command == "make":
        make(options.names)
    else:
        solve(options.names, options.budget or ["50%"], options.time_limit, options.solver, options.seed)


if __name__ == "__main__":
    main()
