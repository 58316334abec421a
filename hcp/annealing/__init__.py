"""Simulated annealing on execution sequences: a compiled engine that planners and solvers drive.

Importing it loads numba, so import it inside functions: ``import hcp`` has to stay light.
"""

from hcp.annealing.engine import RECOMPUTE_MIX, REORDER_MIX, Annealer, Cooling, EngineParams, Outcome
from hcp.annealing.loop import Mix
from hcp.annealing.parallel import Run, run_together
from hcp.annealing.polish import polish

__all__ = [
    "RECOMPUTE_MIX",
    "REORDER_MIX",
    "Annealer",
    "Cooling",
    "EngineParams",
    "Mix",
    "Outcome",
    "Run",
    "polish",
    "run_together",
]
