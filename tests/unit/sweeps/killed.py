"""Runs a sweep in child processes that are killed at random moments, then to its end; arguments: store, kills, seed.

A process of its own, because forking one that holds threads of other tests may hang.
"""

import os
import random
import signal
import sys
import time

import hcp
from hcp.graph.instances import instance

GRAPHS = [instance(name) for name in ("unet:3", "residual-net:8", "training-chain:40")]
BUDGETS = ["90%", "80%", "70%", "60%", "50%"]
SOLVERS = ["sqrt_n", "chen_greedy", "interval_tree", "revolve", "lower_sets", "treewidth", "eviction"]


def sweep(store):
    return hcp.compare(GRAPHS, BUDGETS, SOLVERS, time_limit=30, store=store)


def main(store, kills, seed):
    draw = random.Random(seed)
    for _ in range(kills):
        child = os.fork()
        if child == 0:
            sweep(store)
            os._exit(0)
        time.sleep(draw.uniform(0.01, 0.2))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    sweep(store)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
