"""A transformer's training graph as a capture would give it: values apart from nodes, residents and a boundary."""

from hcp.graph.errors import GraphError
from hcp.graph.ir import Graph, Node, Value


def transformer(layers: int, width: int = 64, tokens: int = 128, heads: int = 4) -> Graph:
    """The training graph of a GPT-style model, one batch element.

    A layer is norm, attention projection, scores, softmax, mix, projection, residual, norm, two matrix products with
    a GELU between them, and a residual. Parameters are not counted, as if held elsewhere; weight gradients are
    resident; the loss boundary is a node that runs once. Sizes are float32 bytes, costs are flops.

    Args:
        layers: Number of layers, at least 1.
        width: Model width.
        tokens: Sequence length.
        heads: Attention heads.

    Raises:
        GraphError: If there is no layer.
    """
    if layers < 1:
        raise GraphError(f"generator 'transformer' got size {layers}; expected at least 1")
    build = _Builder()
    wide = 4 * tokens * width
    scores = 4 * heads * tokens * tokens
    product = 2 * tokens * width * width
    mixing = 2 * tokens * tokens * width
    x = build.forward("embed", [], wide, tokens * width)
    for i in range(layers):
        normed = build.forward(f"norm1.{i}", [x], wide, 5 * tokens * width, weight=8 * width, statistics=8 * tokens)
        qkv = build.forward(f"qkv.{i}", [normed], 3 * wide, 3 * product, weight=12 * width * width)
        logits = build.forward(f"scores.{i}", [qkv], scores, mixing)
        softmax = build.forward(f"softmax.{i}", [logits], scores, 5 * scores // 4, saves_output=True)
        mixed = build.forward(f"mix.{i}", [softmax, qkv], wide, mixing, workspace=wide)
        projected = build.forward(f"project.{i}", [mixed], wide, product, weight=4 * width * width)
        x = build.forward(f"add1.{i}", [x, projected], wide, tokens * width, saves=False)
        normed = build.forward(f"norm2.{i}", [x], wide, 5 * tokens * width, weight=8 * width, statistics=8 * tokens)
        hidden = build.forward(f"up.{i}", [normed], 4 * wide, 4 * product, weight=16 * width * width)
        active = build.forward(f"gelu.{i}", [hidden], 4 * wide, 8 * 4 * tokens * width)
        down = build.forward(f"down.{i}", [active], wide, 4 * product, weight=16 * width * width)
        x = build.forward(f"add2.{i}", [x, down], wide, tokens * width, saves=False)
    loss = build.forward("loss", [x], 4, tokens * width)
    return build.with_backward(loss, f"transformer-{layers}")


class _Builder:
    """Collects forward nodes, then mirrors them."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.tape: list[tuple[Node, list[str], list[str], int]] = []
        self.size: dict[str, int] = {}

    def forward(
        self,
        name: str,
        reads: list[str],
        size: int,
        cost: int,
        *,
        weight: int = 0,
        statistics: int = 0,
        workspace: int = 0,
        saves: bool = True,
        saves_output: bool = False,
    ) -> str:
        """Adds a node; returns the name of its main output."""
        outputs = [Value(f"{name}:out", size)]
        if statistics:
            outputs.append(Value(f"{name}:statistics", statistics))
        node = Node(name, name.partition(".")[0], tuple(reads), tuple(outputs), cost, workspace)
        saved = [*(reads if saves and not saves_output else []), *(value.name for value in outputs[1:])]
        if saves_output:
            saved.append(outputs[0].name)
        self.nodes.append(node)
        self.tape.append((node, reads, saved, weight))
        self.size[outputs[0].name] = size
        return outputs[0].name

    def with_backward(self, loss: str, name: str) -> Graph:
        """The graph of all forward nodes, the boundary, and the backward nodes."""
        tangent = Value("tangent", self.size[loss], "gradient")
        self.nodes.append(Node("BOUNDARY", "BOUNDARY", (loss,), (tangent,), recomputable=False))
        gradients: dict[str, list[str]] = {loss: [tangent.name]}
        for node, reads, saved, weight in reversed(self.tape):
            output = node.outputs[0].name
            outputs = [Value(f"{node.name}:grad{i}", self.size[read], "gradient") for i, read in enumerate(reads)]
            for read, gradient in zip(reads, outputs, strict=True):
                gradients.setdefault(read, []).append(gradient.name)
            if weight:
                outputs.append(Value(f"{node.name}:weight_grad", weight, "gradient", resident=True))
            self.nodes.append(
                Node(
                    f"{node.name}:backward",
                    f"{node.op}_backward",
                    (self._summed(output, gradients[output]), *saved),
                    tuple(outputs),
                    2 * node.cost,
                    node.workspace,
                )
            )
        residents = tuple(value.name for node in self.nodes for value in node.outputs if value.resident)
        self.nodes.append(Node("END", "END", residents, recomputable=False))
        return Graph(tuple(self.nodes), name=name, cost_unit="flops")

    def _summed(self, output: str, gradients: list[str]) -> str:
        """The gradient of a value that several nodes read is the sum of what each gives."""
        if len(gradients) == 1:
            return gradients[0]
        size = self.size[output]
        total = Value(f"{output}:grad", size, "gradient")
        self.nodes.append(Node(f"{output}:sum", "add", tuple(gradients), (total,), size // 4))
        return total.name
