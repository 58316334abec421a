"""Plans as pages: their numbers are replay's, and names do no harm."""

import json
import re

import pytest

import hcp
from hcp.graph.instances import training_chain
from hcp.report.explorer import save_page, to_data, to_page
from hcp.schedule.actions import Compute
from tests.unit.report.plans import HOSTILE, KINDS, plan_of

pytest.importorskip("plotly")

MOST_BYTES = 6 * 2**20


@pytest.fixture(params=KINDS)
def plan(request):
    return plan_of(request.param)


def test_lifetimes_and_workspaces_add_up_to_replay_at_each_step(plan):
    data = to_data(plan)
    steps, nodes, lives = data["steps"], data["nodes"], data["lives"]
    held = [nodes["workspace"][of] if kind == 0 else 0 for kind, of in zip(steps["kind"], steps["of"], strict=True)]
    for value, first, last in zip(lives["value"], lives["first"], lives["last"], strict=True):
        for step in range(first, last + 1):
            held[step] += data["values"]["bytes"][value]
    assert tuple(held) == data["profile"] == plan.usage.profile
    assert data["profile"][data["peakStep"]] == data["peak"] == plan.peak
    assert sum(steps["cost"]) == plan.usage.cost
    assert (data["budget"], data["keepEverything"]) == (plan.problem.budget, plan.base.peak)


def test_steps_nodes_and_values_name_each_other(plan):
    data = to_data(plan)
    names = {0: data["nodes"]["name"], 1: data["values"]["name"], 2: data["values"]["name"]}
    found = [names[kind][of] for kind, of in zip(data["steps"]["kind"], data["steps"]["of"], strict=True)]
    assert found == [s.node if isinstance(s, Compute) else s.value for s in plan.schedule.steps]
    runs = {name: run for name, run in zip(found, data["steps"]["run"], strict=True) if run}
    assert {name: run - 1 for name, run in runs.items() if run > 1} == plan.usage.recomputed
    for value, maker in zip(data["values"]["name"], data["values"]["maker"], strict=True):
        assert plan.graph.producer.get(value) == (None if maker < 0 else data["nodes"]["name"][maker])
    returned = {step for step, *_ in data["returns"]}
    assert all(data["steps"]["run"][step] > 1 or data["steps"]["kind"][step] == 2 for step in returned)


def test_the_page_holds_the_data_whatever_the_names(plan):
    page = to_page(plan)
    elements = re.findall(r"<script[^>]*>(.*?)</script>", page, flags=re.DOTALL)
    assert len(elements) == 3
    # But for halves of characters, which a page cannot hold.
    assert json.loads(elements[1]) == json.loads(json.dumps(to_data(plan), ensure_ascii=False).replace("\ud800", "?"))
    assert len(page) < MOST_BYTES
    # Nothing is fetched from elsewhere; the library names sites that it does not ask.
    own = page.replace(elements[0], "")
    assert "http" not in own
    assert "src=" not in own.replace(elements[1], "").replace("&lt;img src=x", "")


def test_hostile_names_are_in_the_data_alone():
    page = to_page(plan_of("hostile"))
    assert "<img" not in re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    assert "<title>&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;?&#x27;&quot;\\: plan of" in page
    names = to_data(plan_of("hostile"))["nodes"]
    assert names["name"] == [*HOSTILE, "last"]
    assert names["path"][:2] == [f"{name}.3" for name in HOSTILE[:2]]


def test_there_is_nothing_to_show_without_a_schedule(tmp_path):
    with pytest.raises(hcp.HcpError, match="found no schedule"):
        save_page(hcp.solve(training_chain(5), 5, "keep_all"), tmp_path / "plan.html")
    assert not list(tmp_path.iterdir())


def test_without_plotly_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "plotly.offline", None)
    with pytest.raises(hcp.HcpError, match=r"pip install 'hcp-checkpointing\[plot\]'"):
        to_page(plan_of("recomputing"))
