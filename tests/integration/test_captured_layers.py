"""The layers of models are found in the training steps that the integrations capture."""

import pytest

from hcp.analysis.repetition import find_repetition
from tests.effort import slow


def stacks(graph):
    """Layers, equal layers and sections, per stack."""
    return [(stack.layers, stack.equal, len(stack.sections)) for stack in find_repetition(graph).stacks]


def test_layers_of_a_captured_torch_model():
    torch = pytest.importorskip("torch")
    from hcp.integrations.torch import capture_graph
    from hcp.integrations.torch.demo.models import GPT

    class WithLoss(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = GPT(layers=6, width=16, heads=2, context=8, vocabulary=32)

        def forward(self, tokens):
            return self.model(tokens).square().mean()

    assert stacks(capture_graph(WithLoss(), (torch.zeros(2, 8, dtype=torch.long),))) == [(6, 4, 2)]


@slow
def test_encoder_and_decoder_of_a_captured_torch_model():
    torch = pytest.importorskip("torch")
    from hcp.integrations.torch import capture_graph

    class WithLoss(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = torch.nn.Transformer(16, 2, 6, 6, 32, 0.0, batch_first=True)

        def forward(self, x):
            return self.model(x, x).square().mean()

    assert stacks(capture_graph(WithLoss(), (torch.ones(2, 4, 16),))) == [(5, 3, 2), (5, 3, 2)]


def test_layers_of_a_captured_jax_step_with_its_updates():
    jax = pytest.importorskip("jax")
    from hcp.integrations.jax import from_jaxpr

    def loss(params, x):
        for up, down in params:
            x = x + jax.nn.gelu(x @ up) @ down
        return (x**2).mean()

    def step(params, x):
        return jax.tree.map(lambda weight, gradient: weight - 0.1 * gradient, params, jax.grad(loss)(params, x))

    params = [(jax.numpy.ones((8, 32)), jax.numpy.ones((32, 8)))] * 8
    graph = from_jaxpr(jax.make_jaxpr(step)(params, jax.numpy.ones((4, 8))), name="mlp")
    ((layers, equal, sections),) = stacks(graph)
    assert 8 >= layers > equal >= 4
    assert sections == 3
