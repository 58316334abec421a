"""Files of the disk tier: whole or not there, whatever happens to the process or to the file."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from hcp.runtime import CheckpointStorage, DamagedCheckpoint, MissingCheckpoint, NumpyCodec, StorageError
from hcp.runtime.disk import DiskTier

# Stores "old" and "other", then begins to store "old" again and stops in mid-write: space is taken, nothing is in it.
KILLED = """
import os, sys, time
import numpy as np
from hcp.runtime import CheckpointStorage

storage = CheckpointStorage(sys.argv[1])
storage.put("old", np.arange(5), "disk")
storage.put("other", np.arange(7), "disk")
take = getattr(os, sys.argv[2])
def stop(*arguments):
    take(*arguments)
    print("mid-write", flush=True)
    time.sleep(60)
setattr(os, sys.argv[2], stop)
storage.put(sys.argv[3], np.ones(100_000), "disk")
"""

# A limit on file sizes is a real failure of the write, as a full disk is.
LIMITED = """
import resource, sys
import numpy as np
from hcp.runtime import CheckpointStorage, StorageError

storage = CheckpointStorage(sys.argv[1])
storage.put("x", np.arange(5), "disk")
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    storage.put("x", np.ones(100_000), "disk")
except StorageError as error:
    print(error)
print(storage.get("x").tolist())
"""


@pytest.fixture
def tier(tmp_path):
    return DiskTier(tmp_path, NumpyCodec())


def run_until_killed(directory, call, key):
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(directory), call, key], stdout=subprocess.PIPE, text=True
    )
    try:
        assert child.stdout.readline() == "mid-write\n"
    finally:
        child.send_signal(signal.SIGKILL)
        child.communicate()
    return child.pid


@pytest.mark.parametrize("call", ["posix_fallocate", "fsync"])
@pytest.mark.parametrize("key", ["old", "new"])
def test_a_process_killed_in_mid_write_leaves_nothing_that_is_read_as_good(tmp_path, call, key):
    pid = run_until_killed(tmp_path, call, key)
    (temporary,) = tmp_path.glob(".*")
    assert str(pid) in temporary.name
    with CheckpointStorage(tmp_path) as storage:
        assert sorted(storage.recover()) == ["old", "other"]
        assert storage.get("old").tolist() == list(range(5))
        assert storage.get("other").tolist() == list(range(7))
        with pytest.raises(MissingCheckpoint):
            storage.get("new")
    # The next user of the directory has cleaned up.
    assert not list(tmp_path.glob(".*"))
    with pytest.raises(MissingCheckpoint, match="never stored, or removed"):
        DiskTier(tmp_path, NumpyCodec()).get("new")


def test_a_half_written_file_under_a_final_name_is_damaged(tmp_path):
    run_until_killed(tmp_path, "posix_fallocate", "new")
    (temporary,) = tmp_path.glob(".*")
    tier = DiskTier.__new__(DiskTier)
    tier.directory = tmp_path
    temporary.rename(tier.path("new"))
    again = DiskTier(tmp_path, NumpyCodec())
    with pytest.raises(DamagedCheckpoint, match="not what was written"):
        again.get("new")
    assert sorted(again.whole()) == ["old", "other"]


def test_a_write_beyond_the_limit_is_an_error_that_keeps_the_old_file(tmp_path):
    ran = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path)], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    assert "checkpoint 'x' of 800000 bytes could not be written" in ran[0]
    assert ran[1] == "[0, 1, 2, 3, 4]"
    assert len(list(tmp_path.iterdir())) == 1


def test_files_are_the_same_where_space_cannot_be_taken_in_advance(tier, monkeypatch):
    array = np.arange(400_000)
    tier.put("x", array)
    usual = tier.path("x").read_bytes()
    monkeypatch.delattr(os, "posix_fallocate")
    tier.put("x", array)
    assert tier.path("x").read_bytes() == usual
    assert np.array_equal(tier.get("x"), array)


def test_every_cut_and_every_changed_byte_is_seen(tier):
    tier.put("x", np.arange(5, dtype=np.uint8))
    file = tier.path("x")
    good = file.read_bytes()
    for length in range(len(good)):
        file.write_bytes(good[:length])
        with pytest.raises(DamagedCheckpoint):
            tier.get("x")
    for place in range(len(good)):
        changed = bytearray(good)
        changed[place] ^= 1
        file.write_bytes(changed)
        with pytest.raises(DamagedCheckpoint):
            tier.get("x")
    file.write_bytes(good + b"\0")
    with pytest.raises(DamagedCheckpoint):
        tier.get("x")
    file.write_bytes(good)
    assert tier.get("x").tolist() == [0, 1, 2, 3, 4]


def test_another_checkpoints_file_is_not_taken_for_ones_own(tier):
    tier.put("x", np.zeros(3))
    tier.put("y", np.ones(3))
    tier.path("y").replace(tier.path("x"))
    with pytest.raises(DamagedCheckpoint, match="file of checkpoint 'x' holds checkpoint 'y'"):
        tier.get("x")


def test_a_vanished_file_is_missing(tmp_path):
    with CheckpointStorage(tmp_path) as storage:
        storage.put("x", np.zeros(3), "disk")
        next(tmp_path.iterdir()).unlink()
        with pytest.raises(MissingCheckpoint, match="checkpoint 'x' has no file"):
            storage.get("x")
        storage.delete("x")
        assert "x" not in storage


def test_a_vanished_folder_is_an_error_and_the_value_can_go_elsewhere(tmp_path):
    with CheckpointStorage(tmp_path / "here") as storage:
        (tmp_path / "here").rmdir()
        with pytest.raises(StorageError, match="No such file or directory"):
            storage.put("x", np.arange(3), "disk")
        storage.put("x", np.arange(3), "host")
        assert storage.get("x").tolist() == [0, 1, 2]


def test_files_outlive_the_storage_and_are_taken_up_when_asked(tmp_path):
    with CheckpointStorage(tmp_path) as storage:
        storage.put("x", np.arange(3), "disk")
        storage.put("y", np.arange(3), "host")
    with CheckpointStorage(tmp_path) as storage:
        assert "x" not in storage
        storage.put("z", np.arange(4), "disk")
        assert storage.recover() == ("x",)
        assert storage.get("x").tolist() == [0, 1, 2]
        assert "y" not in storage


def test_what_a_living_process_is_writing_is_left_alone(tmp_path):
    import socket

    busy = tmp_path / f".abc.0.{socket.gethostname()}.{os.getppid()}.tmp"
    elsewhere = tmp_path / ".abc.another-host.1.tmp"
    for file in (busy, elsewhere):
        file.touch()
    DiskTier(tmp_path, NumpyCodec())
    assert busy.exists()
    assert elsewhere.exists()
