"""``hcp fit``."""

import importlib
import importlib.util
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, TypeVar

import typer

from hcp.cli.options import AsJson, Quiet, Seed, Solver, planner_from
from hcp.cli.output import print_json
from hcp.graph.errors import HcpError

T = TypeVar("T")

# Where inputs are looked for that nobody named.
_INPUTS = ("make_inputs", "inputs")


def fit_command(
    model: Annotated[
        str, typer.Argument(help="FILE.py:NAME (or package.module:NAME) of a function that makes the model.")
    ],
    inputs: Annotated[
        str | None,
        typer.Option(
            help="Name of the function that makes its inputs: a tuple or a dictionary, for a batch size if it takes "
            "one; by default make_inputs or inputs, or the model's function gives both."
        ),
    ] = None,
    device: Annotated[str, typer.Option("--device", "-d", help="Such as h100-80gb.")] = "h100-80gb",
    optimizer: Annotated[str, typer.Option(help="adamw, adam, sgd, sgd-momentum, adafactor, ..., none.")] = "adamw",
    dtype: Annotated[str | None, typer.Option(help="Of parameters and inputs, such as bfloat16.")] = None,
    total: Annotated[str | None, typer.Option(help="Memory in all, such as 60GiB; by default the device's.")] = None,
    reserve: Annotated[str, typer.Option(help="Of that, for what is not counted: a size or a percentage.")] = "5%",
    fsdp: Annotated[int, typer.Option(help="Devices that share parameters, as FSDP2 does.", min=1)] = 1,
    optimizer_in_backward: Annotated[
        bool, typer.Option("--optimizer-in-backward", help="Hooks take each gradient as soon as it is there.")
    ] = False,
    batch: Annotated[int, typer.Option(help="Batch size, where the inputs take one.", min=1)] = 1,
    solver: Solver = "auto",
    time_limit: Annotated[float, typer.Option("--time-limit", "-t", help="Seconds for planning.")] = 45.0,
    seed: Seed = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Tell whether training fits a device, without the device or the memory (PyTorch).

    \b
      hcp fit train.py:make --device h100-80gb --optimizer adamw --dtype bfloat16
      hcp fit train.py:make --inputs batch_of --device rtx4090 --optimizer sgd
      hcp fit train.py:make --device h100-80gb --fsdp 8 --json

    Exit code 0 where it fits, and 2 where it does not, or no plan was found.
    """
    from hcp.integrations.torch.ahead.fitting import fit

    make_model, make_inputs = _functions(model, inputs)
    found = fit(
        make_model,
        make_inputs,
        device=device,
        optimizer=optimizer,
        dtype=dtype,
        total=total,
        reserve=reserve,
        mesh=fsdp,
        optimizer_in_backward=optimizer_in_backward,
        batch=batch,
        solver=planner_from(solver),
        time_limit=time_limit,
        seed=seed,
        quiet=quiet,
    )
    if as_json:
        print_json(found.to_dict())
    else:
        typer.echo(str(found))
    if not found.fits:
        raise typer.Exit(2)


def _functions(target: str, inputs: str | None) -> tuple[Callable[[], Any], Callable[..., Any]]:
    """What makes the model, and what makes its inputs."""
    place, colon, name = target.rpartition(":")
    if not colon or not place or not name:
        raise HcpError(f"{target!r} does not name a function that makes a model; give FILE.py:NAME")
    module = _loaded(place)
    make = _function(module, place, name)
    if inputs is not None:
        return make, _function(module, place, inputs)
    for known in _INPUTS:
        if callable(getattr(module, known, None)):
            return make, _function(module, place, known)
    both: list[Any] = []

    def make_model() -> Any:  # noqa: ANN401 - what the user's function makes
        made = make()
        if not isinstance(made, tuple) or len(made) != 2:
            raise HcpError(
                f"{place} has no function {' or '.join(_INPUTS)}, and {name}() gives no pair of a model and its "
                "inputs; name the function that makes the inputs by --inputs"
            )
        both.append(made[1])
        return made[0]

    return make_model, lambda: both[0]


def _loaded(place: str) -> ModuleType:
    path = Path(place)
    if path.suffix == ".py":
        if not path.is_file():
            raise HcpError(f"there is no file {place!r}; give FILE.py:NAME")
        spec = importlib.util.spec_from_file_location(path.stem, path)
        loader = None if spec is None else spec.loader
        assert spec is not None
        assert loader is not None
        module = importlib.util.module_from_spec(spec)
        # As for a script: what lies beside it can be imported.
        sys.path.insert(0, str(path.absolute().parent))
        sys.modules.setdefault(path.stem, module)
        _run(lambda: loader.exec_module(module), place)
        return module
    if "" not in sys.path:
        sys.path.insert(0, "")
    return _run(lambda: importlib.import_module(place), place)


def _run(load: Callable[[], T], place: str) -> T:
    try:
        return load()
    except HcpError:
        raise
    except Exception as error:
        raise HcpError(
            f"{place!r} cannot be loaded ({type(error).__name__}: {error}); run it by itself to see why"
        ) from error


def _function(module: ModuleType, place: str, name: str) -> Callable[..., Any]:
    found = getattr(module, name, None)
    if not callable(found):
        names = [each for each, item in vars(module).items() if callable(item) and not each.startswith("_")]
        raise HcpError(f"{place} has no function {name!r}; it has {', '.join(names) or 'none'}")

    @wraps(found)
    def call(*args: object) -> Any:  # noqa: ANN401 - what the user's function makes
        try:
            return found(*args)
        except (HcpError, NotImplementedError, RuntimeError):
            # The latter two are what PyTorch raises where a tensor has no content; who calls knows what to say.
            raise
        except Exception as error:
            why = f"{type(error).__name__}: {error}"
            raise HcpError(f"{name}() ended with {why}; call it by itself to see more") from error

    return call
