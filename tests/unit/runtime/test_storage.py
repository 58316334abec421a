"""The storage's promises on every tier: what was put comes back, and what fails is said and loses nothing."""

import errno
import gc
import os
import threading
import weakref

import numpy as np
import pytest

from hcp.runtime import CheckpointStorage, MissingCheckpoint, StorageError
from hcp.runtime.tiers import DeviceTier
from hcp.runtime.transfer import Background

TIERS = ["device", "host", "disk"]
ARRAYS = {
    "plain": np.arange(6.0).reshape(2, 3),
    "scalar": np.array(2.5, np.float32),
    "empty": np.zeros((0, 4), np.int64),
    "transposed": np.arange(12, dtype=np.int16).reshape(3, 4).T,
    "flags": np.array([True, False]),
    "not a number": np.array([np.nan, -0.0, np.inf]),
}


@pytest.fixture
def storage(tmp_path):
    with CheckpointStorage(tmp_path / "checkpoints") as made:
        yield made


def full_disk(descriptor, offset, length):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
@pytest.mark.parametrize("tier", TIERS)
def test_what_is_put_comes_back_bit_for_bit(storage, tier, array):
    storage.put("some/key: é", array, tier)
    storage.flush()
    found = storage.get("some/key: é")
    assert (found.dtype, found.shape, found.tobytes()) == (array.dtype, array.shape, array.tobytes())
    assert storage.tier_of("some/key: é") == tier


@pytest.mark.parametrize("tier", ["host", "disk"])
def test_stored_values_do_not_share_memory(storage, tier):
    array = np.ones(4)
    storage.put("x", array, tier)
    storage.flush()
    array[:] = 2
    first = storage.get("x")
    first[:] = 3
    assert storage.get("x").tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize("to", TIERS)
@pytest.mark.parametrize("first", TIERS)
def test_a_put_takes_the_place_of_the_former_value_on_any_tier(storage, tmp_path, first, to):
    storage.put("x", np.zeros(2), first)
    storage.put("x", np.ones(3), to)
    assert storage.get("x").tolist() == [1, 1, 1]
    assert storage.tier_of("x") == to
    assert len(storage) == 1
    files = list((tmp_path / "checkpoints").iterdir())
    assert len(files) == (to == "disk")
    storage.delete("x")
    assert "x" not in storage
    assert not list((tmp_path / "checkpoints").iterdir())


@pytest.mark.parametrize("tier", TIERS)
def test_deleted_and_unknown_keys_are_missing(storage, tier):
    storage.put("x", np.zeros(2), tier)
    storage.delete("x")
    for action in (storage.get, storage.delete):
        with pytest.raises(MissingCheckpoint, match="'x' is not stored"):
            action("x")


def test_tiers_that_are_not_there(tmp_path):
    with CheckpointStorage() as storage:
        with pytest.raises(StorageError, match="no disk tier; give it a directory"):
            storage.put("x", np.zeros(2), "disk")
        with pytest.raises(StorageError, match="no tier 'tape'; choose one of device, host, disk"):
            storage.put("x", np.zeros(2), "tape")
        assert "x" not in storage
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="give another folder"):
        CheckpointStorage(tmp_path / "file")


@pytest.mark.parametrize("former", TIERS)
def test_a_full_disk_is_an_error_that_keeps_the_former_value(storage, tmp_path, monkeypatch, former):
    storage.put("x", np.arange(3), former)
    storage.put("y", np.arange(4), "disk")
    monkeypatch.setattr(os, "posix_fallocate", full_disk)
    for key in ("x", "new"):
        with pytest.raises(StorageError, match=r"No space left on device.*free some space"):
            storage.put(key, np.ones(1000), "disk")
    assert storage.get("x").tolist() == [0, 1, 2]
    assert storage.tier_of("x") == former
    assert storage.get("y").tolist() == [0, 1, 2, 3]
    assert "new" not in storage
    assert not list((tmp_path / "checkpoints").glob(".*"))


def test_background_transfers_hold_a_value_until_it_has_arrived(tmp_path):
    arrived = threading.Event()

    class Slow(DeviceTier):
        def put(self, key, value):
            arrived.wait(30)
            super().put(key, value.copy())

    tier = Background(Slow())
    value = np.arange(3)
    tier.put("x", value)
    assert tier.get("x") is value
    arrived.set()
    tier.flush()
    assert tier.get("x") is not value
    assert tier.get("x").tolist() == [0, 1, 2]
    gone = weakref.ref(value)
    del value
    gc.collect()
    assert gone() is None
    tier.close()


def test_background_puts_of_one_key_arrive_in_order():
    tier = Background(DeviceTier())
    for i in range(200):
        tier.put("x", i)
    tier.flush()
    assert tier.get("x") == 199
    tier.delete("x")
    with pytest.raises(MissingCheckpoint):
        tier.get("x")
    tier.close()


def test_a_failed_background_transfer_is_told_and_its_value_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "posix_fallocate", full_disk)
    with CheckpointStorage(tmp_path, background=("disk",)) as storage:
        storage.put("x", np.arange(3), "disk")
        with pytest.raises(StorageError, match="1 of the checkpoints could not be stored, 'x' first"):
            storage.flush()
        assert storage.get("x").tolist() == [0, 1, 2]
        monkeypatch.undo()
        storage.put("x", storage.get("x"), "disk")
        storage.flush()
        assert storage.get("x").tolist() == [0, 1, 2]
