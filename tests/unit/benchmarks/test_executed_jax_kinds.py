"""The models of the comparison with JAX's policies, and one of its ways."""

import jax
import pytest

for needed in ("flax", "diffrax"):
    pytest.importorskip(needed)

from benchmarks.executed_jax_kinds import by_hand, planned, policies  # noqa: E402
from benchmarks.jax_models import MODELS, plain  # noqa: E402
from tests.effort import some  # noqa: E402


@pytest.mark.parametrize("name", some(MODELS, 4))
def test_every_model_has_a_loss_that_wrapping_its_blocks_leaves(name):
    model = MODELS[name]()
    # What jax.checkpoint saves, it rounds, and it knows no way to round complex numbers.
    for wrap in (plain,) if name == "fno" else (plain, policies()["dots_saveable"]):
        found = jax.eval_shape(jax.value_and_grad(model.loss(wrap), has_aux=model.has_aux), *model.args)
        value, gradients = found
        assert (value[0] if model.has_aux else value).shape == ()
        assert jax.tree.structure(gradients) == jax.tree.structure(model.args[0])


def test_a_plan_beside_plain():
    one, other = by_hand("gnn", plain), planned("gnn", "75%", 3)
    assert other.memory <= other.plan.budget_bytes == one.memory * 75 // 100
    assert other.notes["compile_s"] > 0
