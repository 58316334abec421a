"""What is not public in JAX is touched in one file; versions that were not tested are refused."""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from hcp.integrations.jax import (
    JaxVersionError,
    checkpoint_plan,
    from_jaxpr,
    grad,
    height_compressed_grad,
    internals,
    scan,
    scan_plan,
)
from hcp.integrations.jax.version import BELOW, OLDEST

ROOT = Path(__file__).parents[4]
PACKAGE = ROOT / "hcp" / "integrations" / "jax"
FENCE = "internals.py"

PRIVATE_MODULES = ("jax._src", "jax.core", "jax.extend", "jax.interpreters", "jaxlib")
# Of equations and of compiled programs; all of these depend on JAX's version.
PRIVATE_ATTRIBUTES = frozenset({"params", "primitive", "memory_analysis", "axis_types", "manual_axis_type", "vma"})
OPERATIONS = internals.FUSIBLE | internals.PLACED | internals.INDEXED | internals.RANDOM
PRIVATE_WORDS = OPERATIONS | {
    internals.PRODUCT,
    internals.CONVOLUTION,
    internals.BRANCH,
    "while",
    "NamedAxisEffect",
    "pinned_host",
    "unpinned_host",
    internals.STRIPPING_PASS,
}


def private_names(source: str) -> Iterator[tuple[int, str]]:
    """Lines and names where a source touches what is not public in JAX."""
    for node in ast.walk(ast.parse(source)):
        yield from ((node.lineno, name) for name in _private(node))


def _private(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Import(names):
            yield from (alias.name for alias in names if _in_private_module(alias.name))
        case ast.ImportFrom(module=str(module), names=names):
            yield from (full for alias in names if _in_private_module(full := f"{module}.{alias.name}"))
        case ast.Attribute(value, attr):
            if _in_private_module(ast.unparse(node)) or attr in PRIVATE_ATTRIBUTES or _is_underscored(value, attr):
                yield ast.unparse(node)
        case ast.Call(ast.Name("getattr"), [owner, ast.Constant(str(attr)), *_]):
            if attr in PRIVATE_ATTRIBUTES or _is_underscored(owner, attr):
                yield attr
        # hcp has a scan of its own, whose name is no sign by itself.
        case ast.Compare(left, _, others) if "scan" in {getattr(side, "value", None) for side in (left, *others)}:
            yield "scan"
        case ast.Constant(str(text)):
            if text in PRIVATE_WORDS or text.lstrip("-").startswith("xla_"):
                yield text


def _in_private_module(name: str) -> bool:
    return any(name == module or name.startswith(f"{module}.") for module in PRIVATE_MODULES)


def _is_underscored(owner: ast.expr, attr: str) -> bool:
    own = isinstance(owner, ast.Name) and owner.id in {"self", "cls"}
    return attr.startswith("_") and not attr.endswith("__") and not own


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.name)
def test_only_the_fence_touches_what_is_not_public(path):
    found = [f"{path.relative_to(ROOT)}:{line}: {name}" for line, name in private_names(path.read_text())]
    if path.name == FENCE:
        assert found
    else:
        assert not found, f"move to {FENCE}:\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("import jax._src.core", "jax._src.core"),
        ("import jax.extend as x", "jax.extend"),
        ("from jax import core", "jax.core"),
        ("from jax.extend import core", "jax.extend.core"),
        ("from jax._src.core import Var", "jax._src.core.Var"),
        ("from jax.interpreters import mlir", "jax.interpreters.mlir"),
        ("import jax\njax.core.eval_jaxpr(a, b)", "jax.core"),
        ("array._value", "array._value"),
        ("getattr(array, '_value', None)", "_value"),
        ("equation.params['jaxpr']", "equation.params"),
        ("getattr(equation, 'params')['jaxpr']", "params"),
        ("equation.primitive is p", "equation.primitive"),
        ("name == 'dynamic_slice'", "dynamic_slice"),
        ("if name == 'scan': pass", "scan"),
        ("options = {'xla_backend_optimization_level': 0}", "xla_backend_optimization_level"),
        ("compiled.memory_analysis()", "compiled.memory_analysis"),
    ],
)
def test_the_finder_finds(source, name):
    lines = len(source.splitlines())
    assert (lines, name) in set(private_names(source))


@pytest.mark.parametrize(
    "source",
    [
        "import jax\nimport jax.numpy as jnp\nfrom jax.sharding import NamedSharding",
        "self._compiled[key] = jax.jit(function)",
        "cls._known",
        "type(leaf).__name__",
        "jax.core_count",
        "'a scan, such as add'",
        "from hcp.integrations.jax.internals import Scan",
    ],
)
def test_the_finder_lets_pass(source):
    assert not list(private_names(source))


def _loss(x):
    return (x**2).sum()


def _step(carry, _):
    return carry * 2, None


X = jnp.ones(4)
PLANNING = {
    "grad": lambda: grad(_loss, budget="100%", solver="keep_all")(X),
    "within jit": lambda: jax.jit(grad(_loss, budget="100%", solver="keep_all"))(X),
    "checkpoint_plan": lambda: checkpoint_plan(_loss, X, budget="100%", solver="keep_all"),
    "height_compressed_grad": lambda: height_compressed_grad(_loss)(X),
    "from_jaxpr": lambda: from_jaxpr(jax.make_jaxpr(_loss)(X)),
    "scan": lambda: scan(_step, X, None, 3, budget="100%"),
    "scan_plan": lambda: scan_plan(_step, X, None, 3, budget="100%"),
}


@pytest.mark.parametrize("version", ["0.9.2", "0.11.0", "1.0.0.dev20270101", "0.11.0+local"])
@pytest.mark.parametrize("plan", PLANNING.values(), ids=PLANNING.keys())
def test_versions_that_were_not_tested_are_refused_where_something_is_planned(monkeypatch, plan, version):
    monkeypatch.setattr(jax, "__version__", version)
    with pytest.raises(JaxVersionError) as caught:
        plan()
    assert str(caught.value).startswith(f"JAX {version} is not among the versions tested with hcp")
    assert "from 0.10 and below 0.11; install one of them: pip install 'jax>=0.10,<0.11'" in str(caught.value)


@pytest.mark.parametrize("version", ["0.10.0", "0.10.2", "0.10.9.dev20260701+local"])
def test_versions_in_range_are_taken(monkeypatch, version):
    monkeypatch.setattr(jax, "__version__", version)
    assert from_jaxpr(jax.make_jaxpr(_loss)(X), calibrate=False).nodes


def test_who_tests_a_version_can_let_it_run(monkeypatch):
    monkeypatch.setattr(jax, "__version__", "0.11.0")
    monkeypatch.setenv("HCP_UNTESTED_JAX", "0")
    with pytest.raises(JaxVersionError):
        from_jaxpr(jax.make_jaxpr(_loss)(X), calibrate=False)
    monkeypatch.setenv("HCP_UNTESTED_JAX", "1")
    assert from_jaxpr(jax.make_jaxpr(_loss)(X), calibrate=False).nodes


def test_a_function_is_made_with_any_version(monkeypatch):
    monkeypatch.setattr(jax, "__version__", "0.11.0")
    assert grad(_loss, budget="100%").plans == []


def test_the_range_is_the_one_that_is_installed():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    low, high = (".".join(map(str, version)) for version in (OLDEST, BELOW))
    assert project["optional-dependencies"]["jax"] == [f"{name}>={low},<{high}" for name in ("jax", "jaxlib")]
