"""The command line that the executed comparisons share."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Final

PROFILES: Final = ("small", "medium", "large")
# Timed steps of each way: enough for a second or so of them.
ROUNDS: Final = {"small": 101, "medium": 51, "large": 21}


def executed_options(
    description: str | None,
    models: Sequence[str],
    *,
    profile: str | None = "small",
    profiles: Sequence[str] = PROFILES,
) -> argparse.ArgumentParser:
    """Options for which models to measure and how long; the caller may add its own.

    Args:
        description: The benchmark's docstring.
        models: Names that ``--model`` takes; all are chosen where it is not given.
        profile: The default of ``--profile``; None for models of one size.
        profiles: What it takes.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    if profile is not None:
        parser.add_argument("--profile", choices=profiles, default=profile, help="size of the models")
    parser.add_argument(
        "--model", action="append", choices=models, help=f"{', '.join(models)}; repeat for several; all by default"
    )
    parser.add_argument("--time-limit", type=float, help="seconds for each plan")
    parser.add_argument("--rounds", type=int, help="timed steps of each way; more for smaller models by default")
    parser.add_argument("--out", type=Path, help="folder for tables, JSON and pictures")
    return parser
