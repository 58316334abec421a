"""What ends a command early, Ctrl-C, a full disk, graphs that hold nothing: one sentence, and nothing half-written."""

import errno
import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import hcp as library
from hcp import command
from hcp.graph.builders import save_graph
from hcp.graph.instances import training_chain

ROOT = Path(command.__file__).parents[1]
# Python runs this before anything else: the process gets the signal when it begins to import a module.
STARTER = """
import os, signal, sys

# Shells start background jobs with the signal ignored, and children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["AT"] and os.environ.pop("AT"):
            os.kill(os.getpid(), signal.SIGINT)

os.environ.setdefault("AT", "")
sys.meta_path.insert(0, Interrupt())
"""
COMMANDS = {
    "solve": ("solve", "training-chain:8", "-b", "70%", "-s", "cpsat", "-t", "5", "--out", "p.json"),
    "compare": ("compare", "training-chain:8", "-b", "70%", "-s", "cpsat", "-t", "5", "--latex", "t.tex"),
    "show": ("show", "training-chain:8", "--dot", "g.dot"),
    "analyze": ("analyze", "training-chain:8"),
}
EARLY = ("hcp.graph.errors", "numpy", "hcp.planners", "typer", "hcp.cli.compare_command")


def run(folder, *arguments, at="", limit=None):
    """The command in a process of its own, in a folder: its exit code and what it wrote to stdout and stderr."""
    starter = folder / "starter"
    starter.mkdir(exist_ok=True)
    (starter / "sitecustomize.py").write_text(STARTER)
    places = os.pathsep.join([str(starter), str(ROOT)])
    environment = os.environ | {"PYTHONPATH": places, "AT": at or "nothing", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "hcp.cli", *map(str, arguments)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=None if limit is None else lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    return done.returncode, done.stdout, done.stderr


def left(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != "starter")


@pytest.mark.parametrize("at", EARLY)
def test_ctrl_c_while_hcp_is_imported(tmp_path, at):
    assert run(tmp_path, *COMMANDS["solve"], at=at) == (130, "", f"{command.STOPPED}\n")
    assert left(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "at"),
    [
        ("solve", "hcp.solvers.cpsat"),
        ("solve", "ortools.sat.python"),
        ("compare", "ortools.sat.python"),
        ("compare", "hcp.report.figures"),
        ("show", "rich.console"),
        ("analyze", "rich.console"),
    ],
)
def test_ctrl_c_before_a_command_has_something_to_show(tmp_path, name, at):
    code, out, err = run(tmp_path, *COMMANDS[name], at=at)
    assert (code, out, err) == (130, "", f"{command.STOPPED}\n")
    assert left(tmp_path) == []


def test_programs_that_import_hcp_keep_their_own_handling():
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); import hcp; "
        "print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "True\n"


def test_the_signal_is_remembered_whatever_becomes_of_its_exception(monkeypatch, capsys):
    monkeypatch.setattr(command, "_asked", type(command._asked)())
    monkeypatch.setattr(sys, "argv", ["hcp", "show", "unet:2"])
    monkeypatch.setattr("hcp.cli.commands.graph_table", broken_extension)
    left_with = []
    monkeypatch.setattr(os, "_exit", lambda code: left_with.append(code) or sys.exit(code))
    from hcp.cli import main

    with pytest.raises(SystemExit):
        main()
    assert left_with == [130]
    assert capsys.readouterr().err == f"{command.STOPPED}\n"


def broken_extension(graph):
    try:
        command.raise_interrupt(signal.SIGINT, None)
    except KeyboardInterrupt:
        raise ImportError("an extension failed to load") from None


FILES = ("--plot", "--json", "--csv", "--markdown", "--latex", "--html")


@pytest.mark.parametrize("option", FILES)
def test_a_disk_that_is_full(tmp_path, option):
    pytest.importorskip("matplotlib")
    arguments = ("compare", "training-chain:4", "-b", "100%", "-s", "keep_all", "-s", "sqrt_n", option, "file.png")
    # Files may have so many bytes: what is beyond is refused in the middle of writing.
    code, _, err = run(tmp_path, *arguments, limit=200)
    assert code == 2
    assert err.startswith("hcp: error: cannot write 'file.png'")
    assert err.count("\n") == 1
    assert left(tmp_path) == []


@pytest.mark.parametrize("ending", ["png", "pdf", "svg"])
def test_a_disk_that_fills_while_a_plan_is_drawn(hcp, tmp_path, monkeypatch, ending):
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    assert hcp("solve", "training-chain:4", "-b", "100%", "-s", "keep_all", "--out", tmp_path / "p.json")[0] == 0

    def full(_figure, file, **_options):
        Path(file).write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Figure, "savefig", full)
    (tmp_path / f"x.{ending}").write_bytes(b"older")
    code, _, err = hcp("show", tmp_path / "p.json", "--plot", tmp_path / f"x.{ending}")
    assert code == 2
    assert "No space left on device" in err
    assert err.count("\n") == 1
    assert left(tmp_path) == ["p.json", f"x.{ending}"]
    assert (tmp_path / f"x.{ending}").read_bytes() == b"older"


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("file", ["empty.json", "empty.onnx"])
def test_a_file_without_bytes(hcp, tmp_path, name, file):
    if file.endswith("onnx"):
        pytest.importorskip("onnx")
    (tmp_path / file).write_bytes(b"")
    options = COMMANDS[name][2:6] if name in ("solve", "compare") else ()
    code, out, err = hcp(name, tmp_path / file, *options)
    assert (code, out) == (2, "")
    assert err.startswith("hcp: error: ")
    assert err.count("\n") == 1


@pytest.fixture
def nothing_held(tmp_path):
    """A graph whose values all have 0 bytes."""
    nodes = tuple(
        library.Node(n.name, n.op, n.inputs, tuple(library.Value(v.name, 0) for v in n.outputs), n.cost)
        for n in training_chain(4).nodes
    )
    save_graph(library.Graph(nodes, name="nothing"), tmp_path / "g.json")
    return tmp_path / "g.json"


@pytest.mark.parametrize(
    "arguments",
    [("solve", "-b", "80%"), ("compare", "-b", "80%"), ("compare", "-b", "grid:3"), ("compare", "--pareto")],
)
def test_shares_of_nothing(hcp, nothing_held, arguments):
    name, *options = arguments
    code, out, err = hcp(name, nothing_held, *options, "-s", "sqrt_n")
    assert (code, out) == (2, "")
    assert "graph 'nothing' never holds a byte, so that no share of its peak is a budget; give its values" in err
    assert err.count("\n") == 1


@pytest.mark.filterwarnings("error")
def test_a_graph_that_holds_nothing_is_planned_compared_and_drawn(hcp, nothing_held, tmp_path):
    pytest.importorskip("matplotlib")
    assert hcp("solve", nothing_held, "-b", 5, "-s", "sqrt_n", "--out", tmp_path / "p.json")[0::2] == (0, "")
    assert hcp("show", tmp_path / "p.json", "--plot", tmp_path / "p.png")[0::2] == (0, "")
    figures = [text for name in ("cost", "gap", "front") for text in ("--figure", name)]
    files = ("--plot", tmp_path / "c.png", "--json", tmp_path / "c.json", "--html", tmp_path / "c.html")
    assert hcp("compare", nothing_held, "-b", 5, "-s", "sqrt_n", *figures, *files)[0::2] == (0, "")
    (row,) = json.loads((tmp_path / "c.json").read_text())["rows"]
    assert (row["peak"], row["status"], row["optimal_verified"]) == (0, "OPTIMAL", True)
