"""JAX: ``grad`` and ``value_and_grad`` whose compiled program keeps a memory budget.

step = jit(lambda params, batch: value_and_grad(loss, budget="50%")(params, batch))
"""

# ruff: noqa: E402 - an untested version may lack what the other files import: it is refused before.
from hcp.integrations.jax.version import check_version

check_version()

from hcp.integrations.jax.compressed import HeightCompressedGrad, height_compressed_grad
from hcp.integrations.jax.eager import JaxCallbacks, JaxCodec
from hcp.integrations.jax.errors import CaptureError, ExecutionError, JaxError, JaxVersionError, UnreachableBudget
from hcp.integrations.jax.grade import grade
from hcp.integrations.jax.jit import PlannedJit, jit
from hcp.integrations.jax.least import minimize
from hcp.integrations.jax.lower import from_jaxpr
from hcp.integrations.jax.plan import JaxPlan
from hcp.integrations.jax.policies import NamePolicy, name_policy
from hcp.integrations.jax.scan import ScanPlan, scan, scan_plan
from hcp.integrations.jax.transform import BarrierWarning, checkpoint, checkpoint_plan, grad, value_and_grad
from hcp.integrations.jax.vjp import Pullback, vjp

__all__ = [
    "BarrierWarning",
    "CaptureError",
    "ExecutionError",
    "HeightCompressedGrad",
    "JaxCallbacks",
    "JaxCodec",
    "JaxError",
    "JaxPlan",
    "JaxVersionError",
    "NamePolicy",
    "PlannedJit",
    "Pullback",
    "ScanPlan",
    "UnreachableBudget",
    "checkpoint",
    "checkpoint_plan",
    "from_jaxpr",
    "grad",
    "grade",
    "height_compressed_grad",
    "jit",
    "minimize",
    "name_policy",
    "scan",
    "scan_plan",
    "value_and_grad",
    "vjp",
]
