"""Waits that grow: doubled up to a longest one, and spread by chance."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.backoff import Growing, equal_jitter, full_jitter, spread


@given(st.integers(1, 10_000), st.integers(1, 10**6), st.integers(1, 10**9))
def test_a_wait_grows_up_to_the_longest(failures: int, first: int, longest: int) -> None:
    waits = Growing(first, longest)
    assert 0 < waits.after(failures) <= longest
    assert waits.after(failures) <= first * 2 ** min(failures - 1, 32)
    assert waits.after(failures) <= waits.after(failures + 1), "later attempts wait no less"


def test_a_wait_doubles() -> None:
    waits = Growing(1000, 5000)
    assert [waits.after(failures) for failures in (1, 2, 3, 4, 40, 10**9)] == [1000, 2000, 4000, 5000, 5000, 5000]


@pytest.mark.parametrize(("chance", "least"), [(full_jitter, 0.0), (equal_jitter, 0.5), (spread, 0.9)])
@given(wait=st.floats(0, 10**9), jitter=st.floats(0, 1))
def test_chance_takes_a_part_away_and_no_more(
    chance: Callable[[float, float], float], least: float, wait: float, jitter: float
) -> None:
    assert wait * least * (1 - 1e-9) <= chance(wait, jitter) <= wait


@pytest.mark.parametrize(("chance", "least"), [(full_jitter, 0.0), (equal_jitter, 50.0), (spread, 90.0)])
def test_chance_reaches_both_ends(chance: Callable[[float, float], float], least: float) -> None:
    assert sorted((chance(100.0, 0.0), chance(100.0, 1.0))) == [least, 100.0]
