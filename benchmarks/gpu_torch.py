"""The executed comparison on a GPU: peaks by ``torch.cuda.max_memory_allocated``, times with the device in step.

Run as ``python -m benchmarks.gpu_torch [--model gpt] [--out FOLDER]`` on a machine with a GPU and a PyTorch that knows
it; elsewhere it says so and exits with 1. The column "planned" holds hcp's promise against what the allocator says: it
rounds blocks up, and libraries keep workspaces of their own, so that the two are close and not equal.
"""

import sys
from functools import partial
from typing import Final

import torch

from benchmarks.executed_torch import MODELS, run
from benchmarks.harness import alone
from benchmarks.options import ROUNDS, executed_options
from benchmarks.torch_peers import gpt, resnet, unet
from hcp.integrations.torch.calibration import host_link

# For each plan.
SECONDS: Final = 20.0


def main() -> int:
    """Runs the comparison on the first GPU."""
    parser = executed_options(__doc__, MODELS, profile=None)
    parser.add_argument("--inductor", action="store_true", help="compile kernels as well, which takes minutes")
    parser.add_argument("--host", action="store_true", help="let plans move values to the host and back as well")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print("benchmarks.gpu_torch: PyTorch sees no GPU here; run benchmarks.executed_torch instead", file=sys.stderr)
        return 1
    device = "cuda"
    works = {
        "gpt": partial(gpt, device, layers=12, width=768, heads=12, length=512, batch=8),
        "resnet": partial(resnet, device, channels=64, stages=4, blocks=3, size=128, batch=32),
        "unet": partial(unet, device, channels=64, levels=4, size=128, batch=16),
    }
    run(
        {name: build for name, build in works.items() if name in (options.model or MODELS)},
        options.out,
        title="gpu_torch",
        time_limit=options.time_limit or SECONDS,
        rounds=options.rounds or ROUNDS["medium"],
        inductor=options.inductor,
        # A process of its own leaves the whole GPU to the others.
        host=alone(partial(host_link, device, False)) if options.host else None,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
