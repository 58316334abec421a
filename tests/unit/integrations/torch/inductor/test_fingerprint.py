"""Digests of captured steps: the same for the same, and others for what is planned or compiled otherwise."""

import pytest

pytest.importorskip("torch")

import torch

from hcp.integrations.torch.inductor.fingerprint import fingerprint_of
from tests.unit.integrations.torch.inductor.steps import Net, traced

X = torch.randn(16, 8)


def of(module=None, x=X, patches=None, cost="roofline"):
    return fingerprint_of(traced(Net() if module is None else module, x), patches or {}, cost)


@pytest.fixture(scope="module")
def plain():
    return of()


def test_models_of_one_class_share_it(plain):
    assert of() == plain
    assert len(plain) == 32


@pytest.mark.parametrize(
    "other",
    [
        {"module": Net(layers=2)},
        {"module": Net().eval()},
        {"module": Net().double(), "x": X.double()},
        {"x": torch.randn(24, 8)},
        {"x": torch.randn(8, 16).t()},
        {"x": torch.randn(16, 8, requires_grad=True)},
        {"patches": {"epilogue_fusion": False}},
        {"cost": "calibrated"},
    ],
    ids="-".join,
)
def test_other_steps_have_others(plain, other):
    assert of(**other) != plain


def test_modes_count(plain):
    with torch.autocast("cpu"):
        assert of() != plain
    frozen = Net()
    frozen.layers[0].requires_grad_(False)
    assert of(frozen) != plain


def test_threads_count(plain):
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        assert of() != plain
    finally:
        torch.set_num_threads(threads)
