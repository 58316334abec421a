"""The result files of the executed comparison, written again after each model."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from benchmarks.harness import publish
from benchmarks.torch_checks import Check, checks_table
from benchmarks.torch_picture import draw
from benchmarks.torch_report import (
    Failed,
    Measured,
    Start,
    Verdict,
    rows_table,
    starts_table,
    verdicts_table,
)
from benchmarks.torch_summary import Point, Summary, summaries_of, summary_table
from hcp.graph.errors import HcpError
from hcp.graph.files import read_json


def _summary(**found: Any) -> Summary:  # noqa: ANN401 - a row of a file
    points = {name: Point(**each) if isinstance(each, dict) else each for name, each in found.items()}
    return Summary(**points)


# Endings of the files' names, and how their rows are shown.
_PARTS: Final[Mapping[str, tuple[Any, Any]]] = {
    "": (Measured, rows_table),
    "_pareto": (Verdict, verdicts_table),
    "_start": (Start, starts_table),
    "_checks": (Check, checks_table),
    "_summary": (_summary, summary_table),
}


@dataclass
class Results:
    """What was found so far.

    Attributes:
        title: How the files' names begin.
        out: Their folder; None only prints.
        settings: What was asked for.
        parts: The rows of each file.
    """

    title: str
    out: Path | None
    settings: Mapping[str, Any]
    parts: dict[str, list[Any]] = field(default_factory=lambda: {part: [] for part in _PARTS})

    def take_up(self, anew: Sequence[str]) -> None:
        """Keeps what an earlier run with the same settings wrote there of models that are not measured anew."""
        for part, (kind, _) in _PARTS.items():
            self.parts[part] += [
                (Failed if "error" in row else kind)(**row) for row in self._written(part) if row["model"] not in anew
            ]

    def _written(self, part: str) -> list[dict[str, Any]]:
        path = None if self.out is None else self.out / f"{self.title}{part}.json"
        if path is None or not path.exists():
            return []
        data = read_json(path, "result file")
        if not isinstance(data, dict) or data.get("settings") != dict(self.settings):
            return []
        rows: list[dict[str, Any]] = data["rows"]
        return rows

    def add(
        self,
        rows: Sequence[Measured | Failed],
        verdicts: Sequence[Verdict] = (),
        starts: Sequence[Start | Failed] = (),
        checks: Sequence[Check] = (),
    ) -> None:
        """Takes in one model, prints all tables, and writes all files and the picture."""
        for part, found in zip(_PARTS, (rows, verdicts, starts, checks, summaries_of(rows)), strict=True):
            self.parts[part] += found
        for part, (_, table) in _PARTS.items():
            content = self.parts[part]
            publish(self.title + part, table(content), list(map(asdict, content)), self.out, **self.settings)
        if self.out is not None:
            try:
                draw(self.parts[""], self.out / f"{self.title}.png")
            except HcpError as error:
                # The tables are there, which a picture is drawn from by `hcp show` later.
                print(f"no picture: {error}")
