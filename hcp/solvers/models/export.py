"""Models as MPS and LP files, which other solvers read, with what their columns mean."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Final

import highspy
import numpy as np

from hcp.graph.errors import HcpError
from hcp.graph.files import write_atomically
from hcp.graph.index import GraphIndex
from hcp.graph.ir import Graph
from hcp.planning.problem import Problem
from hcp.solvers.checkmate import checkmate_program
from hcp.solvers.cut_relaxation.chains import candidate_chains
from hcp.solvers.cut_relaxation.grid import ColumnKey
from hcp.solvers.cut_relaxation.model import build_cut_model
from hcp.solvers.fixed_order.stages import StageGrid, build_stage_grid, build_stage_model
from hcp.solvers.models.rows import Model

SUFFIXES: Final = (".mps", ".lp")
# Doubles hold whole numbers up to here.
LARGEST: Final = 2**53


@dataclass(frozen=True)
class Exported:
    """A model with the meaning of its columns.

    Attributes:
        model: Rows and columns.
        keys: What columns are called that are variables of the formulation; others only help.
        stages: What each stage ends with, by name.
    """

    model: Model
    keys: Mapping[int, ColumnKey]
    stages: tuple[str, ...]


def cuts(graph: Graph, budget: int) -> Exported:
    """The order-free cut relaxation, for the longest chain that is tried, without cuts."""
    index = graph.index
    form = build_cut_model(index, budget, candidate_chains(graph)[-1])
    return Exported(form.model, dict(enumerate(form.grid.keys)), tuple(index.node_names[node] for node in form.chain))


def staged(graph: Graph, budget: int) -> Exported:
    """The staged model of the graph's order, with the inside of every stage."""
    order = tuple(graph.index.order.tolist())
    form = build_stage_model(build_stage_grid(graph.index, budget, order), budget, range(len(order)))
    needs = {column: ColumnKey("N", x, stage) for column, (stage, x, _) in form.needs.items()}
    return Exported(form.model, _of_grid(form.grid) | needs, graph.order)


def checkmate(graph: Graph, budget: int) -> Exported:
    """Checkmate's program for the graph's order, its FREE linearised tightly; FREE and U only help here."""
    form = checkmate_program(Problem(graph, budget, graph.order), tightened=True)
    return Exported(form.model, _of_grid(form.grid), graph.order)


MODELS: Final[Mapping[str, Callable[[Graph, int], Exported]]] = MappingProxyType(
    {"cuts": cuts, "staged": staged, "checkmate": checkmate}
)


def export_model(graph: Graph, budget: int, model: str, path: Path) -> Path:
    """Writes a model as an MPS or LP file, by its ending, and what its columns mean beside it.

    Args:
        graph: The computation.
        budget: In bytes.
        model: A name from ``MODELS``.
        path: Of the file.

    Returns:
        The path of a JSON file: ``{"columns": {name: [kind, node or value, stage]}, "stages": [..]}``.

    Raises:
        HcpError: On another model or ending, on numbers that files cannot hold, or if one cannot be written.
    """
    if model not in MODELS:
        raise HcpError(f"model {model!r} is not known; choose one of {', '.join(MODELS)}")
    if path.suffix not in SUFFIXES:
        raise HcpError(f"{str(path)!r} has no ending that says the format; give one of {', '.join(SUFFIXES)}")
    if graph.engines:
        raise HcpError(f"graph {graph.name!r} has nodes on engines, of which models know nothing; give graph.serial")
    found = MODELS[model](graph, budget)
    names = [_name(found.keys.get(column), column) for column in range(len(found.model.cost))]
    beside = path.with_suffix(".columns.json")
    write_atomically(path, _text(found.model, names, path.suffix, f"{graph.name}, {model}, {budget} bytes"))
    columns = {names[column]: [key.kind, _item(graph.index, key), key.stage] for column, key in found.keys.items()}
    write_atomically(beside, json.dumps({"model": model, "columns": columns, "stages": found.stages}) + "\n")
    return beside


def _text(model: Model, names: list[str], suffix: str, title: str) -> str:
    """The file as HiGHS writes it."""
    numbers = [*model.cost.tolist(), *model.rhs.tolist(), *model.matrix.data.tolist(), model.constant]
    if max(map(abs, numbers), default=0) > LARGEST:
        raise HcpError(
            f"the model of {title} has numbers beyond 2^53, which solvers' files do not hold exactly; scale it"
        )
    rows, columns = model.matrix.shape
    program = highspy.HighsLp()
    program.model_name_ = "hcp"
    program.num_col_, program.num_row_ = columns, rows
    program.col_cost_, program.offset_ = model.cost.astype(float), float(model.constant)
    program.col_lower_, program.col_upper_ = np.zeros(columns), np.ones(columns)
    program.row_lower_, program.row_upper_ = np.full(rows, -highspy.kHighsInf), model.rhs.astype(float)
    program.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    program.a_matrix_.num_col_, program.a_matrix_.num_row_ = columns, rows
    program.a_matrix_.start_, program.a_matrix_.index_ = model.matrix.indptr, model.matrix.indices
    program.a_matrix_.value_ = model.matrix.data.astype(float)
    kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
    program.integrality_ = [kinds[bool(integral)] for integral in model.integral]
    program.col_names_, program.row_names_ = names, [f"row_{row}" for row in range(rows)]
    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    solver.passModel(program)
    with TemporaryDirectory() as folder:
        file = Path(folder) / f"model{suffix}"
        solver.writeModel(str(file))
        return file.read_text()


def _of_grid(grid: StageGrid) -> dict[int, ColumnKey]:
    found = {}
    for kind, columns in (("R", grid.runs), ("S", grid.saves)):
        for item, stage in np.argwhere(columns >= 0).tolist():
            found[int(columns[item, stage])] = ColumnKey(kind, item, stage)
    return found


def _item(index: GraphIndex, key: ColumnKey) -> str:
    """The node or the value that a column is about."""
    return (index.node_names if key.kind in {"C", "R"} else index.value_names)[key.item]


def _name(key: ColumnKey | None, column: int) -> str:
    """A name that all readers take: the numbers of nodes and values, since names of graphs may be anything."""
    if key is None:
        return f"help_{column}"
    # Several readers in a stage have an N each.
    return "_".join(map(str, (*key, column) if key.kind == "N" else key))
