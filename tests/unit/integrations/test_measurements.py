"""Figures are measured once, kept with those of other processes, and ignored where they are none."""

import json

import pytest

from hcp.integrations import measurements
from hcp.integrations.measurements import SCHEMA, Measurements
from hcp.plans.cache import CacheWarning

MACHINE = ("cpu", 8)


@pytest.fixture(autouse=True)
def known(monkeypatch):
    """What this process knows: nothing."""
    monkeypatch.setattr(measurements, "_KNOWN", type(measurements._KNOWN)())
    return measurements._KNOWN


def store(folder, kind="times", depends=MACHINE):
    return Measurements.of(kind, depends, folder)


def later(known, folder):
    """What another process reads."""
    known.clear()
    return store(folder)


def unexpected():
    raise AssertionError("measured again")


@pytest.mark.parametrize("figure", [3, 2.5, 0])
def test_figures_are_measured_once_and_kept(tmp_path, known, figure):
    first = store(tmp_path / "made")
    assert first.get("one", lambda: figure) == first.get("one", unexpected) == figure
    first.save()
    found = later(known, tmp_path / "made")
    assert found.get("one", unexpected) == figure
    assert type(found.figures["one"]) is type(figure)


@pytest.mark.parametrize("folder", [False, True])
def test_one_process_has_one_store(tmp_path, folder):
    place = tmp_path if folder else None
    store(place).get("one", lambda: 1)
    assert store(place) is store(place)
    assert store(place).figures == {"one": 1}
    # Of other kinds, machines and folders there are others.
    for other in (store(place, "roofline"), store(place, depends=("cpu", 9)), store(tmp_path / "other")):
        assert other.figures == {}


def test_stores_that_were_used_last_are_remembered(known):
    first = store(None, depends=(0,))
    for number in range(measurements._REMEMBERED):
        store(None, depends=(number,))
    assert store(None, depends=(0,)) is first
    store(None, depends=(measurements._REMEMBERED,))
    assert len(known) == measurements._REMEMBERED
    assert store(None, depends=(0,)) is first


def test_what_other_processes_wrote_meanwhile_stays(tmp_path, known):
    mine, other = store(tmp_path), later(known, tmp_path)
    mine.get("mine", lambda: 1.0)
    other.get("other", lambda: 2.0)
    mine.save()
    other.save()
    found = later(known, tmp_path)
    assert found.figures == {"mine": 1.0, "other": 2.0}
    assert not found.fresh


def test_nothing_is_written_without_news(tmp_path):
    store(tmp_path).save()
    assert not list(tmp_path.iterdir())
    Measurements(None, fresh=True).save()


def test_it_is_known_how_long_one_took():
    taken = Measurements()
    assert taken.seconds == 0
    taken.get("one", lambda: 1)
    assert taken.seconds > 0


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        '{"one": 1}',
        '{"schema": "hcp-measured/1", "taken": {"one": 1}}',
        *(f'{{"schema": "{SCHEMA}", "figures": {figures}}}' for figures in ("[]", '{"one": -1}', '{"one": true}')),
        *(f'{{"schema": "{SCHEMA}", "figures": {{"one": {figure}}}}}' for figure in ('"fast"', "1e999")),
    ],
)
def test_damaged_files_are_ignored_with_a_warning_and_written_anew(tmp_path, known, content):
    path = store(tmp_path).path
    path.write_text(content)
    with pytest.warns(CacheWarning, match="it is ignored, and what it held is measured again"):
        found = later(known, tmp_path)
    assert found.figures == {}
    found.get("two", lambda: 2)
    with pytest.warns(CacheWarning):
        found.save()
    assert json.loads(path.read_text()) == {"schema": SCHEMA, "figures": {"two": 2}}


def test_files_of_earlier_versions_are_not_read(tmp_path):
    path = store(tmp_path).path
    for name in (f"jax-{path.stem[-32:]}.json", f"times-{path.stem[-16:]}.json"):
        (tmp_path / name).write_text("{")
    assert store(tmp_path).figures == {}


def test_a_folder_that_cannot_be_written_to_warns(tmp_path):
    (tmp_path / "file").touch()
    blocked = store(tmp_path / "file")
    blocked.get("one", lambda: 1.0)
    with pytest.warns(CacheWarning, match="what was measured was not cached"):
        blocked.save()
