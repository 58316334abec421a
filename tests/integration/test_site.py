"""The documentation as a site: it builds without a warning, pages are whole, and formulas are formulas."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

import hcp
from hcp.instances import summaries
from hcp.report.instances import standing

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "docs").glob("*.md"))
FORMULA = re.compile(r"\$\$(.+?)\$\$|\$(.+?)\$", re.DOTALL)
# What of an element is loaded when the page is shown; links are not.
LOADED = {"href": ("link",), "src": (), "srcset": (), "poster": (), "data": ("object",)}
TAKEN = re.compile(r"url\(\s*[\"']?(?:https?:)?//|@import\s+[\"'](?:https?:)?//")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    for needed in ("mkdocs", "material", "math_core"):
        pytest.importorskip(needed)
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-f", ".ci/docs/mkdocs.yml", "-d", folder]
    environment = {"NO_MKDOCS_2_WARNING": "1", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


class Page(HTMLParser):
    """What a page loads, how many formulas it has, and the text that is neither code nor formula."""

    def __init__(self, file):
        super().__init__()
        self.loads, self.formulas, self.text, self.inside = [], 0, "", []
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name in LOADED and (not LOADED[name] or tag in LOADED[name]) and value:
                self.loads.append(value)
        self.formulas += tag == "math"
        if tag in ("script", "style", "code", "math"):
            self.inside.append(tag)

    def handle_endtag(self, tag):
        if self.inside and self.inside[-1] == tag:
            self.inside.pop()

    def handle_data(self, data):
        if not self.inside:
            self.text += data
        elif self.inside[-1] == "style":
            assert not TAKEN.search(data)


def formulas(source):
    """The formulas of a page's Markdown, of which code is no part."""
    text = re.sub(r"^```.*?^```|^    .*?$|`[^`]+`", "", source.read_text(encoding="utf-8"), flags=re.M | re.S)
    return [block or inline for block, inline in FORMULA.findall(text)]


def test_pages_say_what_the_code_says(site):
    reference = (site / "cli" / "index.html").read_text()
    assert all(f"hcp {command}" in reference for command in ("solve", "minimize", "compare", "show", "verify"))
    assert "lower_sets" in (site / "which-planner" / "index.html").read_text()
    names = (site / "api" / "index.html").read_text()
    assert all(name in names for name in hcp.__all__)
    assert "<strong>Raises</strong>" in names
    assert "``" not in names
    front = (site / "index.html").read_text()
    assert f"{standing(summaries()).instances} graphs" in front
    assert all(f"<td>{model}</td>" in front for model in ("gpt", "standin"))


def test_pages_load_nothing_from_elsewhere(site):
    pages = sorted(site.rglob("*.html"))
    assert len(pages) >= len(SOURCES)
    for file in pages:
        loads = Page(file).loads
        assert loads
        assert not [load for load in loads if re.match(r"(?:https?:)?//", load)], file
    styles = sorted(site.rglob("*.css"))
    assert any(style.name == "site.css" for style in styles)
    assert not [style for style in styles if TAKEN.search(style.read_text(encoding="utf-8"))]


def test_every_formula_is_typeset(site):
    counts = {}
    for source in SOURCES:
        page = Page(site / ("" if source.stem == "index" else source.stem) / "index.html")
        counts[source.stem] = page.formulas
        assert page.formulas == len(formulas(source)), source.name
        assert "$" not in page.text, source.name
    assert counts["formulations"] > 300
    assert counts["theory"] > 100


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_markdown_leaves_formulas_alone(source):
    """GitHub reads a page as Markdown before it looks for formulas: escapes, emphasis, tags and lists would be lost."""
    text = source.read_text(encoding="utf-8")
    shown = ""
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        for part in token.children or ():
            shown += {"text": part.content, "softbreak": "\n"}.get(part.type, "\0")
        shown += "\0"
    broken = [formula for formula in formulas(source) if f"${formula}$" not in shown]
    assert not broken


def test_markdown_that_would_break_formulas_is_noticed(tmp_path):
    page = tmp_path / "page.md"
    for bad in (r"$\{a\}$", "$c'_v$ and $b_{k}$ and $c'_v$ and $b_{k}$", "$a<b>c$", "$a *b* c$"):
        page.write_text(bad)
        with pytest.raises(AssertionError):
            test_markdown_leaves_formulas_alone(page)
    page.write_text(r"$c_v' \le \lbrace b_{k} \rbrace$, but `$HCP` is code")
    test_markdown_leaves_formulas_alone(page)
