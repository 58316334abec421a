"""Every name of the design imports from its place and does its part on generated and on captured graphs."""

from importlib import import_module

import pytest

from hcp.graph.instances import instance
from tests.integration.design_names import USES, every_name

GENERATED = ["training-chain:40", "unet:3", "random-layered:30"]


def gpt_step():
    pytest.importorskip("torch")
    from hcp.integrations.torch import capture_graph
    from tests.integration.training_steps import STEPS

    return capture_graph(STEPS["gpt"].model(), STEPS["gpt"].inputs)


def captured_fx():
    torch = pytest.importorskip("torch")
    from hcp.integrations.torch import from_pytorch_fx
    from tests.integration.training_steps import STEPS

    exported = torch.export.export(STEPS["resnet"].model(), STEPS["resnet"].inputs)
    return from_pytorch_fx(exported.run_decompositions().module())


def jax_step():
    jax = pytest.importorskip("jax")
    from hcp.integrations.jax import from_jaxpr

    def loss(weights, x):
        for weight in weights:
            x = jax.numpy.tanh(x @ weight)
        return (x * x).sum()

    weights = [jax.numpy.eye(16) * 0.5 for _ in range(8)]
    return from_jaxpr(jax.make_jaxpr(jax.value_and_grad(loss))(weights, jax.numpy.ones((64, 16))), name="jax-mlp")


CAPTURED = {"torch step": gpt_step, "torch.fx": captured_fx, "jaxpr": jax_step}
CACHE = {}


@pytest.fixture(params=[*GENERATED, *CAPTURED])
def graph(request):
    if request.param not in CACHE:
        make = CAPTURED.get(request.param)
        CACHE[request.param] = instance(request.param) if make is None else make()
    return CACHE[request.param]


@pytest.mark.parametrize(("module", "name"), every_name())
def test_the_name_is_in_its_place(module, name):
    found = getattr(import_module(module), name)
    assert found.__doc__
    assert getattr(found, "__module__", module).startswith("hcp.") or name == "ORDERS"


@pytest.mark.parametrize("use", USES, ids=lambda use: use.__name__)
def test_the_names_do_their_part(graph, use, tmp_path):
    use(graph, tmp_path)
