"""What is private in PyTorch is touched by internals.py alone, and what is private in Inductor by its folder's own."""

import ast
import re
from pathlib import Path

import pytest

import hcp

FOLDER = "hcp.integrations.torch"
PACKAGE = Path(hcp.__file__).parent / "integrations" / "torch"
FENCES = (PACKAGE / "internals.py", PACKAGE / "inductor" / "internals.py")

# Private without an underscore: the profiler's own results, and what capture notes on nodes for itself.
UNMARKED = {"kineto_results", "grapharg", "desc"}
PRIVATE_PATH = re.compile(r"torch(\.\w+)*\._\w+(\.\w+)*")


def is_private(name):
    return (name.startswith("_") and not name.endswith("__")) or name in UNMARKED


def own_names(tree):
    """What a file gives names to: functions, classes, variables, and attributes of ``self``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and of_self(node):
            yield node.attr


def of_self(node):
    return isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")


def named(node, own):
    """The names of others that a piece of code uses."""
    match node:
        case ast.Import():
            return [alias.name for alias in node.names if PRIVATE_PATH.fullmatch(alias.name)]
        case ast.ImportFrom(module=str(module)) if module.split(".")[0] == "torch":
            paths = [f"{module}.{alias.name}" for alias in node.names]
            return [path for path in paths if PRIVATE_PATH.fullmatch(path)]
        case ast.Attribute() if is_private(node.attr) and not (of_self(node) and node.attr in own):
            return [ast.unparse(node)]
        case ast.keyword(arg=str(name)) if is_private(name):
            return [f"{name}="]
        case ast.Constant(value=str(text)) if text in UNMARKED or PRIVATE_PATH.fullmatch(text):
            return [repr(text)]
        case ast.Call(func=ast.Name(id="getattr" | "setattr" | "hasattr" | "delattr")):
            return [repr(a.value) for a in node.args[1:2] if isinstance(a, ast.Constant) and is_private(str(a.value))]
    return []


# Classes that both frameworks' build on.
INHERITED = {name for path in PACKAGE.parent.glob("*.py") for name in own_names(ast.parse(path.read_text("utf-8")))}


def private_names(source):
    """Line and name of each use of what is private in PyTorch."""
    tree = ast.parse(source)
    own = INHERITED.union(own_names(tree))
    found = {(node.lineno, name) for node in ast.walk(tree) for name in named(node, own)}
    return sorted(found)


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_internals_touches_private_names(path):
    found = private_names(path.read_text(encoding="utf-8"))
    if path in FENCES:
        assert found
        return
    places = "\n".join(f"{path}:{line}: {name}" for line, name in found)
    assert not places, f"private in PyTorch; give it a word of hcp's own in {FENCES[0].name}:\n{places}"


def test_inductor_is_loaded_by_its_folder_alone():
    """It takes seconds; calls that do not ask for it do not pay them."""
    for path in sorted(PACKAGE.rglob("*.py")):
        inside = path.is_relative_to(FENCES[1].parent)
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            loads = isinstance(node, ast.ImportFrom) and str(node.module).startswith(f"{FOLDER}.inductor")
            assert inside or not loads, f"{path}:{node.lineno}: import it where it is used"


@pytest.mark.parametrize(
    "line",
    [
        "import torch._dynamo",
        "import torch._dynamo.config as config",
        "from torch import _C",
        "from torch._subclasses.fake_tensor import FakeTensor",
        "from torch.fx.graph import _BoxedCodeGen",
        "from torch.utils._pytree import tree_leaves",
        "torch._dynamo.reset()",
        "torch.utils._pytree.tree_leaves(x)",
        "target._schema.is_mutable",
        "x.untyped_storage()._cdata",
        "x._version",
        "run._boxed_call = True",
        "aten._native_batch_norm_legit.default",
        "make_fx(f, _allow_non_fake_inputs=True)",
        "getattr(module, '_compiled_call_impl')",
        "sys.modules.get('torch._dynamo')",
        "node.meta['desc']",
        "profiler.profiler.kineto_results.events()",
        "class M(nn.Module):\n    def f(self): return self._parameters",
        "class M(nn.Module):\n    def _parameters(self): return other._parameters",
    ],
)
def test_the_fence_sees(line):
    source = f"x = 1\n{line}\n"
    assert [number for number, _ in private_names(source)] in ([2], [3])


def test_the_fence_lets_own_and_public_names_pass():
    source = '''
import torch
from torch.fx.node import Argument

class Mine:
    """What torch._dynamo does."""

    def __init__(self): self._run = 1
    def _own(self): return self._run, self._own(), type(self).__name__

def _helper(_unused): raise ValueError(f"torch._dynamo.config says {_unused}; _helper")
_helper(torch.ops.aten.add.Tensor)
x = getattr(torch, "float32"), sys.modules.get("torch.distributed.fsdp"), node.meta["val"]
'''
    assert private_names(source) == []
