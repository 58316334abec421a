"""Running schedules without any framework: executor, checkpoint storage on several tiers, registries, profiles.

with CheckpointStorage("/scratch/checkpoints") as storage:
    executor = HeightCompressedExecutor(storage, tier="disk")
    executor.configure(graph, planner=SqrtN(), budget="50%")
    done = executor.run(callbacks)  # callbacks.compute(node, inputs, again=...) runs a node
    done.profile.save_chrome_trace("trace.json")
"""

from hcp.runtime.codec import Codec, Encoded, NumpyCodec
from hcp.runtime.errors import DamagedCheckpoint, MissingCheckpoint, RunError, StorageError
from hcp.runtime.executor import Execution, FallbackWarning, HeightCompressedExecutor, StorageWarning
from hcp.runtime.hooks import ExecutionCallbacks
from hcp.runtime.profiling import Event, Profile, Profiler, Sample
from hcp.runtime.registry import ActivationRegistry, CheckpointRecord, CheckpointRegistry, find_checkpoints
from hcp.runtime.storage import CheckpointStorage

__all__ = [
    "ActivationRegistry",
    "CheckpointRecord",
    "CheckpointRegistry",
    "CheckpointStorage",
    "Codec",
    "DamagedCheckpoint",
    "Encoded",
    "Event",
    "Execution",
    "ExecutionCallbacks",
    "FallbackWarning",
    "HeightCompressedExecutor",
    "MissingCheckpoint",
    "NumpyCodec",
    "Profile",
    "Profiler",
    "RunError",
    "Sample",
    "StorageError",
    "StorageWarning",
    "find_checkpoints",
]
