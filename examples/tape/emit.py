"""Execution as compiled code: a schedule becomes a straight-line function, and nothing stands between its kernels."""

from collections.abc import Callable, Mapping
from typing import Any

from examples.tape.capture import Step
from examples.tape.framework import KERNELS, Array
from hcp import Compute, Free, Schedule


def emit(step: Step, schedule: Schedule) -> Callable[[Mapping[str, Array]], Mapping[str, Array]]:
    """A function from parameters and batch to the loss and the gradients, by their names in the tape."""
    instruction, resident = step.instruction, {step.loss, *step.gradients.values()}
    lines, live = ["def run(given):"], set[str]()
    for action in schedule.actions:
        match action:
            case Compute(node):
                own = instruction[node]
                read = (name if name in instruction else f"given[{name!r}]" for name in own.inputs)
                call = f"{own.op}({', '.join(read)})"
                # Of what stays to the end the first instance does; another one goes at once.
                lines.append(call if node in resident & live else f"{node} = {call}")
                live.add(node)
            case Free(value):
                lines.append(f"del {value}")
                live.remove(value)
    lines.append(f"return {{{', '.join(f'{name!r}: {name}' for name in sorted(resident))}}}")
    names: dict[str, Any] = dict(KERNELS)
    exec(compile("\n    ".join(lines), f"<hcp: {step.graph.name}>", "exec"), names)
    found: Callable[[Mapping[str, Array]], Mapping[str, Array]] = names["run"]
    return found
