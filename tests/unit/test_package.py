"""The package as a whole: what importing it loads, its public names, and the root's links."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import hcp

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "hcp"
MOST_BRANCHES, MOST_LINES = 15, 50
EXCUSE = "# Long on purpose: "
HEAVY = ["torch", "jax", "ortools", "pulp", "highspy", "matplotlib", "plotly", "numba", "scipy", "networkx", "onnx"]


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


def functions_of(path):
    """Every function of a file, methods and inner ones included, with the line above it."""
    text = path.read_text(encoding="utf-8")
    lines = ["", *text.splitlines()]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            yield node, lines[first - 1].strip()


def body_lines(function):
    """Lines from the first statement behind the docstring to the last."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def branches(function):
    """What makes a reader think of two cases.

    One each for: if and elif, a conditional expression, a loop, a comprehension's for and if, except, assert, a case of
    a match, and every and, or between two conditions. Inner functions count as well.
    """
    one_each = (ast.If, ast.IfExp, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.Assert, ast.match_case)
    count = 0
    for node in ast.walk(function):
        if isinstance(node, one_each):
            count += 1
        elif isinstance(node, ast.comprehension):
            count += 1 + len(node.ifs)
        elif isinstance(node, ast.BoolOp):
            count += len(node.values) - 1
    return count


def test_functions_are_short_but_where_a_comment_says_why():
    long, excused = [], []
    for path in sorted(PACKAGE.rglob("*.py")):
        for function, above in functions_of(path):
            if branches(function) > MOST_BRANCHES or body_lines(function) > MOST_LINES:
                where = f"{path.relative_to(ROOT)}:{function.lineno} {function.name}"
                what = f"{where}: {body_lines(function)} lines, {branches(function)} branches"
                (excused if above.startswith(EXCUSE) else long).append(what)
            else:
                assert not above.startswith(EXCUSE), f"{path}: {function.name} is short and needs no excuse"
    assert not long, f"take them apart, or say why not in a comment above that begins with {EXCUSE!r}"
    assert len(excused) <= 3, "excuses are for few"


def test_branches_are_counted():
    source = """
def f(a):
    "Text."
    if a and a or [b for b in a if b]:
        return 1 if a else 0
    elif a:
        for _ in a: pass
    def g():
        assert a
"""
    (function,) = ast.parse(source).body
    # if, and, or, for and if of the comprehension, the conditional expression, elif, for, assert.
    assert branches(function) == 9
    assert body_lines(function) == 6


def test_every_package_has_its_mirror_among_the_unit_tests():
    packages = {path.parent.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py") if path.name != "__init__.py"}
    missing = [str(part) for part in sorted(packages) if not list((ROOT / "tests" / "unit" / part).glob("test_*.py"))]
    assert not missing, "write tests of these packages of hcp in the folder of the same name under tests/unit"
