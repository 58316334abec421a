"""Figures of a machine: measured once, kept with those of other processes, and refused where they are none."""

import json

import pytest

pytest.importorskip("torch")

import torch

from hcp.graph.errors import HcpError
from hcp.integrations.torch import calibration
from hcp.integrations.torch.calibration import Constants, Measurements, constants, host_link
from hcp.plans.cache import CacheWarning


def unexpected():
    raise AssertionError("measured again")


def test_an_operation_takes_a_launch_and_the_slower_of_work_and_traffic():
    machine = Constants(flops=4.0, moved_bytes=2.0, launch=100.0)
    assert machine.nanoseconds(0, 0) == 100
    assert machine.nanoseconds(4000, 10) == 1100
    assert machine.nanoseconds(40, 1000) == 600


def test_figures_are_measured_once_and_kept(tmp_path):
    store = Measurements.of("cpu", "times", tmp_path / "made")
    assert store.get("one", lambda: 3.0) == store.get("one", unexpected) == 3.0
    store.save()
    assert Measurements.of("cpu", "times", tmp_path / "made").get("one", unexpected) == 3.0
    # Another kind of figures is in another file.
    assert Measurements.of("cpu", "roofline", tmp_path / "made").figures == {}


def test_what_other_processes_wrote_meanwhile_stays(tmp_path):
    mine, other = (Measurements.of("cpu", "times", tmp_path) for _ in range(2))
    mine.get("mine", lambda: 1.0)
    other.get("other", lambda: 2.0)
    mine.save()
    other.save()
    assert Measurements.of("cpu", "times", tmp_path).figures == {"mine": 1.0, "other": 2.0}


def test_nothing_is_written_without_news(tmp_path):
    store = Measurements.of("cpu", "times", tmp_path)
    store.save()
    assert not list(tmp_path.iterdir())
    Measurements(None, fresh=True).save()


@pytest.mark.parametrize("content", ["{", "[]", '{"one": -1}', '{"one": true}', '{"one": "fast"}', '{"one": 1e999}'])
def test_damaged_files_are_ignored_with_a_warning(tmp_path, content):
    path = Measurements.of("cpu", "times", tmp_path).path
    path.write_text(content)
    with pytest.warns(CacheWarning, match="it is ignored, and what it held is measured again"):
        assert Measurements.of("cpu", "times", tmp_path).figures == {}


def test_a_folder_that_cannot_be_written_to_warns(tmp_path):
    (tmp_path / "file").touch()
    store = Measurements(tmp_path / "file" / "times.json")
    store.get("one", lambda: 1.0)
    with pytest.warns(CacheWarning, match="measured costs were not cached"):
        store.save()


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(calibration, "_ELEMENTS", 2**12)
    monkeypatch.setattr(calibration, "_MATRIX", 16)
    for kept in (calibration._constants, calibration._host_link):
        kept.cache_clear()
    yield
    for kept in (calibration._constants, calibration._host_link):
        kept.cache_clear()


def test_a_machine_is_measured_once(tmp_path, quick, monkeypatch):
    first, link = constants("cpu", tmp_path), host_link("cpu", tmp_path)
    assert first.flops > 0
    assert link.offload_rate > 0
    # A later process takes them from the files.
    for kept in (calibration._constants, calibration._host_link):
        kept.cache_clear()
    monkeypatch.setattr(calibration, "_least", unexpected)
    assert (constants("cpu", tmp_path), host_link("cpu", tmp_path)) == (first, link)


def test_a_constant_of_zero_names_the_file(tmp_path, quick):
    path = Measurements.of("cpu", "roofline", tmp_path).path
    path.write_text(json.dumps({"flops": 0, "moved_bytes": 1, "launch": 1}))
    with pytest.raises(HcpError, match=f"{path.name}.*constant of zero; delete it"):
        constants("cpu", tmp_path)


def test_figures_belong_to_a_number_of_threads(tmp_path):
    before, threads = Measurements.of("cpu", "times", tmp_path).path, torch.get_num_threads()
    try:
        torch.set_num_threads(threads + 1)
        assert Measurements.of("cpu", "times", tmp_path).path != before
    finally:
        torch.set_num_threads(threads)
