"""The package as a whole: what importing it loads, its public names, and the root's links."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import hcp

ROOT = Path(__file__).parents[2]
HEAVY = ["torch", "jax", "ortools", "pulp", "highspy", "matplotlib", "numba", "scipy", "networkx", "onnx"]


def loaded_by(code):
    script = f"{code}\nimport sys, json\nprint(json.dumps(sorted(name.partition('.')[0] for name in sys.modules)))"
    output = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    return set(json.loads(output.splitlines()[-1]))


@pytest.mark.parametrize(
    "code",
    [
        "import hcp",
        "import hcp.cli",
        "from hcp.graph.instances import unet; import hcp; hcp.solve(unet(2), '80%', 'sqrt_n')",
    ],
)
def test_no_framework_and_no_solver_is_loaded(code):
    assert loaded_by(code).isdisjoint(HEAVY)


def test_public_names_are_there():
    for name in hcp.__all__:
        assert getattr(hcp, name) is not None


def test_compare_is_the_function_even_after_its_module_is_imported():
    import hcp.compare as _  # noqa: F401

    assert callable(hcp.compare)


@pytest.mark.parametrize("name", ["solvers", "heuristics", "integrations"])
def test_root_links_point_into_the_package(name):
    link = ROOT / name
    if not link.is_symlink():
        pytest.skip("this checkout has no links")
    assert not link.readlink().is_absolute()
    assert link.resolve() == (ROOT / "hcp" / name).resolve()
