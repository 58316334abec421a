"""Every example runs as a script, in an empty folder."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.effort import THOROUGH

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.py"))
# The others do what the documentation does, whose blocks are run as well.
QUICK = [path for path in EXAMPLES if path.stem not in ("will_it_fit_torch", "checkpoint_torch_model")]
# What an example needs, by a part of its name.
NEEDS = {"torch": "torch", "jax": "jax", "onnx": "onnx", "paper": "matplotlib"}


@pytest.mark.parametrize("example", EXAMPLES if THOROUGH else QUICK, ids=lambda path: path.stem)
def test_example_runs(example, tmp_path):
    for part, package in NEEDS.items():
        if part in example.stem:
            pytest.importorskip(package)
    done = subprocess.run([sys.executable, str(example)], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "peak" in done.stdout
    if "paper" in example.stem:
        assert {path.name for path in tmp_path.iterdir()} == {"table.tex", "cost.pdf", "sweep.db"}
