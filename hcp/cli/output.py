"""What the commands print."""

import json

import typer

from hcp.report.tables import Table


def print_table(table: Table) -> None:
    """A drawn table on a terminal, plain aligned text elsewhere."""
    from rich.console import Console

    console = Console()
    if console.is_terminal:
        console.print(table.to_rich())
    else:
        typer.echo(table.to_text())


def print_json(data: dict[str, object]) -> None:
    """One JSON object on one line."""
    typer.echo(json.dumps(data, allow_nan=False))


def tell(text: str) -> None:
    """A line on stderr."""
    typer.echo(text, err=True)
