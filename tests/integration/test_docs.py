"""Every code block of the README and the documentation runs.

Shell lines that start with ``hcp`` run as they are, with shorter time limits; of the others (make, pip, git, modules)
what they name has to exist. Pages with a test of their own are left out.
"""

import re
import shlex
import subprocess
import sys
import tomllib
from functools import partial
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import pytest

import hcp
from hcp import cli
from hcp.graph.instances import unet

ROOT = Path(__file__).parents[2]
# Run by tests of the integrations.
ELSEWHERE = {"pytorch.md", "jax.md", "jax-recipes.md", "recipes.md"}
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(path for path in (ROOT / "docs").glob("*.md") if path.name not in ELSEWHERE),
]
SECONDS = "0.5"


def blocks(page):
    """Language, first line and text of every fenced or indented block."""
    text = page.read_text(encoding="utf-8")
    found = [
        (m[1], text[: m.start()].count("\n") + 1, m[2]) for m in re.finditer(r"^```(\w+)\n(.*?)^```", text, re.M | re.S)
    ]
    plain = re.sub(r"^```.*?^```", lambda m: "\n" * m[0].count("\n"), text, flags=re.M | re.S)
    for match in re.finditer(r"(?<=\n\n)(?:    .*\n(?:\n(?=    ))?)+", plain):
        found.append(("sh", plain[: match.start()].count("\n"), match[0]))
    return sorted(found, key=lambda block: block[1])


def run_shell(line, monkeypatch, capsys):
    words = shlex.split(line, comments=True)
    if not words:
        return
    program = words[0]
    if program == "hcp":
        if words[1] == "demo":
            # It has a test of its own.
            return
        words = [SECONDS if before in ("-t", "--time-limit") else word for before, word in pairwise(["", *words])]
        if words[1] in ("solve", "compare", "minimize") and not {"-t", "--time-limit"} & set(words):
            words += ["-t", SECONDS]
        monkeypatch.setattr(sys, "argv", words)
        # The command ends its process at once where a solver still runs, and this one has other blocks to run.
        monkeypatch.setattr(cli, "_exit", sys.exit)
        with pytest.raises(SystemExit) as caught:
            cli.main()
        out, err = capsys.readouterr()
        assert not caught.value.code, f"{line}: {err}"
        assert out
    elif program == "hcp-check":
        command = [sys.executable, ROOT / "tools/check_plan.py", *words[1:]]
        done = subprocess.run(command, capture_output=True, check=False)
        assert done.returncode == 0, f"{line}: {done.stderr.decode()}"
    elif program == "make":
        targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M)
        assert words[1] in targets, line
    elif program == "pip":
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        for extra in re.findall(r"\[([\w,]+)\]", line)[0].split(","):
            assert extra in extras, line
    elif program == "python":
        assert find_spec(words[2]) is not None, line
    elif program.startswith(".venv/bin/"):
        assert program.removeprefix(".venv/bin/") in ("pre-commit", "python"), line
    else:
        assert set(line) & set(">{}"), f"nobody runs {line!r}"


@pytest.fixture(scope="module", autouse=True)
def _imported():
    """What planners and commands import when they are first used would take more than the short limits here."""
    hcp.solve(unet(1), "80%", time_limit=10)
    from hcp.cli import options, plan_commands  # noqa: F401


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_blocks_run(page, tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    hcp.save_graph(unet(2), "graph.json")
    monkeypatch.setattr("hcp.planners.PLANNERS", hcp.PLANNERS)
    # The search for the smallest budget of a grid.
    monkeypatch.setattr("hcp.feasibility.SECONDS", 0.5)
    for name in ("solve", "compare"):
        monkeypatch.setattr(hcp, name, partial(getattr(hcp, name), time_limit=float(SECONDS)))
    names = {"__name__": "page"}
    for language, line, text in blocks(page):
        if language == "python":
            if "integrations.torch" in text:
                pytest.importorskip("torch")
                from torch import nn

                names.setdefault("model", nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4)))
            shorter = re.sub(r"time_limit=\d+", f"time_limit={SECONDS}", text)
            file = re.match(r"# (\S+\.py)\n", text)
            if file is not None:
                (tmp_path / file[1]).write_text(text)
            module = sys.modules.setdefault("page", type(sys)("page"))
            vars(module).update(names)
            # Line numbers of errors are those of the page.
            exec(compile("\n" * line + shorter, str(page), "exec"), vars(module))
            names.update(vars(module))
        elif language == "toml":
            file = re.match(r"# (\S+)", text)[1]
            (tmp_path / file).write_text(re.sub(r"time_limit = \d+", f"time_limit = {SECONDS}", text))
        elif language == "sh":
            for command in text.splitlines():
                run_shell(command.strip(), monkeypatch, capsys)
        else:
            assert language == "text", f"{page.name}, line {line}: nobody runs {language!r}"
    sys.modules.pop("page", None)
