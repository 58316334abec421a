"""The training step of a tape as a graph: what hcp plans."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod

from examples.tape.framework import ITEM, Instruction, Shape, Tape, flops, temporary_bytes
from hcp import Graph, Node, Value
from hcp.integrations.roofline import nanoseconds

# Notes a forward pass, given the names of parameters and batch, and returns the name of the loss.
Model = Callable[[Tape, Mapping[str, str], Mapping[str, str]], str]
Shapes = Mapping[str, Shape]


@dataclass(frozen=True)
class Step:
    """A captured training step.

    Attributes:
        tape: Forward and backward.
        loss: Its name.
        gradients: Their names, by the parameters that they belong to.
        graph: The same for a planner; its nodes are named as what they make.
    """

    tape: Tape
    loss: str
    gradients: Mapping[str, str]
    graph: Graph

    @property
    def instruction(self) -> dict[str, Instruction]:
        """The instruction of each node."""
        return {each.output: each for each in self.tape.instructions}


def capture(model: Model, parameters: Shapes, batch: Shapes, name: str) -> Step:
    """Notes a step with shapes alone; nothing is computed."""
    tape = Tape()
    given = [{each: tape.source(each, shape) for each, shape in part.items()} for part in (parameters, batch)]
    loss = model(tape, *given)
    gradients = tape.gradients(loss, list(parameters))
    # Two parameters of which the same sum is taken have one gradient.
    kinds = {loss: "output"} | dict.fromkeys(gradients.values(), "gradient")
    made = {each.output for each in tape.instructions}

    def node(each: Instruction) -> Node:
        size = {name: ITEM * prod(tape.shapes[name]) for name in (*each.inputs, each.output)}
        kind = kinds.get(each.output, "activation")
        return Node(
            each.output,
            each.op,
            # Parameters and batch are there before the step and after it, so that no plan can do anything about them.
            tuple(name for name in each.inputs if name in made),
            (Value(each.output, size[each.output], kind, resident=each.output in kinds),),
            cost=nanoseconds(flops(tape, each), sum(size.values()), "cpu"),
            workspace=temporary_bytes(tape, each),
        )

    graph = Graph(tuple(map(node, tape.instructions)), name=name, cost_unit="ns")
    return Step(tape, loss, gradients, graph)
