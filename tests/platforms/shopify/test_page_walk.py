"""How a sync over Shopify's orders goes on: what is open first, then everything, then what changed."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from orchestrator.platforms.client import Age
from orchestrator.platforms.failures import Unreadable
from orchestrator.platforms.horizon import Present
from orchestrator.platforms.shopify.listing import read_listing
from orchestrator.platforms.shopify.page_walk import OPEN_FIRST, PageWalk
from orchestrator.platforms.shopify.wire import Row

NOW = 1_800_000_000_000
LOOKBACK = 120_000
PRESENT = Present(NOW, NOW)


def iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def row(number: str, updated_at: int) -> Row:
    return Row(number, updated_at, False, Age())


def test_what_was_read_among_the_open_orders_is_not_read_again_with_everything() -> None:
    first = PageWalk.resume(None, None, LOOKBACK, PRESENT)
    assert first.query == OPEN_FIRST
    old, late = row("1", NOW - 10 * LOOKBACK), row("2", NOW - 500)
    everything = first.turned([old, late], None, PRESENT, LOOKBACK).following()
    assert everything is not None
    assert everything.query is None
    again = PageWalk.resume(None, everything.to_json(), LOOKBACK, PRESENT)
    assert again.fresh([old, late]) == [late], "its second was not over: it may have changed once more"
    assert again.fresh([row("1", NOW)]) == [row("1", NOW)], "it changed since"


def test_what_was_seen_is_not_copied_for_each_page_and_not_kept_beyond_what_is_shown_again() -> None:
    walk = first = PageWalk(known={})
    for number in range(200):
        rows = [row(f"{number}-{each}", NOW - 10_000_000 + 40_000 * number) for each in range(50)]
        walk = PageWalk.resume(None, walk.turned(rows, str(number), PRESENT, LOOKBACK).to_json(), LOOKBACK, PRESENT)
        assert walk.seen is first.seen
    assert len(walk.seen) < 2_000
    shown_again = [f"{number}-{each}" for number in range(196, 200) for each in range(50)]
    assert sorted(walk.position()["seen"]) == sorted(shown_again)


@pytest.mark.parametrize("is_last", [False, True])
def test_a_page_that_is_asked_for_again_leads_to_the_same(is_last: bool) -> None:
    cursor = PageWalk.resume(None, None, LOOKBACK, PRESENT).turned([row("1", NOW - 9000)], "a", PRESENT, LOOKBACK)
    rows, after = [row("1", NOW - 8000), row("2", NOW - 500)], None if is_last else "b"
    results = []
    for _ in range(2):
        turned = PageWalk.resume(None, cursor.to_json(), LOOKBACK, PRESENT).turned(rows, after, PRESENT, LOOKBACK)
        following = turned.following()
        assert following is not None
        results.append((turned.position(), following.known))
    assert results[0] == results[1] == ({"latest": NOW - 500, "seen": {"1": NOW - 8000}}, {"1": NOW - 8000})


def test_only_the_whole_list_says_where_the_next_sync_begins() -> None:
    first = PageWalk.resume(None, None, LOOKBACK, PRESENT).turned([row("1", NOW - 5000)], None, PRESENT, LOOKBACK)
    everything = first.following()
    assert everything is not None
    done = everything.turned([row("9", NOW - 50_000), row("1", NOW - 5000)], None, PRESENT, LOOKBACK)
    assert done.following() is None
    position = done.position()
    assert position["latest"] == NOW - 5000
    following = PageWalk.resume(position, None, LOOKBACK, PRESENT)
    assert (following.query or "").startswith("updated_at:>=")
    assert following.turned([], None, PRESENT, LOOKBACK).following() is None


def test_a_shop_without_orders_begins_anew() -> None:
    first = PageWalk.resume(None, None, LOOKBACK, PRESENT).turned([], None, PRESENT, LOOKBACK)
    everything = first.following()
    assert everything is not None
    assert everything.turned([], None, PRESENT, LOOKBACK).position() is None


@pytest.mark.parametrize("ahead_ms", [3 * 3_600_000, 74 * 365 * 86_400_000])
def test_a_change_time_in_the_future_hides_no_later_change(ahead_ms: int) -> None:
    everything = PageWalk(known={})
    done = everything.turned([row("1", NOW - 5000), row("2", NOW + ahead_ms)], None, PRESENT, LOOKBACK)
    assert done.position() == {"latest": NOW, "seen": {"1": NOW - 5000}}
    late = Present(NOW + 60_000, NOW + 60_000)
    following = PageWalk.resume(done.position(), None, LOOKBACK, late)
    assert following.query == f"updated_at:>='{iso(NOW - LOOKBACK)}'"
    assert following.turned([], None, late, LOOKBACK).position()["latest"] == NOW


def test_a_sync_that_lasts_is_bounded_by_its_beginning() -> None:
    first = PageWalk().turned([row("1", NOW - 5000)], "next", PRESENT, LOOKBACK)
    later = Present(NOW + 3_600_000, NOW + 3_600_000)
    last = PageWalk.resume(None, first.to_json(), LOOKBACK, later)
    done = last.turned([row("2", NOW + 3_000_000)], None, later, LOOKBACK)
    assert done.position() == {"latest": NOW, "seen": {"1": NOW - 5000, "2": NOW + 3_000_000}}


def test_a_position_of_the_future_is_begun_from_the_beginning() -> None:
    position = {"latest": NOW + 86_400_000, "seen": {}}
    assert PageWalk.resume(position, None, LOOKBACK, PRESENT) == PageWalk(OPEN_FIRST), "by our clock"
    ours_ms = NOW + 2 * 86_400_000
    walk = PageWalk.resume(position, None, LOOKBACK, Present(ours_ms))
    assert walk != PageWalk(OPEN_FIRST)
    turned = walk.turned([row("1", NOW)], "next", Present(ours_ms, NOW), LOOKBACK)
    assert turned == PageWalk(OPEN_FIRST), "by the platform's"


@pytest.mark.parametrize("latest", [-62_135_596_800_000, 0, 1])
def test_a_change_time_at_the_beginning_of_time_breaks_no_sync(latest: int) -> None:
    position = PageWalk().turned([row("1", latest)], None, PRESENT, LOOKBACK).position()
    assert (PageWalk.resume(position, None, LOOKBACK, PRESENT).query or "").startswith(
        "updated_at:>='1970-01-01T00:00:0"
    )


@pytest.mark.parametrize(
    ("info", "flaw"),
    [
        ({"hasNextPage": False, "endCursor": None}, None),
        ({"hasNextPage": False}, None),
        ({"hasNextPage": True, "endCursor": "a"}, None),
        ({"hasNextPage": True, "endCursor": None}, "it says that more follows, and its cursor is null"),
        ({"hasNextPage": True, "endCursor": ""}, 'it says that more follows, and its cursor is ""'),
        ({"hasNextPage": True, "endCursor": 7}, "it says that more follows, and its cursor is 7"),
        ({"hasNextPage": True}, "it says that more follows, and its cursor is null"),
    ],
)
def test_a_list_that_goes_on_says_where(info: dict[str, object], flaw: str | None) -> None:
    listing = read_listing(json.dumps({"data": {"orders": {"nodes": [], "pageInfo": info}}}).encode())
    assert listing.flaw == flaw
    assert (listing.after is not None) == (info["hasNextPage"] is True and flaw is None)


@pytest.mark.parametrize("info", [{}, None, [], {"hasNextPage": "false", "endCursor": "a"}, {"hasNextPage": None}])
def test_a_list_that_does_not_say_whether_it_goes_on_cannot_be_read(info: object) -> None:
    with pytest.raises(Unreadable):
        read_listing(json.dumps({"data": {"orders": {"nodes": [], "pageInfo": info}}}).encode())
