"""Ctrl-C while a step is planned, for every integration."""

from hcp.planning.plan import Plan


def heed(plan: Plan) -> None:
    """Hands Ctrl-C on to the program where it ended the search for a plan.

    A search that Ctrl-C ends returns its best so far. Who runs a step wants the program to stop then, not to go on with
    a plan cut short: nothing of the search is kept or run, and the next call plans afresh.

    Raises:
        KeyboardInterrupt: If the user ended the search.
    """
    if plan.interrupted:
        raise KeyboardInterrupt(f"planning of {plan.graph.name} was stopped by the user; no plan was kept, nothing ran")
