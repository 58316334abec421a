"""docs/jax.md: every Python block runs, in order, in one namespace."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "jax.md"


def test_every_block_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = PAGE.read_text(encoding="utf-8")
    blocks = [(text[: m.start()].count("\n") + 2, m[1]) for m in re.finditer(r"```python\n(.*?)```", text, re.S)]
    assert len(blocks) >= 8
    namespace = {"__name__": "jax_page"}
    for line, block in blocks:
        shorter = re.sub(r"time_limit=\d+", "time_limit=1", block)
        exec(compile("\n" * (line - 1) + shorter, str(PAGE), "exec"), namespace)
    assert (tmp_path / "trace.json").exists()
