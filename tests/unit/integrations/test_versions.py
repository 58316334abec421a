"""An untested version is refused in a sentence, also where it lacks names that the integration imports."""

import subprocess
import sys

import pytest

PROGRAM = """
import {0}
{0}.__version__ = "99.1.0"
del {1}
from hcp.graph.errors import HcpError
try:
    import hcp.integrations.{0}
except HcpError as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize(
    ("framework", "missing", "error"),
    [
        ("torch", "torch._C", "TorchVersionError PyTorch 99.1.0 is not among the versions tested"),
        ("jax", "jax.tree_util", "JaxVersionError JAX 99.1.0 is not among the versions tested"),
    ],
)
def test_an_untested_version_is_refused_before_anything_else(framework, missing, error):
    pytest.importorskip(framework)
    program = PROGRAM.format(framework, missing)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.startswith(error), done.stderr
