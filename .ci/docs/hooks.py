"""What the documentation takes from the code when it is built: command line, public names, planners, measured tables.

A page asks for a part by a line ``<!-- hcp: NAME -->``. Formulas become MathML here: pages load no script for them.
"""

import html
import inspect
import json
import re
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import typer
from math_core import LatexToMathML
from mkdocs.structure.pages import Page

import hcp
from hcp.cli import app
from hcp.instances import summaries
from hcp.planners import PLANNERS
from hcp.report.instances import NEAR, standing
from hcp.report.instances import leaderboard as boards
from hcp.report.tables import Table

ROOT = Path(__file__).parents[2]
# Tables and pictures take the place of the table of contents.
WIDE = ("index.md", "leaderboard.md", "reproduce.md")
# With what stands right before and after it.
FORMULA = re.compile(r'([(\[]?)<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\2>([^\s<]*)', re.DOTALL)
MATHML = LatexToMathML()


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Fills the page's parts in; called by mkdocs."""
    if page.file.src_uri in WIDE:
        page.meta["hide"] = ["toc"]
    filled = re.sub(r"^<!-- hcp: ([\w-]+) -->$", lambda match: PARTS[match[1]](), markdown, flags=re.MULTILINE)
    # Files of the repository are no pages.
    return re.sub(r"\[([^\]]+)\]\(\.\./[^)]+\)", r"\1", filled)


def on_page_content(content: str, **_: object) -> str:
    """Typesets the page's formulas; called by mkdocs."""
    return FORMULA.sub(_typeset, content)


def command_line() -> str:
    """The help of every command."""
    main: Any = typer.main.get_command(app)
    context = main.make_context("hcp", [], resilient_parsing=True)
    parts = [_help(main, None, "hcp")]
    for name, command in main.commands.items():
        parts.append(_help(command, context, name))
        for inner, part in getattr(command, "commands", {}).items():
            parts.append(_help(part, context, f"{name} {inner}"))
    return "\n\n".join(parts)


def public_names() -> str:
    """Signature and docstring of every public name."""
    return "\n\n".join(_described(name, getattr(hcp, name)) for name in sorted(hcp.__all__, key=str.lower))


def planners() -> str:
    """The table of planners."""
    rows = tuple((f"`{name}`", what) for name, (_, what) in PLANNERS.items())
    return Table(("planner", "what it is"), rows, (False, False)).to_markdown()


def measured_planners() -> str:
    """How planners did in the committed benchmark: schedules found, wins, distance to the best bound, time."""
    data = json.loads((ROOT / "benchmarks" / "results" / "small" / "captured.json").read_text(encoding="utf-8"))
    of: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in data["rows"]:
        of[row["solver"]].append(row)
    rows: list[tuple[float, tuple[str, ...]]] = []
    for solver, results in of.items():
        gaps = [row["gap"] for row in results if row["gap"] is not None]
        seconds = [row["seconds"] for row in results if row["seconds"] is not None]
        applies = [row for row in results if row["status"] != "NOT_APPLICABLE"]
        cells = (
            f"`{solver}`",
            f"{len(gaps)} of {len(results)}" if applies else "does not apply",
            str(sum(row["winner"] for row in results)),
            f"{100 * median(gaps):.2f} %" if gaps else "-",
            f"{median(seconds):.2f} s" if seconds else "-",
        )
        rows.append((median(gaps) if gaps else float("inf"), cells))
    ordered = tuple(cells for _, cells in sorted(rows))
    machine = data["machine"]
    note = f"Time limit {data['settings']['time_limit']:g} s; {machine['processor']}, {machine['cores']} cores.\n"
    headers = ("planner", "schedules", "wins", "median gap", "median time")
    return Table(headers, ordered, (False, True, True, True, True)).to_markdown() + "\n" + note


def published() -> str:
    """The committed published comparison."""
    text = (ROOT / "benchmarks" / "results" / "published.md").read_text(encoding="utf-8")
    return text.partition("\n")[2].strip()


def executed() -> str:
    """The committed comparison of executed training steps, at a glance."""
    text = (ROOT / "benchmarks" / "results" / "executed_torch_summary.md").read_text(encoding="utf-8")
    return "\n".join(line for line in text.splitlines() if line.startswith("|"))


def counted() -> str:
    """How much of the library is settled."""
    found = standing(summaries())
    return (
        f"Within half of what keep-everything takes, the best known schedules of {found.near} of its {found.instances} "
        f"graphs are certified to cost at most {100 * NEAR:g}\u00a0% more than any schedule; "
        f"{found.optimal} of them are optimal."
    )


def leaderboard() -> str:
    """The best that is known of every instance."""
    return boards(summaries())


PARTS: dict[str, Callable[[], str]] = {
    "command-line": command_line,
    "public-names": public_names,
    "planners": planners,
    "measured-planners": measured_planners,
    "published": published,
    "executed": executed,
    "library": counted,
    "leaderboard": leaderboard,
}


def _typeset(found: re.Match[str]) -> str:
    """A formula as MathML: in a line it stays with its punctuation, on lines of its own it scrolls where it is wide."""
    before, kind, formula, after = found.groups()
    block = kind == "div"
    math = MATHML.convert_with_local_state(html.unescape(formula).strip(), displaystyle=block)
    if block:
        return f'<div class="formula">{math}</div>{after}'
    return f'<span class="whole">{before}{math}{after}</span>' if before or after else math


def _help(command: Any, parent: Any, name: str) -> str:  # noqa: ANN401 - typer has its own copy of click
    context = command.make_context(name, [], parent=parent, resilient_parsing=True)
    context.max_content_width = context.terminal_width = 88
    title = name if parent is None else f"hcp {name}"
    return f"## {title}\n\n```text\n{command.get_help(context)}\n```"


def _described(name: str, found: object) -> str:
    doc = inspect.getdoc(found) or ""
    title = name.replace("_", r"\_")
    if not callable(found):
        return f"## {title}\n\n`{name}`: {type(found).__name__}.\n"
    try:
        signature = str(inspect.signature(found))
    except (TypeError, ValueError):
        signature = "(...)"
    kind = "class" if inspect.isclass(found) else "def"
    return f"## {title}\n\n```text\n{kind} {name}{_short(signature)}\n```\n\n{_prose(doc)}"


def _prose(doc: str) -> str:
    """A docstring as Markdown, its sections as lists."""
    lines = []
    for line in doc.replace("``", "`").splitlines():
        if section := re.fullmatch(r"(\w+):", line):
            lines += [f"**{section[1]}**", ""]
        elif item := re.fullmatch(r" {4}(\w+): (.*)", line):
            lines.append(f"- `{item[1]}`: {item[2]}")
        else:
            lines.append(re.sub(r"^ +", "  " if line.startswith(" " * 8) else "", line))
    return "\n".join(lines)


def _short(signature: str) -> str:
    """The signature without modules and addresses, a parameter a line where it is long."""
    text = re.sub(r"\b(?:[a-z_]+\.)+([A-Za-z_]\w*)", r"\1", signature)
    text = re.sub(r"<function (\w+) at 0x[0-9a-f]+>", r"\1", text)
    text = re.sub(r"<factory>", "...", text)
    if len(text) <= 75:
        return text
    inside, _, result = text[1:].rpartition(")")
    depth, parts, begin = 0, [], 0
    for i, character in enumerate(inside):
        depth += (character in "([{") - (character in ")]}")
        if character == "," and not depth:
            parts.append(inside[begin:i].strip())
            begin = i + 1
    parts.append(inside[begin:].strip())
    return "(\n" + "".join(f"    {part},\n" for part in parts) + ")" + result
