"""A position never lies in the future (`platforms/horizon`)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.platforms.horizon import MARGIN_MS, ceiling, is_ahead

INSTANTS = st.integers(-(10**14), 10**15)


@given(st.none() | INSTANTS, INSTANTS)
def test_no_clock_alone_lets_a_position_go_beyond_the_other(platform_ms: int | None, our_ms: int) -> None:
    bound = ceiling(platform_ms, our_ms)
    assert bound <= our_ms + MARGIN_MS
    assert platform_ms is None or bound <= platform_ms


@given(st.none() | INSTANTS, INSTANTS, st.integers(0, 10**12))
def test_a_position_that_was_kept_is_not_taken_for_one_of_the_future_later(
    platform_ms: int | None, our_ms: int, later: int
) -> None:
    bound = ceiling(platform_ms, our_ms)
    assert not is_ahead(bound, None if platform_ms is None else platform_ms + later, our_ms + later)
    assert not is_ahead(bound, None, our_ms + later)


def test_a_position_of_the_future_is_known_by_either_clock() -> None:
    hour, now = 3_600_000, 1_800_000_000_000
    assert is_ahead(now + hour, None, now)
    assert is_ahead(now + hour, now + 2 * hour, now), "ours says so"
    assert is_ahead(now + hour, now, now + 2 * hour), "the platform's says so"
    assert not is_ahead(now + MARGIN_MS, now, now)
