"""Measured memory: peaks of what was recorded, and recordings of what is known."""

import pytest

pytest.importorskip("torch")

import torch

from hcp.integrations.torch.errors import ExecutionError
from hcp.integrations.torch.measure import Memory, measure_peak, record


def test_peaks_within_a_mark_count_from_its_start():
    memory = Memory((1, 2, 3, 4, 5), (10, 30, 20, 25, 0), {"late": (3, 5), "none": (6, 9), "all": (0, 9)}, ())
    assert memory.peak == 30
    assert memory.peak_within("late") == 0
    assert Memory((1, 3, 4), (10, 20, 45), {"late": (2, 5)}, ()).peak_within("late") == 35
    assert memory.peak_within("all") == 30
    assert memory.peak_within("none") == 0


def test_memory_from_before_may_go_but_counts_for_nothing():
    assert Memory((1, 2), (-8, -4), {}, ()).peak == 0


def test_a_recording_has_every_tensor():
    def step():
        first = torch.empty(256)
        second = first.tanh()
        del first
        return second.relu()

    memory = record(step)
    # Every operation holds what it reads and what it makes.
    assert memory.peak == 2 * 1024
    assert [name for name, _ in memory.operations] == ["empty", "tanh", "relu"]
    assert measure_peak(step) == memory.peak


def test_a_profiler_that_runs_already_is_said():
    with (
        torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]),
        pytest.raises(ExecutionError, match="running already"),
    ):
        record(lambda: None)
