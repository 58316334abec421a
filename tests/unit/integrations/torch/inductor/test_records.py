"""Measured plans, kept: round trips, damage, several processes, and what is offered for a budget."""

import json

import pytest

pytest.importorskip("torch")

from hcp import solve
from hcp.graph.instances import unet
from hcp.integrations.torch.inductor import records as module
from hcp.integrations.torch.inductor.records import Compiled, Record, identity_of_plan, record_of
from hcp.plans.cache import CacheWarning

GRAPH = unet(8, 3)


def compiled(percent, measured=None):
    plan = solve(GRAPH, f"{percent}%", "eviction")
    return Compiled(identity_of_plan(plan), plan.cost, plan.peak, measured or plan.peak, plan)


TIGHT, LOOSE = compiled(70), compiled(100)


@pytest.fixture(autouse=True)
def _fresh(monkeypatch):
    monkeypatch.setattr(module, "_RECORDS", {})


def other_process():
    """What the next call of ``record_of`` reads anew."""
    module._RECORDS.clear()


def filled(folder, *plans, key="key"):
    record = record_of(key, folder)
    for each in plans:
        record.add(each)
        record.answers[f"{each.measured_bytes} bytes"] = each.measured_bytes
    record.whole_bytes = 5000
    record.save()
    return record


def test_plans_differ_by_what_they_run():
    assert TIGHT.identity != LOOSE.identity
    assert TIGHT.identity == compiled(70).identity
    assert len(TIGHT.identity) == 32


def test_a_record_comes_back(tmp_path):
    filled(tmp_path, TIGHT, LOOSE)
    other_process()
    record = record_of("key", tmp_path)
    assert record.whole_bytes == 5000
    plan, measured, allowed = record.answer(f"{TIGHT.measured_bytes} bytes")
    assert (plan.schedule, plan.graph) == (TIGHT.plan.schedule, GRAPH)
    assert measured == allowed == TIGHT.measured_bytes
    assert record.answer("something else") is None
    assert record_of("other key", tmp_path).compiled == []


def test_without_a_folder_the_process_remembers():
    filled(False, TIGHT)
    assert record_of("key", False).cheapest(TIGHT.measured_bytes).identity == TIGHT.identity
    assert record_of("key", False).path is None


def test_the_cheapest_that_keeps_what_is_allowed(tmp_path):
    record = filled(tmp_path, TIGHT, LOOSE)
    assert TIGHT.cost > LOOSE.cost
    assert record.cheapest(LOOSE.measured_bytes) is LOOSE
    assert record.cheapest(LOOSE.measured_bytes - 1) is TIGHT
    assert record.cheapest(TIGHT.measured_bytes - 1) is None
    budgets = range(TIGHT.measured_bytes, LOOSE.measured_bytes + 10, 7)
    costs = [record.cheapest(budget).cost for budget in budgets]
    assert costs == sorted(costs, reverse=True)


def test_a_plan_that_is_measured_again_is_there_once(tmp_path):
    record = filled(tmp_path, TIGHT)
    record.add(Compiled(TIGHT.identity, TIGHT.cost, TIGHT.planned_bytes, 77, TIGHT.plan))
    assert [each.measured_bytes for each in record.compiled] == [77]


def test_what_was_found_since_answers_earlier_requests(tmp_path):
    record = filled(tmp_path, TIGHT)
    record.answers["loose"] = LOOSE.measured_bytes
    assert record.answer("loose")[1] == TIGHT.measured_bytes
    assert LOOSE.cost < TIGHT.cost
    record.add(LOOSE)
    assert record.answer("loose")[1] == LOOSE.measured_bytes
    assert record.answer(f"{TIGHT.measured_bytes} bytes")[1] == TIGHT.measured_bytes


def test_processes_that_write_at_once_keep_what_each_found(tmp_path):
    path = tmp_path / "compiled-key.json"
    one, two = Record(path), Record(path)
    one.add(TIGHT)
    one.answers["a"] = 1
    one.whole_bytes = 9
    two.add(LOOSE)
    two.answers["b"] = 2
    one.save()
    two.save()
    other_process()
    read = record_of("key", tmp_path)
    assert {each.identity for each in read.compiled} == {TIGHT.identity, LOOSE.identity}
    assert set(read.answers) == {"a", "b"}
    assert read.whole_bytes == two.whole_bytes == 9


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"schema": "hcp-compiled/0"}',
        '{"schema": "hcp-compiled/1"}',
        '{"schema": "hcp-compiled/1", "whole_bytes": "many", "compiled": [], "answers": {}}',
        '{"schema": "hcp-compiled/1", "whole_bytes": 1, "compiled": [[1, 2]], "answers": {}}',
        '{"schema": "hcp-compiled/1", "whole_bytes": 1, "compiled": 3, "answers": {}}',
        '{"schema": "hcp-compiled/1", "whole_bytes": 1, "compiled": [], "answers": []}',
    ],
)
def test_damaged_files_are_told_and_ignored(tmp_path, text):
    path = tmp_path / "compiled-key.json"
    path.write_text(text)
    with pytest.warns(CacheWarning, match="ignored"):
        record = record_of("key", tmp_path)
    assert (record.compiled, record.answers, record.whole_bytes) == ([], {}, None)
    # And replaced.
    with pytest.warns(CacheWarning):
        filled(tmp_path, TIGHT)
    assert json.loads(path.read_text())["schema"] == module.SCHEMA


def test_damaged_plans_are_told_and_ignored(tmp_path):
    filled(tmp_path, TIGHT)
    (file,) = tmp_path.glob("compiled-plan-*")
    file.write_text("{}")
    other_process()
    record = record_of("key", tmp_path)
    with pytest.warns(CacheWarning, match="replaced by a new plan"):
        assert record.answer(f"{TIGHT.measured_bytes} bytes") is None


def test_records_of_other_programs_are_forgotten(tmp_path):
    record = filled(tmp_path, TIGHT)
    record.forget()
    record.save()
    other_process()
    read = record_of("key", tmp_path)
    assert (read.compiled, read.answers, read.whole_bytes) == ([], {}, None)
    Record().forget()


def test_folders_that_cannot_be_written_are_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.warns(CacheWarning, match="not cached"):
        filled(tmp_path / "file" / "below", TIGHT)
