"""Between a framework's values and plain memory: what host and disk tiers store."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

# What a framework calls an array; only its codec and its callbacks look inside.
Content = Any


@dataclass(frozen=True)
class Encoded:
    """A value as plain memory.

    Attributes:
        array: Its content; may share memory with the value it was made from.
        about: What decoding needs besides, as JSON: strings, numbers, lists.
    """

    array: NDArray[Any]
    about: Mapping[str, Any] = field(default_factory=dict)


class Codec(Protocol):
    """Turns values into plain memory and back, bit for bit."""

    def encode(self, value: Content, /) -> Encoded:
        """The value in host memory; the value itself is left as it is."""
        ...

    def decode(self, encoded: Encoded, /) -> Content:
        """A value equal to the encoded one, in memory of its own."""
        ...


class NumpyCodec:
    """For NumPy arrays, and for whatever ``numpy.asarray`` takes; what comes back is an array."""

    def encode(self, value: Content, /) -> Encoded:
        """The array itself."""
        return Encoded(np.asarray(value))

    def decode(self, encoded: Encoded, /) -> NDArray[Any]:
        """A copy."""
        return encoded.array.copy()
