"""What an instance is made of: a name, where it comes from, and how its graph is made."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from hcp.graph.ir import Graph


@dataclass(frozen=True, kw_only=True)
class Spec:
    """An instance to be made.

    Attributes:
        name: Stable; small letters, digits and dashes.
        family: What models it belongs to.
        level: Where the graph was captured: PyTorch's operations, Inductor's kernels, a jaxpr, or by a generator.
        training: Whether it has a backward pass.
        title: What it is, for people.
        shapes: Of the inputs, for people.
        costs: What a node's cost is, for people.
        make: The graph.
        packages: Whose versions belong to the provenance.
    """

    name: str
    family: str
    level: Literal["aten", "inductor", "jaxpr", "generated"]
    training: bool = True
    title: str
    shapes: str
    costs: str
    make: Callable[[], Graph]
    packages: tuple[str, ...] = ()
