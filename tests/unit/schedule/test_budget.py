"""Budgets as people write them."""

import numpy as np
import pytest

from hcp.graph.instances import training_chain
from hcp.schedule.budget import BudgetError, check_written, is_share, parse_budget

GRAPH = training_chain(9)  # keep-everything peak: 10


@pytest.mark.parametrize(
    ("budget", "amount"),
    [
        (7, 7),
        ("7", 7),
        ("80%", 8),
        ("99.9%", 9),
        ("100 %", 10),
        ("8GiB", 8 * 2**30),
        (" 1.5 KiB ", 1536),
        ("2 MB", 2_000_000),
        ("3B", 3),
        (np.int64(7), 7),
        (5e5, 500_000),
        (np.float32(4096), 4096),
    ],
)
def test_understood(budget, amount):
    assert parse_budget(budget, GRAPH) == amount


@pytest.mark.parametrize(
    ("budget", "text"),
    [
        (0, "more than zero"),
        ("0", "more than zero"),
        (-5, "more than zero"),
        ("0.4 B", "more than zero"),
        ("12 Gib", "unknown unit 'Gib'"),
        ("130%", "more than 100%"),
        ("", "not understood"),
        ("lots", "not understood"),
        ("1e9", "not understood|unknown unit"),
        (True, "not understood"),
        (1.5, "not understood"),
        (1.0, "a share is written '100%'"),
        (float("inf"), "not understood"),
        (np.bool_(True), "not understood"),
        (None, "not understood"),
    ],
)
def test_refused(budget, text):
    with pytest.raises(BudgetError, match=text):
        parse_budget(budget, GRAPH)


@pytest.mark.parametrize("budget", [1, "8GiB", "0.5%", "100%"])
def test_what_is_written_well_passes_without_a_graph(budget):
    check_written(budget)
    assert is_share(budget) == str(budget).endswith("%")


@pytest.mark.parametrize("budget", [0, "0%", "101%", "x", True, 0.5])
def test_what_no_graph_gives_a_meaning_to(budget):
    with pytest.raises(BudgetError):
        check_written(budget)
