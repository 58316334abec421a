"""Heuristic planners, one strategy a file; none imports a solver."""
