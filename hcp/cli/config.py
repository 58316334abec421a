"""Sweeps in TOML files: what ``hcp compare --config sweep.toml`` reads."""

from pathlib import Path
from typing import Any, Final

from hcp.cli.toml import known_key, read_toml
from hcp.graph.errors import HcpError

# Key in the file -> parameter of the command, and the types that it may have.
_KEYS: Final[dict[str, tuple[str, tuple[type, ...]]]] = {
    "graphs": ("graphs", (list,)),
    "budgets": ("budget", (list,)),
    "solvers": ("solver", (list,)),
    "schedules": ("schedule", (list,)),
    "time_limit": ("time_limit", (int, float)),
    "seed": ("seed", (int,)),
    "seeds": ("seeds", (int,)),
    "workers": ("workers", (int,)),
    "store": ("store", (str,)),
    "engine": ("engine", (str,)),
    "address": ("address", (str,)),
    "processes": ("processes", (int,)),
    "pareto": ("pareto", (bool,)),
    "json": ("json_file", (str,)),
    "csv": ("csv_file", (str,)),
    "markdown": ("markdown", (str,)),
    "latex": ("latex", (str,)),
    "caption": ("caption", (str,)),
    "label": ("label", (str,)),
    "html": ("html", (str,)),
    "plot": ("plot", (str,)),
    "figures": ("figure", (list,)),
    "figure_size": ("figure_size", (str,)),
}


def read_config(path: Path) -> dict[str, Any]:
    """Values for the parameters of ``hcp compare``, which its options override.

    Raises:
        HcpError: If the file cannot be read, is no TOML, or has an unknown key or a value of the wrong type.
    """
    data = read_toml(path, "config file")
    return dict(_parameter(path, key, value) for key, value in data.items())


def _parameter(path: Path, key: str, value: object) -> tuple[str, object]:
    parameter, types = _KEYS[known_key(f"config file {str(path)!r}", key, list(_KEYS))]
    items = value if isinstance(value, list) else [value]
    scalar = all(isinstance(item, str | int) and not isinstance(item, bool) for item in items)
    if type(value) not in types or (isinstance(value, list) and not scalar):
        expected = "a list of texts or numbers" if types == (list,) else types[0].__name__
        raise HcpError(f"config file {str(path)!r} has {key} = {value!r}; expected {expected}")
    return parameter, [str(item) for item in items] if isinstance(value, list) else value
