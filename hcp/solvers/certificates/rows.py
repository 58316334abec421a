"""Rows and columns by name, as plan files hold them: nothing in a file depends on the order in which rows are built.

A row is ``[family, node, value, stage]``, without the parts that its family has none of; see ``docs/format.md``.
"""

from collections.abc import Mapping
from typing import Final, Literal

from hcp.graph.errors import GraphError
from hcp.graph.fields import Record, shown, whole
from hcp.graph.index import GraphIndex
from hcp.solvers.cut_relaxation import model as cut_rows
from hcp.solvers.cut_relaxation.cuts import MEMORY
from hcp.solvers.fixed_order import stages as end_rows
from hcp.solvers.models.rows import NONE, Model, RowKey

Rows = tuple[RowKey, ...]

# Which names stand before the stage.
Shape = Literal["", "node", "value", "node value"]

CUT_ROWS: Final[Mapping[str, Shape]] = {
    cut_rows.GROW: "node",
    cut_rows.FIRST: "node",
    cut_rows.RUN_AFTER: "node value",
    cut_rows.BIRTH_AFTER: "node value",
    cut_rows.NEEDS: "node value",
    cut_rows.CARRY: "value",
    cut_rows.MADE: "value",
    cut_rows.HELD: "node value",
    cut_rows.FLOW: "node value",
    MEMORY: "",
}
END_ROWS: Final[Mapping[str, Shape]] = {end_rows.NEEDS: "node value", end_rows.CARRY: "value", end_rows.END: ""}


def to_lists(rows: Rows, index: GraphIndex) -> list[list[object]]:
    """Rows as files hold them."""
    return [_to_list(row, index) for row in rows]


def _to_list(row: RowKey, index: GraphIndex) -> list[object]:
    nodes = [] if row.node == NONE else [index.node_names[row.node]]
    values = [] if row.value == NONE else [index.value_names[row.value]]
    return [row.block, *nodes, *values, row.stage]


def read_rows(record: Record, index: GraphIndex, shapes: Mapping[str, Shape]) -> Rows:
    """The rows that ``to_lists`` wrote; whether a model has them is asked afterwards.

    Raises:
        GraphError: If one is no row of these families, or names what is not in the graph.
    """
    return tuple(_read(item, record.owner, index, shapes) for item in record.items("rows"))


def _read(item: object, owner: str, index: GraphIndex, shapes: Mapping[str, Shape]) -> RowKey:
    match item:
        case [str(family), *names, int(stage)] if family in shapes and whole(stage):
            shape = shapes[family].split()
            numbers = {"node": index.node_of, "value": index.value_of}
            if len(names) == len(shape):
                found = {part: numbers[part].get(str(name), NONE) for part, name in zip(shape, names, strict=True)}
                if NONE not in found.values():
                    return RowKey(family, found.get("node", NONE), found.get("value", NONE), stage)
    raise GraphError(f"{owner} has row {shown(item)}; expected a family of rows, names of the graph, and a stage")


def numbered(model: Model, rows: Rows) -> list[int] | None:
    """The numbers of a model's named rows; None where it has no such row, or one is named twice."""
    numbers = [model.row_of.get(row, NONE) for row in rows]
    return None if NONE in numbers or len(set(numbers)) < len(numbers) else numbers


def restricted(model: Model, rows: Rows) -> Model | None:
    """The named rows of a model; None where it has no such row, or one is named twice."""
    numbers = numbered(model, rows)
    return None if numbers is None else model.restricted(numbers)
