"""Places to keep checkpoints: the protocol, and the two tiers in memory. The third is in ``disk.py``."""

from typing import Any, Protocol

from hcp.runtime.codec import Codec, Content, Encoded
from hcp.runtime.errors import MissingCheckpoint


class Tier(Protocol):
    """Keeps values by key. A put that fails leaves what the key held before."""

    def put(self, key: str, value: Content) -> None:
        """Stores a value, in place of the key's former one.

        Raises:
            StorageError: If it cannot be stored.
        """
        ...

    def get(self, key: str) -> Content:
        """The value last stored under a key.

        Raises:
            MissingCheckpoint: If there is none.
            DamagedCheckpoint: If it is not what was stored.
        """
        ...

    def delete(self, key: str) -> None:
        """Drops a key's value, if there is one."""
        ...

    def flush(self) -> None:
        """Returns when everything is stored.

        Raises:
            StorageError: If something could not be; it can still be read.
        """
        ...

    def close(self) -> None:
        """Gives back threads; what is stored on disk stays."""
        ...


class DeviceTier:
    """Keeps values where they are, by reference."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}

    def put(self, key: str, value: Content) -> None:
        """Keeps a reference."""
        self._values[key] = value

    def get(self, key: str) -> Content:
        """The value itself."""
        return _found(self._values, key)

    def delete(self, key: str) -> None:
        """Drops the reference."""
        self._values.pop(key, None)

    def flush(self) -> None:
        """Nothing is ever pending."""

    def close(self) -> None:
        """Drops all references."""
        self._values.clear()


class HostTier:
    """Keeps copies in host memory.

    Args:
        codec: For the framework whose values are stored.
    """

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._copies: dict[str, Encoded] = {}

    def put(self, key: str, value: Content) -> None:
        """Copies the value."""
        encoded = self._codec.encode(value)
        self._copies[key] = Encoded(encoded.array.copy(), encoded.about)

    def get(self, key: str) -> Content:
        """A fresh value, equal to the stored one."""
        return self._codec.decode(_found(self._copies, key))

    def delete(self, key: str) -> None:
        """Drops the copy."""
        self._copies.pop(key, None)

    def flush(self) -> None:
        """Nothing is ever pending."""

    def close(self) -> None:
        """Drops all copies."""
        self._copies.clear()


def _found(kept: dict[str, Any], key: str) -> Content:
    try:
        return kept[key]
    except KeyError:
        raise MissingCheckpoint(f"checkpoint {key!r} is not stored here; store it first") from None
