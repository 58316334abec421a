"""Fetches the graphs of the MOCCASIN paper (Bartan et al., 2023) and writes them as files that hcp reads.

python -m benchmarks.instances.moccasin --out FOLDER                # clones the authors' repository, with git
python -m benchmarks.instances.moccasin --out FOLDER --clone PATH   # takes a clone that is there already

They are under GPL-3 and no part of hcp. Values stay as they are; attributes get hcp's names.
"""

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from hcp.graph.builders import from_node_link, save_graph
from hcp.graph.errors import HcpError

_REPOSITORY: Final = "https://github.com/haoming-codes/moccasin"
# What costs and sizes are called: in Checkmate's graphs, and in random layered ones.
_COSTS: Final = ("cost_cpu", "duration")
_SIZES: Final = ("cost_ram", "out_cost")


def converted(data: Mapping[str, Any], name: str) -> dict[str, Any]:
    """One of their graphs with the attributes that hcp reads.

    Raises:
        HcpError: If a node has no cost or size.
    """
    nodes = []
    for place, node in enumerate(data["nodes"]):
        # Random graphs of networkx before 3 name nodes by ``name`` alone.
        identity = node.get("id", node.get("name", place))
        found = [next((node[key] for key in keys if key in node), None) for keys in (_COSTS, _SIZES)]
        if None in found:
            raise HcpError(f"node {identity!r} of {name!r} has no cost or size; expected {_COSTS} and {_SIZES}")
        nodes.append({"id": identity, "name": str(node.get("name", identity)), "cost": found[0], "bytes": found[1]})
    about = {"name": name} | ({"order": data["graph"]["order"]} if "order" in data["graph"] else {})
    links = [{"source": link["source"], "target": link["target"]} for link in data.get("links", data.get("edges", ()))]
    return {"directed": True, "multigraph": False, "graph": about, "nodes": nodes, "links": links}


def convert(clone: Path, out: Path) -> list[Path]:
    """Writes every graph of a clone into a folder; returns the files.

    Raises:
        HcpError: If there are none, or one cannot be read.
    """
    files = sorted((clone / "data").glob("*.json"))
    if not files:
        raise HcpError(f"there are no graphs in {str(clone / 'data')!r}; give a clone of {_REPOSITORY}")
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for file in files:
        name = re.sub(r"[^A-Za-z0-9.]+", "-", file.stem.removesuffix("_nx")).strip("-")
        try:
            graph = from_node_link(converted(json.loads(file.read_text()), name), name)
        except (KeyError, TypeError, ValueError) as error:
            raise HcpError(f"graph file {str(file)!r} is not as expected ({error})") from None
        save_graph(graph, out / f"{name}.json")
        written.append(out / f"{name}.json")
    return written


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.instances.moccasin", description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--clone", type=Path)
    options = parser.parse_args()
    try:
        with TemporaryDirectory() as folder:
            clone = options.clone or Path(folder) / "moccasin"
            if options.clone is None:
                command = ["git", "clone", "--quiet", "--depth", "1", _REPOSITORY, str(clone)]
                if subprocess.run(command, check=False).returncode:
                    raise HcpError(f"git could not clone {_REPOSITORY}; clone it yourself, and give --clone PATH")
            for file in convert(clone, options.out):
                print(file)
    except HcpError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
