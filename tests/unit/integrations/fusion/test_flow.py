"""Who reads what, and where the operations are that can't be fused."""

import pytest

from hcp.integrations.fusion import Flow


@pytest.fixture
def flow():
    """Two products with a chain before, between and behind them; the last operation reads the first result as well."""
    flow = Flow(len)
    for made, reads, heavy in (
        (["aa"], ["input"], False),
        (["b"], ["aa"], True),
        (["c"], ["b", "aa"], False),
        (["d", "e"], ["c", "c"], True),
        (["f"], ["d", "e", "aa"], False),
    ):
        flow.append(made, reads, heavy=heavy, alone=made == ["c"])
    return flow


def test_makers_and_readers(flow):
    assert flow.producer == {"aa": 0, "b": 1, "c": 2, "d": 3, "e": 3, "f": 4}
    assert flow.readers == {"input": [0], "aa": [1, 2, 4], "b": [1 + 1], "c": [3], "d": [4], "e": [4]}
    assert flow.alone == {2}


def test_readers_of_several_results_are_there_as_often(flow):
    assert flow.readers_of(3) == [4, 4]
    assert flow.readers_of(2) == [3]
    assert flow.readers_of(4) == []


def test_heavy_operations_and_segments(flow):
    assert [flow.is_heavy(i) for i in range(5)] == [False, True, False, True, False]
    assert [flow.segment(i) for i in range(5)] == [0, 0, 1, 1, 2]


@pytest.mark.parametrize(
    ("first", "last", "near"), [(0, 1, True), (0, 2, False), (1, 3, True), (2, 4, False), (3, 4, True), (4, 4, True)]
)
def test_near_is_without_a_heavy_operation_between(flow, first, last, near):
    assert flow.near(first, last) == near
