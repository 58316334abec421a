"""Planning with a host: which values to keep, which to compute again, and which to move out and back.

Planners that only recompute plan surrogate graphs (``surrogate.py``), in which fetching a value is a node like others;
what they find is improved (``improve.py``), and the best starts the next round (``planner.py``). Bounds that
hold with transfers are in ``hcp.solvers.host_bounds``.
"""
