"""Parameters of planners in TOML files, which ``hcp solve --params FILE`` reads and ``hcp planners NAME`` prints.

A file's keys are the fields of the planner's parameters; tables are the fields that are parameters themselves. What a
file does not name keeps its value.
"""

from dataclasses import MISSING, fields, is_dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Final, Literal, cast, get_args, get_origin, get_type_hints

from hcp.cli.toml import known_key, read_toml
from hcp.graph.errors import HcpError
from hcp.graph.fields import shown
from hcp.planning.planner import AnyPlanner

_NAMES: Final = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


def with_params(planner: AnyPlanner, name: str, path: Path) -> AnyPlanner:
    """A planner with the parameters of a file in place of its own.

    Args:
        planner: With its default parameters.
        name: What it is called, for messages.
        path: The TOML file.

    Raises:
        HcpError: If the planner has none, or the file cannot be read or does not fit them.
    """
    params = params_of(planner)
    if params is None:
        raise HcpError(f"solver {name!r} has no parameters; leave out --params")
    changed = updated(params, read_toml(path, "params file"), f"params file {str(path)!r}")
    return cast(AnyPlanner, replace(cast(Any, planner), params=changed))


def params_of(planner: AnyPlanner) -> object | None:
    """A planner's parameters, if it has any."""
    params = getattr(planner, "params", None)
    return params if is_dataclass(params) and is_dataclass(planner) else None


def updated(record: Any, table: dict[str, Any], owner: str) -> Any:  # noqa: ANN401
    """A dataclass or a named tuple with the values of a table in place of its own.

    Args:
        record: The values that the table does not name.
        table: From TOML.
        owner: Whose the table is, for messages.

    Raises:
        HcpError: If a name is unknown, or a value does not fit.
    """
    return _made(type(record), values_of(record), table, owner)


def _made(kind: type, values: dict[str, Any], table: dict[str, Any], owner: str) -> Any:  # noqa: ANN401
    hints = _hints(kind)
    for key, value in table.items():
        known_key(owner, key, list(hints))
        values[key] = _value(hints[key], values.get(key), value, f"{owner}: {key}")
    lacking = [name for name in hints if name not in values]
    if lacking:
        raise HcpError(f"{owner} lacks {lacking[0]!r}; give {', '.join(hints)}")
    try:
        return kind(**values)
    except HcpError as error:
        raise HcpError(f"{owner}: {error}") from None


def _value(kind: Any, current: object, value: object, owner: str) -> object:  # noqa: ANN401
    """A value of TOML as one of a type."""
    if get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if get_origin(kind) is Literal:
        return value
    if get_origin(kind) is tuple:
        return _items(kind, value, owner)
    if is_record(kind):
        if not isinstance(value, dict):
            raise _unfit(owner, value, "a table")
        return _made(kind, _defaults(kind) if current is None else values_of(current), value, owner)
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise _unfit(owner, value, _NAMES[kind])
    return value


def _items(kind: object, value: object, owner: str) -> tuple[object, ...]:
    """A list of TOML as a tuple: of any length, or of as many as the type has."""
    parts = get_args(kind)
    repeated = parts[-1] is Ellipsis
    if not isinstance(value, list) or not (repeated or len(value) == len(parts)):
        raise _unfit(owner, value, "a list" if repeated else f"a list of {len(parts)}")
    kinds = [parts[0]] * len(value) if repeated else parts
    return tuple(
        _value(part, None, item, f"{owner}[{place}]")
        for place, (part, item) in enumerate(zip(kinds, value, strict=True))
    )


def _unfit(owner: str, value: object, expected: str) -> HcpError:
    return HcpError(f"{owner} is {shown(value)}; expected {expected}")


def values_of(record: object) -> dict[str, Any]:
    """The fields of a record by name."""
    return {name: getattr(record, name) for name in _hints(type(record))}


def is_record(kind: object) -> bool:
    """Whether a type is a dataclass or a named tuple: a table in TOML."""
    return isinstance(kind, type) and (is_dataclass(kind) or hasattr(kind, "_fields"))


def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


def _defaults(kind: Any) -> dict[str, Any]:  # noqa: ANN401
    """The values of those fields that need not be given."""
    if not is_dataclass(kind):
        return dict(kind._field_defaults)
    found = {field.name: field.default for field in fields(kind) if field.default is not MISSING}
    made = {field.name: field.default_factory for field in fields(kind) if field.default_factory is not MISSING}
    return found | {name: make() for name, make in made.items()}
