"""Every Python block of docs/pytorch.md runs, in the order of the page."""

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("torch")

PAGE = Path(__file__).parents[2] / "docs" / "pytorch.md"


def test_the_snippets_run(capfd, monkeypatch):
    text = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert len(blocks) >= 7
    # Dynamo wants to import the module that a function comes from.
    module = ModuleType("guide")
    monkeypatch.setitem(sys.modules, "guide", module)
    for block in blocks:
        line = text[: text.index(block)].count("\n")
        shorter = re.sub(r"time_limit=\d+", "time_limit=1", block)
        # Line numbers of errors are those of the page.
        exec(compile("\n" * line + shorter, str(PAGE), "exec"), vars(module))
    printed = capfd.readouterr()
    assert "keep-everything" in printed.out
    assert "runs unplanned" in printed.out
    assert "hcp: planning Sequential" in printed.err
