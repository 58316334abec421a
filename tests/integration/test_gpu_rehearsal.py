"""The command for machines with a GPU, rehearsed on this one: every piece runs, and none hides the others."""

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from tests.effort import slow

torch = pytest.importorskip("torch")
pytest.importorskip("jax")

ROOT = Path(__file__).parents[2]
# Stands before everything else on the path: as on a machine without solvers.
WITHOUT_SOLVERS = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("ortools", "highspy", "pulp"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
"""


def gpu_all(out, *arguments, path=()):
    environment = os.environ | {"PYTHON": sys.executable, "PYTHONPATH": os.pathsep.join(map(str, path))}
    command = ["bash", str(ROOT / "benchmarks" / "gpu_all.sh"), "--out", str(out), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=1500)


@slow
def test_every_piece_runs_on_a_cpu_without_solvers(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(WITHOUT_SOLVERS)
    out = tmp_path / "out"
    done = gpu_all(out, "--device", "cpu", "--tiny", path=[tmp_path])
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads((out / "summary.json").read_text())
    assert sorted((row["name"], row["status"]) for row in summary["rows"]) == [
        (name, "pass") for name in ("compile", "device", "gpu_jax", "gpu_torch", "tests")
    ]
    assert summary["settings"]["rehearsal"]
    assert summary["settings"]["torch"] == torch.__version__
    assert "| gpu_torch" in (out / "summary.md").read_text()
    compiled = {row["way"]: row for row in json.loads((out / "gpu_torch.json").read_text())["rows"]}
    assert set(compiled) == {"hcp, aot_eager, 80%", "hcp, inductor, 85%"}
    for row in compiled.values():
        assert row["error"] is None
        assert row["peak_bytes"] == row["planned_bytes"] <= row["budget_bytes"] < row["eager_peak_bytes"]
        assert "ortools is not installed" in row["solver_note"] or row["overhead"] == 0
    (row,) = json.loads((out / "gpu_jax.json").read_text())["rows"]
    assert row["bytes"] <= row["budget_bytes"]
    assert int(ElementTree.parse(out / "tests.xml").getroot()[0].attrib["tests"]) > 0


@slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_every_piece_says_so(tmp_path):
    done = gpu_all(tmp_path, "--only", "device", "--only", "gpu_torch", "--only", "gpu_jax")
    assert done.returncode == 1
    rows = {row["name"]: row for row in json.loads((tmp_path / "summary.json").read_text())["rows"]}
    assert {row["status"] for row in rows.values()} == {"fail"}
    assert "sees no GPU" in rows["device"]["detail"]
    assert "sees no GPU" in rows["gpu_torch"]["detail"]
    assert "sees no gpu" in rows["gpu_jax"]["detail"]


def test_wheels_of_a_folder_are_installed_from_there_alone(tmp_path):
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    (wheels / "broken-1.0-py3-none-any.whl").write_text("no wheel")
    done = gpu_all(tmp_path / "out", "--wheels", str(wheels), "--only", "device", "--device", "cpu")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "could not be installed; going on without them" in done.stderr


def test_an_unknown_way_is_refused_with_the_choices():
    command = [sys.executable, "-m", "benchmarks.gpu_torch", "--device", "cpu", "--tiny", "--way", "magic"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 2
    assert "no way 'magic'; choose from 'compile'" in done.stderr
