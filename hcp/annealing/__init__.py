"""Simulated annealing on execution sequences: a compiled engine that planners and solvers drive.

Importing it loads numba, so import it inside functions: ``import hcp`` has to stay light.
"""

from hcp.annealing.engine import BRISK, CHAINS, Annealer, Cooling, EngineParams, Outcome
from hcp.annealing.loop import Mix
from hcp.annealing.polish import polish
from hcp.annealing.team import Run, run_together

__all__ = ["BRISK", "CHAINS", "Annealer", "Cooling", "EngineParams", "Mix", "Outcome", "Run", "polish", "run_together"]
