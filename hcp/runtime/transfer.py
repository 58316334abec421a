"""Storing and reading in the background: a thread for each does it while the computation goes on."""

from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock

from hcp.runtime.codec import Content
from hcp.runtime.errors import StorageError
from hcp.runtime.tiers import Tier


class Background:
    """A tier whose puts return at once; one thread does them in order, and another one reads.

    Until a value is stored it is held here, and given back by reference where it is asked for: a failed transfer loses
    nothing. Values must not be changed in place meanwhile.

    Args:
        tier: Where the values go.
    """

    def __init__(self, tier: Tier) -> None:
        self.tier = tier
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="hcp-transfer")
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="hcp-read")
        self._lock = Lock()
        self._pending: dict[str, tuple[Content, Future[None]]] = {}
        self._failed: dict[str, BaseException] = {}

    def put(self, key: str, value: Content) -> None:
        """Begins to store a value."""
        future = self._thread.submit(self.tier.put, key, value)
        with self._lock:
            self._pending[key] = (value, future)
        future.add_done_callback(lambda done: self._settle(key, done))

    def get(self, key: str) -> Content:
        """The value, from here while it is on its way or where it could not be stored."""
        with self._lock:
            if key in self._pending:
                return self._pending[key][0]
        return self.tier.get(key)

    def begin(self, key: str) -> "Future[Content]":
        """Begins to read a value."""
        return self._reader.submit(self.get, key)

    def wait(self, key: str) -> None:
        """Waits until a value is stored, or cannot be: then it is held here, and ``flush`` says so."""
        with self._lock:
            pending = self._pending.get(key)
        if pending is not None:
            pending[1].exception()

    def delete(self, key: str) -> None:
        """Drops a value, once it has arrived."""
        with self._lock:
            pending = self._pending.pop(key, None)
        if pending is not None:
            pending[1].exception()
        self.tier.delete(key)

    def flush(self) -> None:
        """Waits for every transfer.

        Raises:
            StorageError: If one failed since the last flush; its value is still held here unless it was deleted.
        """
        # One thread does all transfers in order, so this one comes last.
        self._thread.submit(lambda: None).result()
        with self._lock:
            failed, self._failed = self._failed, {}
        if failed:
            key, error = next(iter(failed.items()))
            raise StorageError(
                f"{len(failed)} of the checkpoints could not be stored, {key!r} first ({error}); they stayed in "
                "memory: free some space, or store them elsewhere"
            ) from error
        self.tier.flush()

    def close(self) -> None:
        """Waits for transfers and ends the threads."""
        self._thread.shutdown(wait=True)
        self._reader.shutdown(wait=True)
        with self._lock:
            self._pending.clear()
        self.tier.close()

    def _settle(self, key: str, done: "Future[None]") -> None:
        """Lets go of a value that has arrived; keeps one that has not, with the reason."""
        error = done.exception()
        with self._lock:
            if error is not None:
                # Without its traceback, whose frames would hold the value for as long as the error.
                self._failed[key] = error.with_traceback(None)
            elif key in self._pending and self._pending[key][1] is done:
                # A later put of the same key has its own entry, which stays.
                del self._pending[key]
