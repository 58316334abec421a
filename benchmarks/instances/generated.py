"""Instances without a model: chains, trees and layered families, from hcp's generators and their seeds."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Final

from benchmarks.instances.specs import Spec
from hcp.graph import instances as generators
from hcp.graph.ir import Graph

# By name: family, what it is, its arguments, whether it has a backward pass, and the graph.
_ROWS: Final[tuple[tuple[str, str, str, str, bool, Callable[[], Graph]], ...]] = (
    *(
        (
            f"training-chain-{n}-s{seed}",
            "chain",
            f"{n} forward nodes in line and their backward nodes, sizes and costs 1 to 100",
            f"training_chain({n}, uniform=False, seed={seed})",
            True,
            partial(generators.training_chain, n, uniform=False, seed=seed),
        )
        for n, seed in ((30, 0), (100, 1), (300, 2))
    ),
    *(
        (
            f"residual-net-{n}-s{seed}",
            "residual",
            f"{n} residual blocks and their backward, sizes and costs 1 to 100",
            f"residual_net({n}, seed={seed})",
            True,
            partial(generators.residual_net, n, seed=seed),
        )
        for n, seed in ((20, 0), (80, 1))
    ),
    *(
        (
            f"unet-{n}d-s{seed}",
            "unet",
            f"a U-Net of depth {n} and its backward, costs by chance",
            f"unet({n}, seed={seed})",
            True,
            partial(generators.unet, n, seed=seed),
        )
        for n, seed in ((4, 0), (8, 1))
    ),
    *(
        (
            f"random-layered-{n}-s{seed}",
            "layered",
            f"{n} nodes in layers, edges by chance (as in Moccasin's experiments)",
            f"random_layered({n}, seed={seed})",
            False,
            partial(generators.random_layered, n, seed=seed),
        )
        for n, seed in ((50, 0), (100, 7), (250, 8), (500, 7))
    ),
    *(
        (
            f"binary-tree-{n}-s{seed}",
            "tree",
            f"a complete binary tree of depth {n}, sizes and costs 1 to 100",
            f"binary_tree({n}, uniform=False, seed={seed})",
            False,
            partial(generators.binary_tree, n, uniform=False, seed=seed),
        )
        for n, seed in ((6, 0),)
    ),
    (
        "transformer-12",
        "transformer",
        "a transformer of 12 layers and its backward, by formula",
        "transformer(12)",
        True,
        partial(generators.transformer, 12),
    ),
)


def specs() -> Iterator[Spec]:
    """All of them."""
    for name, family, title, call, training, make in _ROWS:
        yield Spec(
            name=name,
            family=family,
            level="generated",
            training=training,
            title=title,
            shapes=f"hcp.graph.instances.{call}",
            costs="units",
            make=partial(_named, name, make),
        )


def _named(name: str, make: Callable[[], Graph]) -> Graph:
    return replace(make(), name=name)
