"""What of an array lies on one device, and when parts of a program can be compiled alone."""

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import AxisType, PartitionSpec

from hcp.integrations.jax.jaxpr import flatten
from hcp.integrations.jax.measure import measure
from hcp.integrations.jax.placement import Placement, _share, place

X = jnp.ones((8, 4))


@pytest.mark.parametrize(
    ("extent", "part", "expected"),
    [((8, 4), (8, 4), 128), ((8, 4), (2, 4), 32), ((8, 4), (2, 2), 16), ((), (), 128), ((0, 4), (0, 4), 128)],
)
def test_shares(extent, part, expected):
    assert _share(128, extent, part) == expected


def test_shares_are_rounded_up():
    assert _share(40, (10,), (3,)) == 12
    assert _share(10, (10,), (4,)) == 4
    assert _share(5, (3,), (2,)) == 4


def test_on_one_device_everything_is_whole():
    program = flatten(jax.make_jaxpr(jnp.sin)(X))
    placement = place(program, (X,))
    assert placement == Placement()
    assert placement.measurable
    assert placement.everywhere is None
    (var,) = program.invars
    assert placement.bytes(var) == X.nbytes
    assert (placement.shape(var).shape, placement.shape(var).dtype) == (X.shape, X.dtype)


def test_named_axes_cannot_be_compiled_alone():
    def inner(x):
        jaxpr = jax.make_jaxpr(lambda x: jax.lax.psum(x, "rows"), axis_env=[("rows", 8)])(x)
        found.append(place(flatten(jaxpr), (x,)).measurable)
        return x

    found = []
    inner(X[0])
    assert found == [False]


def test_compiled_memory():
    taken = measure(lambda x: jnp.sin(x) @ jnp.cos(x).T, [jax.ShapeDtypeStruct(X.shape, X.dtype)])
    # Sine and cosine, and the product.
    assert taken.output == 8 * 8 * 4
    assert taken.temporary >= X.nbytes
    assert taken.total == taken.output + taken.temporary


def test_what_is_mapped_over_counts_as_often():
    found = []

    def inner(x, y):
        program = flatten(jax.make_jaxpr(lambda x, y: (jnp.sin(x) * y, jnp.cos(y)))(x, y))
        placement = place(program, (x, y))
        found.append(placement)
        (x_var, y_var), (both, alone) = program.invars, program.outvars
        assert (placement.bytes(both), placement.bytes(alone)) == (5 * Y.nbytes, Y.nbytes)
        assert placement.mapped_shape(x_var).shape == (5, *Y.shape)
        assert placement.mapped_shape(y_var).shape == Y.shape
        assert placement.measurable
        return x

    Y = X[:, 0]
    mapped = jnp.ones((5, *Y.shape))
    jax.vmap(inner, (0, None))(mapped, Y)
    jax.jit(jax.vmap(inner, (0, None)))(mapped, Y)
    assert len(found) == 2


def test_within_several_vmaps_nothing_is_compiled_alone():
    def inner(x, y):
        program = flatten(jax.make_jaxpr(lambda x, y: x * y)(x, y))
        placement = place(program, (x, y))
        assert not placement.measurable
        assert placement.bytes(program.outvars[0]) == 4 * 3 * 5
        return x

    jax.vmap(jax.vmap(inner, (0, None)), (None, 0))(jnp.ones(3), jnp.ones(5))


def test_within_a_shard_map_variables_are_one_devices():
    mesh = jax.make_mesh((1,), ("rows",), axis_types=(AxisType.Auto,))
    specs = {"in_specs": PartitionSpec("rows"), "out_specs": PartitionSpec()}
    function = jax.shard_map(lambda x: jax.lax.psum(jnp.sin(x), "rows"), mesh=mesh, **specs)
    program = flatten(jax.make_jaxpr(function)(X))
    placement = place(program, (X,))
    assert placement.measurable
    assert placement.everywhere.mesh == mesh
    sine, total = (equation.outvars[0] for equation in program.equations[1:3])
    for var, shape, spec in ((sine, (1, *X.shape), PartitionSpec(("rows",))), (total, X.shape, PartitionSpec())):
        assert placement.bytes(var) == X.nbytes
        assert (placement.shape(var).shape, placement.shape(var).sharding.spec) == (shape, spec)
