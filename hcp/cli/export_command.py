"""``hcp export``."""

from pathlib import Path
from typing import Annotated

import typer

from hcp.cli.options import Budget, GraphText, InputShapes, TrainingText, check_target, graph_from
from hcp.schedule.budget import parse_budget


def export_command(
    graph: GraphText,
    budget: Budget,
    out: Annotated[Path, typer.Option(help="The file to write: .mps or .lp.")],
    model: Annotated[str, typer.Option(help="cuts (order-free), staged or checkmate (the graph's order).")] = "cuts",
    input_shapes: InputShapes = None,
    training: TrainingText = None,
) -> None:
    """Write a formulation for other solvers, and beside it what its columns mean (.columns.json).

    \b
      hcp export unet:4 -b 70% --model staged --out unet.mps
    """
    # Loads solvers, which other commands do without.
    from hcp.solvers.models.export import export_model

    check_target(out, given=(graph,))
    loaded = graph_from(graph, input_shapes, training)
    columns = export_model(loaded, parse_budget(budget, loaded), model, out)
    typer.echo(f"{out} and {columns}")
