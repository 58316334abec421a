"""Training steps of layered models, for tests: forward nodes, their backward in mirrored order, and updates."""

from collections.abc import Sequence
from random import Random

from hcp.graph.ir import Graph, Node, Value


class Step:
    """Collects the forward nodes of a model, then adds what training needs.

    Costs are drawn, as measured ones differ from layer to layer.

    Attributes:
        casts: Whether each weight is cast before the first node runs, and only the cast is read.
        updates: Whether each weight is updated after the backward.
        named: Whether nodes have an ``op``.
    """

    def __init__(self, *, seed: int = 0, casts: bool = False, updates: bool = False, named: bool = True) -> None:
        self.rng = Random(seed)
        self.casts, self.updates, self.named = casts, updates, named
        self.first: list[Node] = []
        self.nodes: list[Node] = []
        self.weights: list[Value] = []
        self.size: dict[str, int] = {}
        self.tape: list[tuple[str, str, tuple[str, ...], str]] = []

    def forward(self, op: str, reads: Sequence[str], size: int = 8, weight: int = 0) -> str:
        """Adds a forward node with a weight of so many bytes; gives the value that it makes."""
        name = f"{op}{len(self.nodes)}"
        parameter = ""
        if weight:
            parameter = f"w.{name}"
            self.weights.append(Value(parameter, weight, "parameter"))
            if self.casts:
                self._add(self.first, f"c.{name}", "cast", (parameter,), (Value(f"c.{name}", weight // 2),))
                parameter = f"c.{name}"
        self._add(self.nodes, name, op, (*reads, *([parameter] if weight else [])), (Value(name, size),))
        self.size[name] = size
        self.tape.append((name, op, tuple(dict.fromkeys(reads)), parameter))
        return name

    def layer(self, x: str, kind: str = "", size: int = 8, beside: Sequence[str] = ()) -> str:
        """A residual layer: a norm, a product that may read something beside it, an activation, a product, the sum."""
        y = self.forward(f"norm{kind}", [x], size)
        y = self.forward(f"up{kind}", [y, *beside], 4 * size, 16)
        y = self.forward(f"act{kind}", [y], 4 * size)
        y = self.forward(f"down{kind}", [y], size, 16)
        return self.forward("add", [x, y], size)

    def graph(self, loss: str) -> Graph:
        """The training step of what was collected, where gradients are summed one after the other."""
        gradient = {loss: "tangent"}
        self._add(self.nodes, "tangent", "tangent", (loss,), (Value("tangent", self.size[loss]),))
        for name, op, reads, parameter in reversed(self.tape):
            if name not in gradient:
                continue
            made = [read for read in reads if read in self.size]
            outputs = [Value(f"{name}.g{i}", self.size[read], "gradient") for i, read in enumerate(made)]
            if parameter:
                outputs.append(Value(f"{name}.gw", 16, "gradient", resident=not self.updates))
            self._add(self.nodes, f"{name}.b", f"{op}.b", (gradient[name], *reads, parameter), tuple(outputs))
            for read, value in zip(made, outputs, strict=False):
                if read in gradient:
                    total = f"{name}.sum{read}"
                    self._add(self.nodes, total, "sum", (gradient[read], value.name), (Value(total, value.bytes),))
                    gradient[read] = total
                else:
                    gradient[read] = value.name
        if self.updates:
            for weight in self.weights:
                name = weight.name.removeprefix("w.")
                moment = Value(f"{name}.new", weight.bytes, resident=True)
                self._add(self.nodes, f"{name}.u", "update", (weight.name, f"{name}.gw"), (moment,))
        return Graph((*self.first, *self.nodes), (Value("x", 8, "input"), *self.weights))

    def _add(self, nodes: list[Node], name: str, op: str, reads: Sequence[str], outputs: tuple[Value, ...]) -> None:
        inputs = tuple(read for read in reads if read)
        nodes.append(Node(name, op if self.named else "", inputs, outputs, self.rng.randint(90, 110)))


def layered(kinds: Sequence[str], *, seed: int = 0, casts: bool = False, updates: bool = False) -> Graph:
    """A model with one layer per kind; the first and the last node are no layers."""
    step = Step(seed=seed, casts=casts, updates=updates)
    x = step.forward("embed", ["x"], 8, 64)
    for kind in kinds:
        x = step.layer(x, kind)
    return step.graph(step.forward("head", [x], 4, 64))
