"""PyTorch's own options on top of the shared ones."""

import pytest

pytest.importorskip("torch")

from hcp import HostLink
from hcp.graph.instances import training_chain
from hcp.integrations.torch import request as module
from hcp.integrations.torch.errors import TorchError
from hcp.integrations.torch.request import TIME_LIMIT, TorchRequest

GRAPH = training_chain(3)


def test_the_link_can_be_measured(monkeypatch, tmp_path):
    measured, beside = HostLink(1, 2), HostLink(1, 2, overlap=True)

    def host_link(device, cache, *, overlap):
        assert (device, cache) == ("cuda", tmp_path)
        return beside if overlap else measured

    monkeypatch.setattr(module, "host_link", host_link)
    assert TorchRequest(budget=1, host="measured", cache=tmp_path).link(GRAPH, "cuda") is measured
    assert TorchRequest(budget=1, host="overlapped", cache=tmp_path).link(GRAPH, "cuda") is beside
    assert TorchRequest(budget=1, host="0.5").link(GRAPH, "cuda") is not measured
    assert TorchRequest(budget=1).link(GRAPH) is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cost": "slow"}, "'roofline', 'calibrated', 'measured', or a function"),
        ({"host": 3}, "such as '12GiB/s', 'measured', 'overlapped', or a HostLink"),
        ({"fallback": None}, "give 'error' or 'warn'"),
        ({"budget": None}, "neither a budget nor a plan"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(TorchError, match=message):
        TorchRequest(**{"budget": "50%"} | options)


def test_a_step_is_planned_within_a_minute():
    assert TorchRequest(budget=1).limits.time_limit == TIME_LIMIT < 60


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"compiler": "gcc"}, "compiler 'gcc' is not understood; give 'aot_eager' or 'inductor'"),
        ({"mode": "max-autotune"}, "mode and options are Inductor's; give compiler='inductor'"),
        ({"options": {}}, "mode and options are Inductor's"),
        ({"compiler": "inductor", "host": "1GiB/s"}, "move no values to the host; give compiler='aot_eager'"),
    ],
)
def test_what_a_compiler_takes(options, message):
    with pytest.raises(TorchError, match=message):
        TorchRequest(budget="50%", **options)


def test_inductor_takes_a_mode_and_options():
    request = TorchRequest(budget="50%", compiler="inductor", mode="default", options={"epilogue_fusion": False})
    assert (request.mode, request.options) == ("default", {"epilogue_fusion": False})
    assert TorchRequest(budget="50%").compiler == "aot_eager"
