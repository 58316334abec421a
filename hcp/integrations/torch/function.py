"""A function as what is planned: a whole training step, with the loss, for which the modules that it calls are found.

Everything else plans modules. An adapter is one: its forward calls the function, and its children are the modules that
the function reaches by its closure, its globals, its defaults, or the object that it is a method of.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from functools import partial, update_wrapper
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any, NoReturn

from torch import Tensor, nn

from hcp.integrations.torch.errors import TorchError


class FunctionStep(nn.Module):
    """A function as a module.

    Args:
        function: What the forward calls.
        modules: What it calls in turn, by name.
    """

    def __init__(self, function: Callable[..., Any], modules: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.function = function
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - whatever the function takes and returns
        """What the function returns."""
        return self.function(*args, **kwargs)


class PlannedFunction:
    """What ``checkpoint`` makes of a function: called as it is, it runs planned.

    No module, so that the modules which it calls can hold it. Copies are itself, as those of functions are.

    Args:
        step: The adapter, prepared.
    """

    def __init__(self, step: FunctionStep) -> None:
        self.step = step
        update_wrapper(self, _innermost(step.function))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - whatever the function takes and returns
        """Runs the function planned."""
        return self.step(*args, **kwargs)

    def __deepcopy__(self, _memo: object) -> "PlannedFunction":
        return self

    def __reduce__(self) -> NoReturn:
        raise TorchError(
            f"{type(self.step).__name__} is a planned function, which cannot be pickled; pickle the modules that it "
            "calls, and prepare the function with checkpoint() where they are loaded"
        )


def module_of(step: object, function: str) -> nn.Module:
    """A module itself, or the adapter of a function.

    Args:
        step: Module or function.
        function: Of hcp's, that was given it.

    Raises:
        TorchError: If it is neither, or a function that reaches no module.
    """
    if isinstance(step, nn.Module):
        return step
    if isinstance(step, PlannedFunction):
        return step.step
    if not isinstance(step, FunctionType | MethodType | partial):
        what = f"the class {step.__name__}" if isinstance(step, type) else f"{type(step).__name__!r} object"
        raise TorchError(f"{function}() got {what}; give it a torch.nn.Module, or a function that calls modules")
    name = getattr(_innermost(step), "__name__", "step")
    found = tuple(_modules_of(step, frozenset(), set()))
    if not found:
        raise TorchError(
            f"{function}() found no torch.nn.Module that {name}() calls, in its closure, its globals, its defaults, or "
            "the object that it is a method of; have it call one that is there, or give the module itself"
        )
    # Of a class of its own, since that is what messages call a module by.
    adapter: type[FunctionStep] = type(name, (FunctionStep,), {"__module__": __name__})
    return adapter(step, {f"module{place}": module for place, module in enumerate(found)})


def _innermost(function: Any) -> Any:  # noqa: ANN401 - any callable
    while isinstance(function, partial):
        function = function.func
    return function


def _modules_of(item: object, names: Set[str], seen: set[int]) -> Iterator[nn.Module]:
    """The modules that something is, holds or calls, once each.

    Args:
        item: It.
        names: Attributes that who holds it looks at.
        seen: Identities of what was looked at already.
    """
    if id(item) in seen or isinstance(item, type | Tensor | str | bytes):
        return
    seen.add(id(item))
    if isinstance(item, nn.Module):
        yield item
        return
    for part, read in _parts(item, names):
        yield from _modules_of(part, read, seen)


def _parts(item: object, names: Set[str]) -> Iterator[tuple[object, Set[str]]]:
    """What something holds, with the attributes that are looked at there."""
    parts: Iterable[object] = ()
    if isinstance(item, PlannedFunction):
        parts = item.step.children()
    elif isinstance(item, FunctionType):
        names, parts = _names_in(item.__code__), _read_by(item)
    elif isinstance(item, MethodType):
        names, parts = _names_in(item.__func__.__code__), (item.__self__, item.__func__)
    elif isinstance(item, partial):
        names, parts = names | _names_of(item), (item.func, *item.args, *item.keywords.values())
    elif isinstance(item, Mapping):
        parts = tuple(item.values())
    elif isinstance(item, list | tuple | set | frozenset):
        parts = tuple(item)
    elif hasattr(item, "__dict__"):
        held = (vars(item)[name] for name in names if name in vars(item))
        # Of a package the modules alone: its functions lead to all of it.
        parts = tuple(part for part in held if not isinstance(item, ModuleType) or isinstance(part, nn.Module))
    for part in parts:
        yield part, names


def _read_by(function: FunctionType) -> Iterator[object]:
    """What a function may read without being given it; nothing of PyTorch's own functions."""
    if function.__module__ is not None and function.__module__.partition(".")[0] == "torch":
        return
    yield from (function.__globals__[name] for name in _names_in(function.__code__) if name in function.__globals__)
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:
            # Not assigned yet.
            continue
    yield from function.__defaults__ or ()
    yield from (function.__kwdefaults__ or {}).values()


def _names_of(function: partial[Any]) -> Set[str]:
    inner = _innermost(function)
    code = getattr(inner, "__code__", None)
    return _names_in(code) if isinstance(code, CodeType) else frozenset()


def _names_in(code: CodeType) -> Set[str]:
    """Globals and attributes that code reads, that of functions in it included."""
    inner = (_names_in(const) for const in code.co_consts if isinstance(const, CodeType))
    return frozenset(code.co_names).union(*inner)
