"""Imports that keep nothing of who asked for them."""

from concurrent.futures import ThreadPoolExecutor
from importlib import import_module


def import_apart(name: str) -> None:
    """Imports a module in a thread of its own; one that is not there is left to the import statement that follows.

    PuLP keeps the error of every solver that it does not find. Its traceback leads to whoever imported PuLP: where that
    is the first call of a planned module, the outputs and inputs of the step would stay for as long as the process.
    """
    with ThreadPoolExecutor(1) as apart:
        apart.submit(import_module, name).exception()
