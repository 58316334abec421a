"""Ctrl-C in a process of its own: test tools hook into garbage collection, where a signal's exception gets lost."""

import json
import subprocess
import sys

PROGRAM = """
import json, os, signal, sys, threading
import hcp
from hcp.graph.instances import instance

# Shells start background jobs with the signal ignored, and children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
timer = threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT))
started = threading.Event()

def monitor(progress):
    # Only a planner that is at work catches the signal.
    if not started.is_set():
        started.set()
        timer.start()

name, budget, solver, host = sys.argv[1:]
plan = hcp.solve(instance(name), budget, solver, time_limit=300, monitor=monitor, host=host or None)
print(json.dumps({"seconds": plan.seconds, "interrupted": plan.interrupted}))
"""


def solve_and_interrupt(name, budget, solver, host=""):
    """Plans a generated graph for at most 300 s, sends SIGINT after one, and returns seconds and interrupted."""
    command = [sys.executable, "-c", PROGRAM, name, budget, solver, host]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
