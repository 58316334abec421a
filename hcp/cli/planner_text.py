"""What ``hcp planners NAME`` prints: a planner's options and parameters, as a file for ``hcp solve --params``."""

import json
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from textwrap import wrap
from typing import Final

from hcp.cli.parameters import is_record, params_of, values_of
from hcp.planning.parameters import descriptions
from hcp.planning.planner import AnyPlanner

_WIDTH: Final = 110


def planner_text(planner: AnyPlanner, name: str, summary: str) -> str:
    """A planner's options, as comments, and its parameters, each with what it decides, as TOML."""
    params = params_of(planner)
    lines = [*_comment(f"{name}: {summary}"), *_options(planner)]
    lines += ["", "# It has no parameters."] if params is None else _table(params, "")
    return "\n".join(lines) + "\n"


def _options(planner: AnyPlanner) -> Iterator[str]:
    if is_dataclass(planner):
        about = descriptions(type(planner))
        for field in fields(planner):
            value = getattr(planner, field.name)
            if value is None or isinstance(value, bool | int | float | str):
                yield from ("", *_comment(about.get(field.name, "")), f"# option {field.name} = {value!r}")


def _table(record: object, path: str) -> Iterator[str]:
    """A record's own values, then its tables."""
    about = descriptions(type(record))
    values = values_of(record)
    for name, value in values.items():
        if not is_record(type(value)):
            yield from ("", *_comment(about.get(name, "")), *_item_comments(value), f"{name} = {_text(value)}")
    for name, value in values.items():
        if is_record(type(value)):
            yield from ("", *_comment(about.get(name, "")), f"[{path}{name}]")
            yield from _table(value, f"{path}{name}.")


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in wrap(text, _WIDTH)]


def _item_comments(value: object) -> list[str]:
    """What the fields of a list's records decide."""
    if not (isinstance(value, tuple) and value and is_record(type(value[0]))):
        return []
    about = descriptions(type(value[0]))
    return [f"#   {line}" for name, text in about.items() for line in wrap(f"{name}: {text}", _WIDTH)]


def _text(value: object) -> str:
    """A value as TOML writes it."""
    if is_record(type(value)):
        return "{ " + ", ".join(f"{name} = {_text(item)}" for name, item in values_of(value).items()) + " }"
    if isinstance(value, tuple) and value and is_record(type(value[0])):
        return "[\n" + "".join(f"    {_text(item)},\n" for item in value) + "]"
    if isinstance(value, tuple):
        return f"[{', '.join(map(_text, value))}]"
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value, ensure_ascii=False)
