"""What the benchmarks share: the machine's description, result files, and folders of graphs."""

import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from hcp.graph.builders import load_graph
from hcp.graph.errors import HcpError
from hcp.graph.files import write_atomically
from hcp.graph.ir import Graph
from hcp.report.tables import Table

PACKAGES = ("hcp-checkpointing", "numpy", "numba", "ortools", "highspy", "pulp", "torch", "jax")


def machine() -> dict[str, object]:
    """Where the figures were measured."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "packages": versions,
    }


def graphs_in(folder: Path, names: list[str] | None = None) -> list[Graph]:
    """The graphs of a folder, in the order of their names; those named only, where names are given.

    Raises:
        HcpError: If there are none, or a name is not among them.
    """
    files = {path.stem: path for path in sorted(folder.glob("*.json"))}
    if not files:
        raise HcpError(f"no graphs in {str(folder)!r}; give a folder of graph files by --data")
    unknown = next((name for name in names or () if name not in files), None)
    if unknown is not None:
        raise HcpError(f"no graph {unknown!r} in {str(folder)!r}; choose from {', '.join(files)}")
    return [load_graph(path) for name, path in files.items() if names is None or name in names]


def publish(name: str, table: Table, rows: list[dict[str, object]], out: Path | None, **settings: object) -> None:
    """Prints a table and writes it as Markdown and JSON into a folder."""
    print(table.to_text())
    if out is None:
        return
    out.mkdir(parents=True, exist_ok=True)
    data = {"benchmark": name, "machine": machine(), "settings": settings, "rows": rows}
    write_atomically(out / f"{name}.json", json.dumps(data, indent=1) + "\n")
    write_atomically(out / f"{name}.md", f"# {name}\n\n{_described(data)}\n\n{table.to_markdown()}")


def _described(data: dict[str, object]) -> str:
    here = machine()
    settings = ", ".join(f"{key} {value}" for key, value in dict(data["settings"]).items())  # type: ignore[call-overload]
    return f"{here['processor']}, {here['cores']} cores, {here['memory_gib']} GiB; {settings}."


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
