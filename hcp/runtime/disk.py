"""Checkpoints in memory-mapped files that are whole or not there.

A file holds a magic number, the length of a JSON header, a digest, the header and the raw content. It is written under
a temporary name, flushed to the disk, and only then takes its final name, so that a process killed in mid-write leaves
a temporary file at worst, which is never read. The digest covers all the rest and is checked at every read: what
a power cut or another program did to a file is seen.
"""

import hashlib
import json
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hcp.runtime.codec import Codec, Content, Encoded
from hcp.runtime.errors import DamagedCheckpoint, MissingCheckpoint, StorageError

MAGIC: Final = b"hcpckpt1"
_DIGEST_BYTES: Final = 32
_PREAMBLE: Final = len(MAGIC) + 8 + _DIGEST_BYTES
_SUFFIX: Final = ".ckpt"

# Tells the temporary files of one process apart.
_NUMBER: Final = count()


class DiskTier:
    """Keeps values in files of one directory, one a key.

    Args:
        directory: Made if it is not there.
        codec: For the framework whose values are stored.

    Raises:
        StorageError: If the directory cannot be made.
    """

    def __init__(self, directory: str | os.PathLike[str], codec: Codec) -> None:
        self.directory = Path(directory)
        self._codec = codec
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            self._sweep()
        except OSError as error:
            raise StorageError(
                f"cannot use {str(directory)!r} for checkpoints ({error.strerror}); give another folder"
            ) from None

    def path(self, key: str) -> Path:
        """Where a key's value is."""
        # Keys are names of values, which may be no file names.
        return self.directory / (hashlib.blake2b(key.encode(), digest_size=16).hexdigest() + _SUFFIX)

    def put(self, key: str, value: Content) -> None:
        """Writes the value and waits until it is on the disk.

        Raises:
            StorageError: If the disk is full or the file cannot be written; the key's former file is untouched.
        """
        encoded = self._codec.encode(value)
        array = np.ascontiguousarray(encoded.array)
        # 0-dimensional arrays become 1-dimensional there; the header keeps the shape as it was.
        content = array.reshape(-1).view(np.uint8)
        header = json.dumps(
            {"key": key, "dtype": array.dtype.str, "shape": encoded.array.shape, "about": dict(encoded.about)}
        ).encode()
        final = self.path(key)
        temporary = final.with_name(f".{final.stem}.{next(_NUMBER)}.{socket.gethostname()}.{os.getpid()}.tmp")
        try:
            _write(temporary, _preamble(header, content), header, content)
            temporary.replace(final)
            _sync_directory(self.directory)
        except OSError as error:
            raise StorageError(
                f"checkpoint {key!r} of {content.nbytes} bytes could not be written to {str(self.directory)!r} "
                f"({error.strerror}); free some space there or give another folder"
            ) from error
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)

    def get(self, key: str) -> Content:
        """The value, read and checked."""
        found, encoded = _read(self.path(key), f"checkpoint {key!r}")
        if found != key:
            raise DamagedCheckpoint(f"the file of checkpoint {key!r} holds checkpoint {found!r}; compute it again")
        return self._codec.decode(encoded)

    def delete(self, key: str) -> None:
        """Removes the file, if it is there.

        Raises:
            StorageError: If it is there and cannot be removed.
        """
        try:
            self.path(key).unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(f"checkpoint {key!r} could not be removed ({error.strerror})") from error

    def whole(self) -> Iterator[str]:
        """The keys of all whole files, of any process; damaged files are passed over."""
        for file in sorted(self.directory.glob(f"*{_SUFFIX}")):
            with suppress(DamagedCheckpoint, MissingCheckpoint):
                yield _read(file, f"file {file.name!r}")[0]

    def flush(self) -> None:
        """Nothing is ever pending."""

    def close(self) -> None:
        """Files stay."""

    def _sweep(self) -> None:
        """Removes what processes of this machine that are no more left half-written."""
        for file in self.directory.glob(f".*.{socket.gethostname()}.*.tmp"):
            owner = file.name.split(".")[-2]
            if owner.isdigit() and int(owner) != os.getpid() and not _is_alive(int(owner)):
                file.unlink(missing_ok=True)


def _digest(header: bytes, content: NDArray[np.uint8]) -> bytes:
    # The header's length is part of it, so that bytes cannot move between header and content unseen.
    digest = hashlib.blake2b(len(header).to_bytes(8, "little") + header, digest_size=_DIGEST_BYTES)
    digest.update(content.data)
    return digest.digest()


def _preamble(header: bytes, content: NDArray[np.uint8]) -> bytes:
    return MAGIC + len(header).to_bytes(8, "little") + _digest(header, content)


def _write(file: Path, preamble: bytes, header: bytes, content: NDArray[np.uint8]) -> None:
    size = len(preamble) + len(header) + content.nbytes
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        # Space is taken before the file is mapped: writing to a mapping on a full disk would kill the process.
        _take_space(descriptor, size)
        mapping = np.memmap(file, np.uint8, "r+", shape=(size,))
        mapping[: -content.nbytes or size] = np.frombuffer(preamble + header, np.uint8)
        mapping[size - content.nbytes :] = content
        mapping.flush()
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _take_space(descriptor: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
        return
    # macOS has no such call; zeros take the space as well.
    zeros = bytes(min(size, 1 << 20))
    while size > 0:
        size -= os.write(descriptor, zeros[:size])


def _read(file: Path, what: str) -> tuple[str, Encoded]:
    """Key and value in a file, in memory of their own; ``what`` is how errors call it."""
    try:
        size = file.stat().st_size
        if size < _PREAMBLE:
            raise DamagedCheckpoint(f"{what} is cut short at {size} bytes; compute it again")
        return _parsed(np.memmap(file, np.uint8, "r"), what)
    except FileNotFoundError:
        raise MissingCheckpoint(f"{what} has no file {str(file)!r}; it was never stored, or removed since") from None
    except OSError as error:
        raise StorageError(f"{what} cannot be read from {str(file)!r} ({error.strerror})") from error


def _parsed(whole: NDArray[np.uint8], what: str) -> tuple[str, Encoded]:
    start = len(MAGIC) + 8
    length = int.from_bytes(whole[len(MAGIC) : start].tobytes(), "little")
    header = whole[_PREAMBLE : _PREAMBLE + length].tobytes()
    content = whole[_PREAMBLE + length :]
    if whole[: len(MAGIC)].tobytes() != MAGIC or whole[start:_PREAMBLE].tobytes() != _digest(header, content):
        raise DamagedCheckpoint(f"{what} is not what was written (its digest differs); compute it again")
    fields = json.loads(header)
    array = np.array(content).view(np.dtype(fields["dtype"])).reshape(fields["shape"])
    return fields["key"], Encoded(array, fields["about"])


def _sync_directory(directory: Path) -> None:
    """Makes a rename last."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
