"""PyTorch: plans a module's training step within a memory budget, and runs it with the peak it promised.

model = checkpoint(model, budget="50%")
loss = model(inputs).square().mean()
loss.backward()
print(plan_of(model)[0])
"""

from hcp.integrations.torch.checkpoint import TorchPlan, capture_graph, checkpoint, plan_of
from hcp.integrations.torch.errors import CaptureError, ExecutionError, TorchError, TorchVersionError
from hcp.integrations.torch.measure import Memory, measure_peak, record

__all__ = [
    "CaptureError",
    "ExecutionError",
    "Memory",
    "TorchError",
    "TorchPlan",
    "TorchVersionError",
    "capture_graph",
    "checkpoint",
    "measure_peak",
    "plan_of",
    "record",
]
