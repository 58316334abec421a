"""What a library keeps of its import must not hold what the program that asked for it holds."""

import subprocess
import sys

import pytest

from hcp.solvers.models.loading import import_apart

ASKS = """
import gc
import weakref


class Outputs:
    pass


def step():
    outputs = Outputs()
    seen.append(weakref.ref(outputs))
    from hcp.solvers.models.pulp import solve_with_pulp


seen = []
step()
gc.collect()
assert seen[0]() is None, gc.get_referrers(seen[0]())
"""


def test_the_frames_that_load_a_solver_are_let_go():
    pytest.importorskip("pulp")
    done = subprocess.run([sys.executable, "-c", ASKS], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_module_that_is_not_there_is_left_to_the_import_that_follows(capsys):
    import_apart("no_such_module_anywhere")
    assert capsys.readouterr() == ("", "")
