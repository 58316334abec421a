"""A shard_map is gone into: one device's variables, ways in and out, and the same results in any pieces."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AbstractMesh, AxisType, PartitionSpec

from hcp.integrations.jax.emit import emit
from hcp.integrations.jax.internals import Mapped, inner_mesh
from hcp.integrations.jax.lower import lower
from hcp.integrations.jax.placement import place
from hcp.integrations.jax.program import size
from hcp.integrations.jax.regions import Region, pieces, region_of
from hcp.schedule.actions import Compute, Schedule, keep_everything
from tests.unit.integrations.jax.programs import flat, names

P = PartitionSpec
MANY = AbstractMesh((4, 2), ("data", "model"), axis_types=(AxisType.Auto,) * 2)
ONE = jax.make_mesh((1, 1), ("data", "model"), axis_types=(AxisType.Auto,) * 2)
X = jnp.linspace(-1, 1, 128, dtype=jnp.float32).reshape(16, 8)
W = jnp.linspace(-1, 1, 64, dtype=jnp.float32).reshape(8, 8)
TABLE = np.linspace(0, 1, 8, dtype=np.float32)


def body(w, x):
    for _ in range(2):
        x = x + jax.lax.psum(jnp.tanh(x @ w) @ w.T, "model") * TABLE
    return x, jax.lax.psum(jnp.sum(x**2), "data")


def loss(w, x, mesh=MANY, inside=body, **options):
    specs = {"in_specs": (P(None, "model"), P("data")), "out_specs": (P("data"), P())}
    made, total = jax.shard_map(inside, mesh=mesh, **specs, **options)(w, x)
    return jnp.mean(made**2) + total


def gradients(**options):
    return jax.value_and_grad(partial(loss, **options))


@pytest.mark.parametrize("checked", [True, False])
def test_operations_inside_are_one_devices(checked):
    program = flat(gradients(check_vma=checked), W, X)
    found = names(program)
    assert "shard_map" not in found
    assert found.count("dot_general") == 2 * 2 + 2 * 4 - 1
    products = [each.outvars[0] for each in program.equations if each.primitive.name == "dot_general"]
    assert {var.aval.shape for var in products} == {(4, 4), (4, 8), (8, 4)}
    assert all(region_of(program.regions, each) for each in program.equations if "psum" in each.primitive.name)
    # The arguments, and two cotangents; what the way back reads of the way there does not go out and in again.
    assert found.count("enter") <= 4
    assert found.count("leave") == 3


@pytest.mark.parametrize("checked", [True, False])
def test_the_same_in_any_schedule(checked):
    function = gradients(mesh=ONE, check_vma=checked)
    program = flat(function, W, X)
    placement = place(program, (*program.constants, W, X))
    assert placement.measurable
    lowered = lower(program, name="mapped", placement=placement, calibrate=False)
    again = tuple(Compute(node.name) for node in lowered.graph.nodes if node.recomputable for _ in range(2))
    expected = jax.tree.leaves(jax.jit(function)(W, X))
    for schedule in (keep_everything(lowered.graph), Schedule(again)):
        for ours, theirs in zip(jax.jit(emit(lowered, schedule))(*program.constants, W, X), expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-5)


@pytest.mark.parametrize(
    ("inside", "options"),
    [
        (lambda w, x: (x @ w @ w.T, jax.lax.psum(jnp.sum(x), "data")), {"axis_names": {"data"}}),
        (lambda w, x: jax.debug.print("seen") or body(w, x), {}),
    ],
    ids=["some axes are the compiler's", "effects"],
)
def test_what_is_not_seen_into(inside, options):
    specs = {"in_specs": (P(), P("data")), "out_specs": (P("data"), P()), "check_vma": False}
    program = flat(jax.shard_map(inside, mesh=MANY, **specs, **options), W, X)
    assert "shard_map" in names(program)
    assert not program.regions


def test_types_inside_do_not_tell_two_kinds_apart():
    program = flat(lambda w, x: loss(w, x) + loss(w, x, check_vma=False), W, X)
    assert names(program).count("shard_map") == 1
    assert [region.checked for region in program.regions.values()] == [True]


def test_what_leaves_and_comes_back_in_another_way():
    def double(spec):
        return jax.shard_map(jnp.sin, mesh=MANY, in_specs=spec, out_specs=spec)

    same = flat(lambda x: double(P("data"))(double(P("data"))(x)), X)
    assert names(same) == ["enter", "sin", "sin", "leave"]
    other = flat(lambda x: double(P("model"))(double(P("data"))(x)), X)
    assert names(other) == ["enter", "sin", "leave", "enter", "sin", "leave"]
    for program, count in ((same, 1), (other, 2)):
        found = list(pieces(program.regions, program.jaxpr, program.equations))
        assert [len(piece.equations) for piece in found] == [len(program.equations) // count] * count
        assert all(piece.region is not None and len(piece.inputs) == 1 for piece in found)


@pytest.mark.parametrize(("checked", "axes"), [(True, ("data",)), (False, ("data", "model"))])
def test_on_the_outside_there_is_an_axis_more(checked, axes):
    program = flat(
        jax.shard_map(
            lambda x: x.T @ x, mesh=MANY, in_specs=P("data"), out_specs=P(("data", "model")), check_vma=checked
        ),
        X,
    )
    (product,) = (each.outvars[0] for each in program.equations if each.primitive.name == "dot_general")
    region = Region(MANY, checked)
    assert region_of(program.regions, program.equations[0]) == region
    shape, sharding = region.outside(product.aval)
    assert shape == (4 if checked else 8, 8, 8)
    assert sharding.spec == P(axes)
    assert size(product) == 8 * 8 * 4


def test_functions_are_traced_inside():
    (equation,) = (each for each in jax.make_jaxpr(loss)(W, X).eqns if each.primitive.name == "shard_map")
    mapped = Mapped.of(equation)
    x = mapped.body.invars[-1].aval
    made = Region(MANY, mapped.checked).trace(lambda x: x + jax.lax.axis_index("data") + jnp.zeros(x.shape), [x])
    (result,) = made.out_avals
    assert inner_mesh(result) == mapped.inner
    assert result.shape == x.shape == (4, 8)


def test_loops_inside_are_written_out():
    def scanned(w, x):
        x, _ = jax.lax.scan(lambda x, _: (jnp.tanh(jax.lax.psum(x @ w @ w.T, "model")), None), x, length=3)
        return x, jax.lax.psum(jnp.sum(x), "data")

    program = flat(gradients(inside=scanned), W, X)
    assert names(program).count("scan") == 2
    program = flat(gradients(inside=scanned), W, X, cut=True)
    assert "scan" not in names(program)
    assert all(region_of(program.regions, each) for each in program.equations if each.primitive.name == "dot_general")


def test_sums_over_devices_come_at_once():
    program = flat(gradients(check_vma=False), W, X)
    (last,) = (each for each in program.equations if each.outvars[0] is program.outvars[1])
    before = program.equations[program.equations.index(last) - 1]
    assert last.primitive.name == "leave"
    assert before.primitive.name == "psum"
    assert before.outvars[0] is last.invars[0]
