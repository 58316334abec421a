"""Parameters of searches: frozen dataclasses of tuned choices that refuse values out of sense.

A field's type says what it may be, as in ``share: Share = 0.3``; what it decides stands in the class's docstring, under
Attributes, from where the command line takes it.
"""

import inspect
import math
from dataclasses import dataclass
from typing import Annotated, Literal, cast, get_args, get_origin, get_type_hints

from hcp.graph.errors import HcpError


@dataclass(frozen=True)
class Range:
    """What a number may be.

    Attributes:
        least: The smallest number allowed, or the largest that is too small.
        most: The largest number allowed.
        above: Whether the number has to be above ``least``.
    """

    least: float
    most: float = math.inf
    above: bool = False

    def __str__(self) -> str:
        least = f"above {self.least:g}" if self.above else f"of at least {self.least:g}"
        return least if self.most == math.inf else f"{least} and at most {self.most:g}"

    def allows(self, value: float) -> bool:
        """Whether a number is finite and within the range."""
        return math.isfinite(value) and self.least <= value <= self.most and not (self.above and value == self.least)


# Of the time that is left, or of something else; 0 mostly leaves out what the share is for.
Share = Annotated[float, Range(0, 1)]
Amount = Annotated[float, Range(0)]
Positive = Annotated[float, Range(0, above=True)]
Growth = Annotated[float, Range(1)]
Count = Annotated[int, Range(0)]
Whole = Annotated[int, Range(1)]


@dataclass(frozen=True)
class Params:
    """Base of the parameters of a planner, or of a part of one.

    Raises:
        HcpError: If a value is of the wrong type or out of its range.
    """

    def __post_init__(self) -> None:
        check_ranges(self)


def check_ranges(record: object) -> None:
    """Refuses values of a dataclass or a named tuple that its annotations do not allow.

    Raises:
        HcpError: With the field, its value and what was expected.
    """
    for name, kind in get_type_hints(type(record), include_extras=True).items():
        value = getattr(record, name)
        parts = _parts(kind)
        if get_origin(kind) is Literal and value not in parts:
            raise HcpError(f"{name} is {value!r}; expected one of {', '.join(map(repr, get_args(kind)))}")
        for bound in parts:
            if isinstance(bound, Range):
                for number in value if isinstance(value, tuple) else (value,):
                    _check(name, number, bound, whole=int in parts)


def _check(name: str, value: object, bound: Range, *, whole: bool) -> None:
    fits = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    if not (fits and bound.allows(cast(float, value))):
        raise HcpError(f"{name} is {value!r}; expected a {'whole ' if whole else ''}number {bound}")


def _parts(kind: object) -> list[object]:
    """An annotation and what it is made of."""
    return [kind, *(deeper for part in get_args(kind) for deeper in _parts(part))]


def descriptions(cls: type) -> dict[str, str]:
    """What the docstrings of a class and of its bases say about its attributes, by their names, each in one line."""
    bases = [base for base in cls.__bases__ if issubclass(base, Params)]
    found = {name: text for base in bases for name, text in descriptions(base).items()}
    name, inside = "", False
    for line in inspect.cleandoc(cls.__doc__ or "").splitlines():
        if line and not line.startswith(" "):
            inside = line == "Attributes:"
        elif inside and line.startswith("    ") and not line.startswith("     "):
            name, _, text = line.strip().partition(": ")
            found[name] = text
        elif inside and line.strip():
            found[name] += f" {line.strip()}"
    return found
