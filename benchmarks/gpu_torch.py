"""The executed comparison on a GPU: peaks by ``torch.cuda.max_memory_allocated``, times with the device in step.

Run as ``python -m benchmarks.gpu_torch [--model gpt] [--out FOLDER]`` on a machine with a GPU and a PyTorch that knows
it; elsewhere it says so and exits with 1. The column "planned" holds hcp's promise against what the allocator says: it
rounds blocks up, and libraries keep workspaces of their own, so that the two are close and not equal.
"""

import argparse
import sys
from pathlib import Path

import torch

from benchmarks.executed_torch import run
from benchmarks.torch_peers import gpt, resnet, unet


def main() -> int:
    """Runs the comparison on the first GPU."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", help="gpt, resnet or unet; repeat for several; all by default")
    parser.add_argument("--time-limit", type=float, default=20.0, help="seconds for each plan")
    parser.add_argument("--rounds", type=int, default=21, help="timed steps of each way")
    parser.add_argument("--inductor", action="store_true", help="compile kernels as well, which takes minutes")
    parser.add_argument("--out", type=Path, help="folder for tables, JSON and pictures")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print("benchmarks.gpu_torch: PyTorch sees no GPU here; run benchmarks.executed_torch instead", file=sys.stderr)
        return 1
    device = "cuda"
    works = {
        "gpt": gpt(device, layers=12, width=768, heads=12, length=512, batch=8),
        "resnet": resnet(device, channels=64, stages=4, blocks=3, size=128, batch=32),
        "unet": unet(device, channels=64, levels=4, size=128, batch=16),
    }
    run(
        {name: work for name, work in works.items() if name in (options.model or [name])},
        options.out,
        title="gpu_torch",
        time_limit=options.time_limit,
        rounds=options.rounds,
        inductor=options.inductor,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
