"""The search for the largest batch that fits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("torch")

from hcp.integrations.torch.batch import MaxBatch, largest


@given(st.integers(0, 300), st.integers(0, 300), st.integers(0, 300), st.none() | st.integers(-3, 300))
def test_the_largest_that_fits_is_found_in_few_questions_and_in_two_by_a_good_guess(true, known, most, guess):
    known = min(known, true, most)
    asked = []

    def fits(number):
        assert known < number <= most
        asked.append(number)
        return number <= true

    assert largest(fits, known, most, guess) == min(true, most)
    assert len(asked) == len(set(asked)) <= (2 if guess is None else 3) * (most + 1).bit_length() + 1
    if guess is not None and guess in (true, true + 1) and known < guess <= most:
        assert len(asked) <= 2


def test_it_prints_itself():
    assert str(MaxBatch(2048, 3, 5, None)) == "within 2,048 bytes: batch 3 as it is, 5 planned"
