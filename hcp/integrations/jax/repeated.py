"""What a function computes again by itself, as ``jax.checkpoint`` asks, as a schedule of its graph.

The graph has every operation once, since a plan decides what is repeated. Here equal operations are counted where they
stand in the program as JAX makes it: an operation of the graph runs once more wherever the program has it once more.
"""

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from hcp.graph.ir import Graph
from hcp.integrations.jax.capture import Captured
from hcp.integrations.jax.internals import inner_jaxprs, is_variable, operation_name, parameters_in_words
from hcp.integrations.jax.jaxpr import equation_key, literal_key
from hcp.integrations.jax.lower import Lowered
from hcp.integrations.jax.program import Program
from hcp.schedule.actions import Schedule


def as_written(captured: Captured, lowered: Lowered) -> Schedule:
    """The schedule that a captured function follows by itself, in the order of its jaxpr.

    It is no more than a guess where it cannot be told what belongs together; ``replay`` says whether it is legal.

    Args:
        captured: The function.
        lowered: Its graph.
    """
    numbering = _Numbering()
    once = numbering.of(lowered.program)
    node_of = {once[var]: node for node, each in lowered.groups.items() for var in each.outputs}
    written = captured.again().program
    numbers = numbering.of(written)
    made = (numbers[var] for equation in written.equations for var in equation.outvars)
    found = [number for number in made if number in node_of]
    return Schedule.from_computes(lowered.graph, _executions(found, node_of, lowered.graph))


def _executions(made: Sequence[int], node_of: dict[int, str], graph: Graph) -> Iterator[str]:
    """The nodes that make results in this order; one with several results runs once for all of them."""
    makes, runs = Counter[int](), Counter[str]()

    def run(node: str) -> Iterator[str]:
        # A group may begin before all that it reads was made, where the program has that in between.
        stack = [node]
        while stack:
            needed = (graph.producer.get(value) for value in graph.node[stack[-1]].inputs)
            missing = next((name for name in needed if name is not None and not runs[name]), None)
            if missing is not None:
                stack.append(missing)
                continue
            runs[stack[-1]] += 1
            yield stack.pop()

    for number in made:
        makes[number] += 1
        if makes[number] > runs[node_of[number]]:
            yield from run(node_of[number])


@dataclass
class _Numbering:
    """Numbers for what programs compute: the same for variables that hold the same."""

    known: dict[Hashable, int] = field(default_factory=dict)

    def of(self, program: Program) -> dict[Any, int]:
        """The numbers of a program's variables."""
        numbers = {var: self.number(("source", place)) for place, var in enumerate(program.sources)}
        seen = Counter[str]()
        for equation in program.equations:
            name, key = operation_name(equation), equation_key(equation)
            operation: Hashable = None if key is None else key[0]
            if inner_jaxprs(equation):
                # Those of a loop may have been made for one of the programs alone.
                operation = name, parameters_in_words(equation)
            elif operation is None or any(var in program.in_place for var in equation.outvars):
                # Once each, in order: what has effects, or writes in place.
                seen[name] += 1
                operation = name, seen[name]
            read = tuple(numbers[item] if is_variable(item) else literal_key(item) for item in equation.invars)
            for place, var in enumerate(equation.outvars):
                numbers[var] = self.number((operation, read, place))
        return numbers

    def number(self, key: Hashable) -> int:
        """Of what is made in a way."""
        return self.known.setdefault(key, len(self.known))
