"""Checkpoint storage: one place to put, get and delete values on the device, on the host or on disk."""

import os
from collections.abc import Callable
from typing import Final, Literal

from hcp.runtime.codec import Codec, Content, NumpyCodec
from hcp.runtime.disk import DiskTier
from hcp.runtime.errors import MissingCheckpoint, StorageError
from hcp.runtime.tiers import DeviceTier, HostTier, Tier
from hcp.runtime.transfer import Background

TierName = Literal["device", "host", "disk"]
TIERS: Final = ("device", "host", "disk")


class CheckpointStorage:
    """Keeps values by key on one of three tiers.

    A put that fails raises and loses nothing: the key's former value stays, and the caller has the new one. Transfers
    to the host run in the background; ``flush`` waits for them and raises if one failed.

    Args:
        directory: Where the disk tier keeps its files; None for no disk tier.
        codec: For the framework whose values are stored on host and disk.
        background: Tiers that store in a thread of their own.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str] | None = None,
        codec: Codec | None = None,
        background: tuple[TierName, ...] = ("host",),
    ) -> None:
        codec = NumpyCodec() if codec is None else codec
        tiers: dict[str, Tier] = {"device": DeviceTier(), "host": HostTier(codec)}
        self._disk = None if directory is None else DiskTier(directory, codec)
        if self._disk is not None:
            tiers["disk"] = self._disk
        self._tiers = {name: Background(tier) if name in background else tier for name, tier in tiers.items()}
        self._tier_of: dict[str, str] = {}

    def put(self, key: str, value: Content, tier: TierName = "device") -> None:
        """Stores a value, in place of what the key held on any tier.

        Raises:
            StorageError: If there is no such tier, or the value cannot be stored there.
        """
        self._tier(tier).put(key, value)
        former = self._tier_of.get(key)
        self._tier_of[key] = tier
        if former is not None and former != tier:
            self._tiers[former].delete(key)

    def get(self, key: str) -> Content:
        """The value stored under a key: the device tier's itself, or a fresh equal one.

        Raises:
            MissingCheckpoint: If there is none, or its file has vanished.
            DamagedCheckpoint: If its file is not what was written.
        """
        return self._tiers[self.tier_of(key)].get(key)

    def begin(self, key: str) -> Callable[[], Content]:
        """Begins to read a value, where its tier works in the background; what is returned waits for it.

        Raises:
            MissingCheckpoint: If there is none under this key.
        """
        tier = self._tiers[self.tier_of(key)]
        if isinstance(tier, Background):
            return tier.begin(key).result
        value = tier.get(key)
        return lambda: value

    def wait(self, key: str) -> None:
        """Waits until a value is where it should be, or cannot be stored: it can be read then, and ``flush`` raises.

        Raises:
            MissingCheckpoint: If there is none under this key.
        """
        tier = self._tiers[self.tier_of(key)]
        if isinstance(tier, Background):
            tier.wait(key)

    def delete(self, key: str) -> None:
        """Drops a value.

        Raises:
            MissingCheckpoint: If there is none under this key.
            StorageError: If its file cannot be removed.
        """
        self._tiers[self.tier_of(key)].delete(key)
        del self._tier_of[key]

    def tier_of(self, key: str) -> str:
        """Where a key's value is.

        Raises:
            MissingCheckpoint: If there is none under this key.
        """
        if key not in self._tier_of:
            raise MissingCheckpoint(f"checkpoint {key!r} is not stored; put it first")
        return self._tier_of[key]

    def recover(self) -> tuple[str, ...]:
        """Takes up every whole file in the directory, such as an earlier process left; returns their keys.

        Files that are damaged or half-written are passed over. Keys that this storage holds already stay as they are.
        """
        found = () if self._disk is None else tuple(key for key in self._disk.whole() if key not in self._tier_of)
        self._tier_of.update(dict.fromkeys(found, "disk"))
        return found

    def flush(self) -> None:
        """Returns when every value is where it should be.

        Raises:
            StorageError: If one could not be stored; it can still be read.
        """
        for tier in self._tiers.values():
            tier.flush()

    def close(self) -> None:
        """Ends the threads and forgets everything but the files of the disk tier."""
        for tier in self._tiers.values():
            tier.close()
        self._tier_of.clear()

    def __contains__(self, key: str) -> bool:
        return key in self._tier_of

    def __len__(self) -> int:
        return len(self._tier_of)

    def __enter__(self) -> "CheckpointStorage":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _tier(self, name: str) -> Tier:
        if name in self._tiers:
            return self._tiers[name]
        if name == "disk":
            raise StorageError("this storage has no disk tier; give it a directory")
        raise StorageError(f"there is no tier {name!r}; choose one of {', '.join(TIERS)}")
