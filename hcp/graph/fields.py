"""Typed access to the fields of JSON objects that may hold anything."""

from numbers import Integral
from typing import Final

from hcp.graph.errors import GraphError
from hcp.graph.ir import LARGEST_TOTAL

_SHOWN_CHARACTERS: Final = 60


def shown(found: object) -> str:
    """A short text of anything, for error messages."""
    if isinstance(found, int) and found.bit_length() > 200:
        return "a number of over 60 digits"
    text = repr(found)
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 3] + "..."


def as_amount(found: object, owner: str, attribute: str) -> int:
    """A size or cost: a whole number, zero or more; integral floats such as 3.0 count as whole.

    Raises:
        GraphError: Otherwise.
    """
    whole = isinstance(found, Integral) or (isinstance(found, float) and found.is_integer())
    if isinstance(found, bool) or not whole:
        raise GraphError(f"{owner} has {attribute} {shown(found)}; expected a whole number")
    amount: int = int(found)  # type: ignore[call-overload]  # Integral: numpy's integers count as well.
    if amount < 0:
        raise GraphError(f"{owner} has {attribute} {shown(amount)}; expected zero or more")
    if amount > LARGEST_TOTAL:
        raise GraphError(f"{owner} has {attribute} {shown(amount)}; expected at most 2^61: use a larger unit")
    return amount


def whole(*found: object) -> bool:
    """Whether all these are integers, of any size; true and false are none."""
    return all(isinstance(each, int) and not isinstance(each, bool) for each in found)


def as_list(found: object, owner: str, attribute: str) -> list[object]:
    """A list.

    Raises:
        GraphError: Otherwise.
    """
    if not isinstance(found, list | tuple):
        raise GraphError(f"{owner} has {attribute} {shown(found)}; expected a list")
    return list(found)


class Record:
    """One JSON object and how error messages call it; every reader raises ``GraphError`` on a wrong type."""

    def __init__(self, data: object, owner: str) -> None:
        if not isinstance(data, dict):
            raise GraphError(f"{owner} is {shown(data)}; expected a JSON object")
        self._data: dict[object, object] = data
        self.owner = owner

    def __contains__(self, key: str) -> bool:
        return key in self._data

    def get(self, key: str, default: object = None) -> object:
        """The field as it is."""
        return self._data.get(key, default)

    def text(self, key: str, default: str | None = None) -> str:
        """A string; required where there is no default."""
        found = self._required(key, default)
        if not isinstance(found, str):
            raise GraphError(f"{self.owner} has {key} {shown(found)}; expected a string")
        return found

    def amount(self, key: str, default: int | None = None) -> int:
        """A size or cost; required where there is no default."""
        return as_amount(self._required(key, default), self.owner, key)

    def flag(self, key: str, default: bool) -> bool:
        """True or false."""
        found = self._data.get(key, default)
        if not isinstance(found, bool):
            raise GraphError(f"{self.owner} has {key} {shown(found)}; expected true or false")
        return found

    def items(self, key: str) -> list[object]:
        """A list of anything; required."""
        return as_list(self._required(key, None), self.owner, key)

    def texts(self, key: str) -> list[str]:
        """A list of strings; required."""
        found = []
        for item in self.items(key):
            if not isinstance(item, str):
                raise GraphError(f"{self.owner} has {shown(item)} among its {key}; expected strings")
            found.append(item)
        return found

    def _required(self, key: str, default: object) -> object:
        if key not in self._data:
            if default is None:
                raise GraphError(f"{self.owner} has no attribute {key!r}; add it")
            return default
        return self._data[key]
