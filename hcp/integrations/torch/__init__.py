"""PyTorch: plans a module's training step within a memory budget, and runs it with the peak it promised.

model = checkpoint(model, budget="50%")
loss = model(inputs).square().mean()
loss.backward()
print(plan_of(model)[0])
"""

# ruff: noqa: E402 - an untested version may lack what the other files import: it is refused before.
from hcp.integrations.torch.version import check_version

check_version()

from hcp.integrations.devices import DEVICES, Device
from hcp.integrations.torch.ahead.fit import Fit
from hcp.integrations.torch.ahead.fitting import fit
from hcp.integrations.torch.batch import MaxBatch, max_batch
from hcp.integrations.torch.checkpoint import Backend, backend, capture_graph, checkpoint, plan_for, plan_of
from hcp.integrations.torch.errors import CaptureError, ExecutionError, TorchError, TorchVersionError
from hcp.integrations.torch.fx_builder import from_pytorch_fx
from hcp.integrations.torch.measure import Memory, measure_peak, record
from hcp.integrations.torch.module import HCConfig, HCModule
from hcp.integrations.torch.peers.grade import PeerSchedules, grade, peer_schedules
from hcp.integrations.torch.peers.ways import ActivationBudget, BlockCheckpoint
from hcp.integrations.torch.plans import TorchPlan
from hcp.integrations.torch.probe import sample_inputs
from hcp.integrations.torch.step_planner import TorchExecutor
from hcp.integrations.torch.total import total
from hcp.plans.cache import CacheWarning

__all__ = [
    "DEVICES",
    "ActivationBudget",
    "Backend",
    "BlockCheckpoint",
    "CacheWarning",
    "CaptureError",
    "Device",
    "ExecutionError",
    "Fit",
    "HCConfig",
    "HCModule",
    "MaxBatch",
    "Memory",
    "PeerSchedules",
    "TorchError",
    "TorchExecutor",
    "TorchPlan",
    "TorchVersionError",
    "backend",
    "capture_graph",
    "checkpoint",
    "fit",
    "from_pytorch_fx",
    "grade",
    "max_batch",
    "measure_peak",
    "peer_schedules",
    "plan_for",
    "plan_of",
    "record",
    "sample_inputs",
    "total",
]
