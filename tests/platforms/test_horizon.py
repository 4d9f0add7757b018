"""A position never lies in the future (`platforms/horizon`)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.platforms.horizon import MARGIN_MS, Present

INSTANTS = st.integers(-(10**14), 10**15)


@given(st.none() | INSTANTS, INSTANTS)
def test_no_clock_alone_lets_a_position_go_beyond_the_other(platform_ms: int | None, our_ms: int) -> None:
    bound = Present(our_ms, platform_ms).ceiling
    assert bound <= our_ms
    assert platform_ms is None or bound <= platform_ms


@given(st.none() | INSTANTS, INSTANTS, st.integers(0, 10**12))
def test_a_position_that_was_kept_is_not_taken_for_one_of_the_future_later(
    platform_ms: int | None, our_ms: int, later: int
) -> None:
    bound = Present(our_ms, platform_ms).ceiling
    assert not Present(our_ms + later, None if platform_ms is None else platform_ms + later).is_before(bound)
    assert not Present(our_ms + later).is_before(bound)


def test_a_position_of_the_future_is_known_by_either_clock() -> None:
    hour, now = 3_600_000, 1_800_000_000_000
    assert Present(now).is_before(now + hour)
    assert Present(now, now + 2 * hour).is_before(now + hour), "ours says so"
    assert Present(now + 2 * hour, now).is_before(now + hour), "the platform's says so"
    assert not Present(now, now).is_before(now + MARGIN_MS)
