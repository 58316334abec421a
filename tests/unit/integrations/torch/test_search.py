"""Plans for the first step alone, and where none is made."""

from dataclasses import replace

import pytest

pytest.importorskip("torch")

import torch
from torch import nn

from hcp.integrations.torch.capture import trace
from hcp.integrations.torch.joint_graph import lower_joint
from hcp.integrations.torch.request import TorchRequest
from hcp.integrations.torch.search import FIRST_SHARE, first_plan, search
from hcp.planning.problem import Problem
from hcp.schedule.actions import keep_everything
from hcp.schedule.replay import replay


@pytest.fixture(scope="module")
def graph():
    body = nn.Sequential(*(layer for _ in range(4) for layer in (nn.Linear(16, 16), nn.Tanh())))
    return lower_joint(trace(body, (torch.ones(64, 16),), {}), "roofline", "Body", cache=False).graph


def problem(graph, share):
    return Problem(graph, int(share * replay(graph, keep_everything(graph)).peak))


def request(folder, **options):
    return TorchRequest(**{"budget": 1, "solver": "cpsat", "time_limit": 3, "cache": folder} | options)


def test_the_first_step_runs_on_what_heuristics_find_in_part_of_the_time(graph, tmp_path, capsys):
    asked = request(tmp_path)
    found = first_plan(problem(graph, 0.8), asked, "float32[64, 16]")
    assert found.plan.peak <= found.plan.problem.budget
    assert found.plan.overhead > 0
    said = capsys.readouterr().err
    assert "planning Body on float32[64, 16] for its first step" in said
    assert "up to 1.5 s" in said
    first_plan(problem(graph, 0.8), request(tmp_path, time_limit=30), "")
    assert f"up to {FIRST_SHARE * 30:g} s" in capsys.readouterr().err


def test_what_takes_no_time_is_asked_at_once(graph, tmp_path):
    assert first_plan(problem(graph, 0.8), request(tmp_path, solver="eviction"), "") is None


def test_a_plan_that_is_known_serves_the_first_step_too(graph, tmp_path):
    wanted, asked = problem(graph, 0.8), request(tmp_path)
    search(wanted, asked)
    assert first_plan(wanted, asked, "") is None


def test_where_all_fits_or_nothing_is_found_there_is_one_search(graph, tmp_path):
    assert first_plan(problem(graph, 1), request(tmp_path), "") is None
    assert first_plan(replace(problem(graph, 1), budget=10), request(tmp_path), "") is None
