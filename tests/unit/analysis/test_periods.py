"""Periodic parts of sequences."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hcp.analysis.periods import LEAST_COPIES, Periodic, periodic_parts


def parts(text):
    return periodic_parts(np.array([ord(letter) for letter in text], np.int64))


def test_a_pattern_is_found_with_what_goes_on_after_it():
    assert parts("xabcabcabcaby") == [Periodic(1, 3, 3, 2)]
    assert parts("abcdefgh") == []
    assert parts("") == parts("a") == parts("abab") == []


def test_the_smallest_period_counts():
    assert parts("abcd" * 6) == [Periodic(0, 4, 6)]
    assert parts("a" * 12) == [Periodic(0, 1, 12)]


def test_parts_that_lie_side_by_side_are_all_found():
    assert parts("abcd" * 4 + "x" + "efghi" * 3) == [Periodic(0, 4, 4), Periodic(17, 5, 3)]
    # The first label of the second part goes on with the first part.
    assert parts("abcd" * 4 + "aefghi" * 3) == [Periodic(0, 4, 4), Periodic(16, 6, 3)]


def test_short_patterns_within_a_long_one_do_not_break_it():
    assert parts(("aaaaa" + "bcd") * 4) == [Periodic(0, 8, 4)]
    # Here the parts inside spare more than what is around them.
    inside = parts(("abc" * 7 + "x") * 3)
    assert [(part.period, part.copies) for part in inside] == [(3, 7)] * 3


def test_short_patterns_beside_long_ones_are_found():
    assert parts("u" * 12 + "abcde" * 12 + "xyz" + "w" * 12) == [
        Periodic(0, 1, 12),
        Periodic(12, 5, 12),
        Periodic(75, 1, 12),
    ]


@given(st.lists(st.sampled_from("abc"), max_size=40))
def test_parts_are_disjoint_and_periodic(labels):
    found = parts("".join(labels))
    for one, other in pairwise(found):
        assert one.stop + one.slack <= other.start
    for part in found:
        assert part.copies >= LEAST_COPIES
        assert 0 <= part.slack < part.period
        end = part.stop + part.slack
        assert labels[part.start : end - part.period] == labels[part.start + part.period : end]
        assert end <= len(labels)


@given(
    st.lists(st.integers(0, 9), max_size=5),
    st.lists(st.integers(10, 19), min_size=3, max_size=6, unique=True),
    st.integers(LEAST_COPIES, 6),
    st.lists(st.integers(20, 29), max_size=5),
)
def test_a_pattern_among_others_is_found(before, pattern, copies, after):
    labels = [*before, *pattern * copies, *after]
    assert Periodic(len(before), len(pattern), copies) in periodic_parts(np.array(labels, np.int64))
