"""docs/jax-recipes.md: every block runs and checks itself, on one device and on eight."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

for needed in ("flax", "optax", "equinox", "diffrax"):
    pytest.importorskip(needed)

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "jax-recipes.md"
EIGHT = "Several devices"
EIGHT_DEVICES = "--xla_force_host_platform_device_count=8"


def blocks():
    """The place, the heading and the text of each block."""
    text = PAGE.read_text(encoding="utf-8")
    for match in re.finditer(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        headings = re.findall(r"^#+ (.+)$", text[: match.start()], re.MULTILINE)
        yield text[: match.start(1)].count("\n"), headings[-1], match[1]


BLOCKS = list(blocks())
FIRST = "Recipes for JAX"
NEEDS = {"optax, with donated state": ["equinox"], EIGHT: ["A scanned decoder with names, as in MaxText"]}


@pytest.mark.parametrize("heading", [heading for _, heading, _ in BLOCKS if heading not in (FIRST, EIGHT)])
def test_every_block_runs(heading, tmp_path, monkeypatch):
    monkeypatch.setenv("HCP_CACHE", str(tmp_path))
    namespace = {"__name__": "recipes"}
    for line, other, text in BLOCKS:
        if other in (FIRST, *NEEDS.get(heading, ()), heading):
            exec(compile("\n" * line + text, str(PAGE), "exec"), namespace)


def test_on_eight_devices(tmp_path):
    """What the last block needs, and the block."""
    program = "\n".join(text for _, heading, text in BLOCKS if heading in (FIRST, *NEEDS[EIGHT], EIGHT))
    flags = {"XLA_FLAGS": f"{EIGHT_DEVICES} {os.environ.get('XLA_FLAGS', '')}", "HCP_CACHE": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", program + "\nassert jax.device_count() == 8"],
        env=os.environ | flags,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
