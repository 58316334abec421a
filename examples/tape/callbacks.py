"""Execution node by node: hcp's executor decides what runs and what goes, the kernels do it."""

from collections.abc import Mapping
from typing import Any

from examples.tape.capture import Step
from examples.tape.framework import KERNELS, Array
from hcp import Node, Plan
from hcp.runtime import ExecutionCallbacks, HeightCompressedExecutor


class TapeCallbacks(ExecutionCallbacks):
    """Runs the nodes of a step on some parameters and a batch."""

    def __init__(self, step: Step, sources: Mapping[str, Array]) -> None:
        self.instruction = step.instruction
        self.sources = sources

    def compute(self, node: Node, inputs: Mapping[str, Any], *, again: bool) -> Mapping[str, Any]:  # noqa: ARG002
        """Runs a kernel; without random numbers and effects, again is as before."""
        own = self.instruction[node.name]
        made = KERNELS[own.op](*(inputs[name] if name in inputs else self.sources[name] for name in own.inputs))
        return {own.output: made}


def run_by_callbacks(step: Step, plan: Plan, sources: Mapping[str, Array]) -> Mapping[str, Array]:
    """The loss and the gradients, by their names in the tape."""
    executor = HeightCompressedExecutor()
    # What is computed again is dropped and not stored elsewhere.
    executor.configure(plan=plan, checkpoints=())
    return executor.run(TapeCallbacks(step, sources)).results
