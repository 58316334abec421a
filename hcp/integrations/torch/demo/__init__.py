"""The demo: a GPT-style training step planned within half its memory, run, and held against its promise.

Its models serve the tests and the benchmarks as well.
"""

from hcp.integrations.torch.demo.demonstration import SOLVERS, Settings, run

__all__ = ["SOLVERS", "Settings", "run"]
