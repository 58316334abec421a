"""``hcp solve`` with a host, and with engines."""

import json

import pytest

from hcp.graph.instances import unet

LINK = ("--host-bandwidth", "2000", "--host-latency", "3", "--host-memory", "2KiB")


def test_solve_show_and_verify(hcp, tmp_path):
    file = tmp_path / "p.json"
    code, out, err = hcp("solve", "unet:4", "-b", "60%", "-s", "eviction", *LINK, "--json", "--out", file)
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert found["host"] == {"offload_rate": 2 * 10**12, "fetch_rate": 2 * 10**12, "latency": 3, "capacity": 2048}
    assert 0 < found["host_peak"] <= 2048
    assert found["cost"] == unet(4).base_cost + found["transfer_cost"]
    assert [name for kind, name in found["steps"] if kind == "compute"] == found["computes"]
    moved = {kind: {name for what, name in found["steps"] if what == kind} for kind in ("offload", "fetch")}
    assert moved["offload"] == moved["fetch"] <= set(unet(4).values)
    for command in ("show", "verify"):
        code, out, _ = hcp(command, file)
        assert code == 0
        assert f"costs {found['transfer_cost']} units" in out
    assert hcp("show", file, "--dot", tmp_path / "p.dot")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--host-memory", "1MB"), "give --host-bandwidth"),
        (("--host-latency", "1"), "give --host-bandwidth"),
        (("--host-bandwidth", "12GiB/s"), "are in units"),
        (("--host-bandwidth", "much"), "'much' is not understood"),
        (("--host-bandwidth", "1", "--host-memory", "much"), "'much' is not understood"),
    ],
)
def test_bad_links_are_one_line(hcp, arguments, text):
    code, out, err = hcp("solve", "unet:3", "-b", "60%", "-s", "eviction", *arguments)
    assert (code, out) == (2, "")
    assert text in err
    assert err.count("\n") == 1


def test_engines_are_named_by_operation(hcp, tmp_path):
    file = tmp_path / "p.json"
    engines = ("--engine", "down=other", "--engine", "add*=network")
    code, out, err = hcp("solve", "transformer:2", "-b", "80%", "-s", "eviction", *engines, "--json", "--out", file)
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert found["engines"] == ["network", "other"]
    assert found["cost"] < found["work"]
    for command in ("show", "verify"):
        assert hcp(command, file)[0] == 0
    for text, said in (("down", "give PATTERN=NAME"), ("nobody=network", "no operation or node")):
        code, out, err = hcp("solve", "transformer:2", "-b", "80%", "--engine", text)
        assert (code, out) == (2, "")
        assert said in err
