"""What can go wrong while a schedule runs."""

from hcp.graph.errors import HcpError


class RunError(HcpError):
    """A plan that cannot be run as asked, or a callback that does not do its part."""


class StorageError(HcpError):
    """A checkpoint could not be stored; what was stored before, and the value at hand, are still there."""


class MissingCheckpoint(StorageError):
    """A checkpoint that was never stored, was deleted, or whose file has vanished."""


class DamagedCheckpoint(StorageError):
    """A file that is not what was written: cut short, changed, or another checkpoint's."""
