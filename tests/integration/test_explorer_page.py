"""The page of a plan in a browser: it is drawn, its numbers are replay's, and its table can be searched and sorted."""

import re
import shutil
import subprocess
from html.parser import HTMLParser
from urllib.parse import urlencode

import pytest

pytest.importorskip("plotly")

from hcp.graph.units import bytes_text
from hcp.report.explorer import save_page
from hcp.schedule.lifetimes import lifetimes
from tests.unit.report.plans import HOSTILE, plan_of

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium or chrome is installed")


@pytest.fixture(scope="module")
def show(tmp_path_factory):
    """What the browser makes of a plan's page: its document once all scripts have run."""
    folder = tmp_path_factory.mktemp("pages")

    def shown(kind, **state):
        page = folder / f"{kind}.html"
        if not page.exists():
            save_page(plan_of(kind), page)
        address = f"file://{page}#{urlencode(state)}"
        options = (
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--window-size=1300,1000",
            f"--user-data-dir={folder}/x",
        )
        command = [BROWSER, *options, "--virtual-time-budget=20000", "--dump-dom", address]
        found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
        return Document(re.sub(r"<script.*?</script>", "", found, flags=re.DOTALL))

    return shown


class Document(HTMLParser):
    """Texts by the id of the innermost element that has one, rows of the table, and how many elements of a kind."""

    def __init__(self, text):
        super().__init__()
        self.text = text
        self.open = []
        self.texts = {}
        self.tags = []
        self.rows = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.tags.append((tag, given))
        if tag == "tr" and "data-node" in given:
            self.rows.append([])
        if tag == "td" and self.rows:
            self.rows[-1].append("")
        if tag not in ("meta", "input", "br", "img"):
            self.open.append((tag, given.get("id")))

    def handle_endtag(self, tag):
        while self.open and self.open.pop()[0] != tag:
            pass

    def handle_data(self, data):
        inside = [name for _, name in self.open if name]
        if inside:
            self.texts[inside[-1]] = self.texts.get(inside[-1], "") + data
        if self.rows and inside and inside[-1] == "nodes" and self.open[-1][0] == "td":
            self.rows[-1][-1] += data

    @property
    def drawn(self):
        return any(tag == "body" and given.get("data-drawn") == "all" for tag, given in self.tags)

    def count(self, tag, part):
        return sum(name == tag and part in (given.get("class") or "") for name, given in self.tags)


def test_the_page_is_drawn_and_its_sums_are_those_of_replay(show):
    plan = plan_of("overlapped")
    step = plan.usage.peak_step // 2
    name = next(iter(plan.usage.recomputed))
    found = show("overlapped", step=step, node=name, again=1)
    # The script refuses to draw where the values of a step do not add up to what replay holds.
    assert found.drawn, found.texts.get("problem")
    origins = {each.origin for each in lifetimes(plan.graph, plan.schedule)}
    assert found.count("path", "js-fill") == len(origins)
    # A dot for each step, but where one covers another.
    assert found.count("path", "point") > len(plan.schedule.steps) / 2
    assert f"{bytes_text(plan.usage.profile[step])} held ({plan.usage.profile[step]} bytes)" in found.texts["step"]
    assert bytes_text(plan.peak) in found.texts["summary"]
    assert f"{len(plan.usage.recomputed)} nodes run again" in found.texts["summary"]
    assert {row[0]: int(row[-3]) - 1 for row in found.rows} == plan.usage.recomputed
    assert f"Runs {plan.usage.recomputed[name] + 1} times" in found.texts["details"]
    assert "was freed after step" in found.texts["details"]


def test_a_search_filters_and_a_column_sorts(show):
    plan = plan_of("recomputing")
    found = show("recomputing", search="V1", sort="cost", down=1)
    assert found.drawn, found.texts.get("problem")
    wanted = [node.name for node in plan.graph.nodes if "v1" in node.name]
    assert 1 < len(wanted) < len(plan.graph.nodes)
    assert {row[0] for row in found.rows} == set(wanted)
    costs = [plan.graph.node[row[0]].cost for row in found.rows]
    assert costs == sorted(costs, reverse=True)
    assert found.texts["count"] == f"{len(wanted)} of {len(plan.graph.nodes)} nodes"


def test_hostile_names_are_text(show):
    found = show("hostile", step=0, group="layer")
    assert found.drawn, found.texts.get("problem")
    assert not [tag for tag, _ in found.tags if tag in ("img", "b")]
    assert {HOSTILE[0], HOSTILE[2]} <= {row[0] for row in found.rows}
    assert found.texts["step"].startswith(f"Step 0: {HOSTILE[0]}")
