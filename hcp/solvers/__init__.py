"""Exact solvers and bounds: models written once as sparse integer matrices, and the back ends that solve them."""
