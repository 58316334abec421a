"""Train a torch model within half of its activation memory."""

import torch
from torch import nn

from hcp.integrations.torch import checkpoint, measure_peak, plan_of


def main() -> None:
    """Takes a few optimiser steps and compares the measured peak with the planned one."""
    torch.manual_seed(0)
    layers = [layer for _ in range(8) for layer in (nn.Linear(256, 256), nn.GELU())]
    model = checkpoint(nn.Sequential(*layers, nn.Linear(256, 1)), budget="50%", time_limit=1)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-2)
    inputs = torch.randn(512, 256)

    def forward_and_backward() -> None:
        model(inputs).square().mean().backward()

    for _ in range(3):
        optimizer.zero_grad()
        forward_and_backward()
        optimizer.step()
    optimizer.zero_grad()
    (plan,) = plan_of(model)
    measured = measure_peak(forward_and_backward)
    print(
        f"planned peak {plan.peak_bytes} bytes at {plan.overhead:.1%} more work, gap {plan.gap:.2%} ({plan.gap_scope})"
    )
    print(f"measured peak {measured} bytes, with the loss outside of the model")


if __name__ == "__main__":
    main()
