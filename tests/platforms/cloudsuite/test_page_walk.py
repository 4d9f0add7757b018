"""How a sync over CloudSuite's list finds what changed while the list moves under it."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.platforms.cloudsuite import page_walk
from orchestrator.platforms.cloudsuite.page_walk import Now, PageWalk, Search, WalkAfterPage
from orchestrator.platforms.cloudsuite.wire import Listing, Row
from orchestrator.platforms.horizon import Present

DEFAULT = Search(page_size=2, webshop=None, takes_offline=False, confirmed_since=None, modified_filter=None)
BY_CHANGE = Search(
    page_size=2, webshop=None, takes_offline=False, confirmed_since=None, modified_filter="modified__gte"
)
START = datetime.fromisoformat("2026-01-01T12:00:00")
NOW_MS = int(datetime.fromisoformat("2026-02-01T11:00:00Z").timestamp() * 1000)
NOW = Now(Present(NOW_MS, NOW_MS), ZoneInfo("Europe/Amsterdam"))


def after_page(walk: PageWalk, listing: Listing, search: Search) -> WalkAfterPage:
    return page_walk.after_page(walk, listing, search, NOW)


def at(minutes: float) -> str:
    return (START + timedelta(minutes=minutes)).isoformat(timespec="microseconds")


def row(number: int, minutes: float = 0) -> Row:
    return Row(str(number), "confirmed", at(minutes))


def page(rows: list[Row], offset: int = 0, size: int = 2) -> Listing:
    """A page of `rows` from `offset`, as the platform cuts it."""
    following = f"/api/order/?offset={offset + size}" if offset + size < len(rows) else None
    return Listing(tuple(rows[offset : offset + size]), (), following, len(rows))


def synced(search: Search, position: Any, *states: list[Row]) -> tuple[list[str], Any]:
    """Ids found by a whole sync; the platform holds each of `states` for one page, the last one for all others."""
    found: list[str] = []
    cursor, calls = None, 0
    while True:
        walk = PageWalk.resume(position, cursor, search, NOW)
        rows = states[min(calls, len(states) - 1)]
        offset = int(walk.page.rpartition("offset=")[2].partition("&")[0])
        turned = after_page(walk, page(rows, offset), search)
        found += [each.id for each in turned.rows]
        calls += 1
        assert calls < 50
        if turned.next is None:
            return found, json.loads(json.dumps(turned.walk.position(search)))
        cursor = json.loads(json.dumps(turned.next.to_json()))


@pytest.mark.parametrize("search", [DEFAULT, BY_CHANGE])
def test_what_was_seen_is_not_copied_for_each_page(search: Search) -> None:
    rows, seen, cursor = [row(n, n) for n in range(40)], [], None
    for number in range(15):
        walk = PageWalk.resume(None, cursor, search, NOW)
        turned = after_page(walk, page(rows, 2 * number), search)
        assert turned.next is not None
        cursor = turned.next.to_json()
        seen.append(turned.next.seen)
    assert all(each is seen[0] for each in seen)


@pytest.mark.parametrize("search", [DEFAULT, BY_CHANGE])
@pytest.mark.parametrize("count", [3, 4])
def test_a_page_that_is_asked_for_again_shows_its_rows_again(search: Search, count: int) -> None:
    rows = [row(n, n) for n in range(count)]
    first = after_page(PageWalk.resume(None, None, search, NOW), page(rows), search)
    assert first.next is not None
    for _ in range(3):  # the last one
        again = after_page(PageWalk.resume(None, first.next.to_json(), search, NOW), page(rows, 2), search)
        assert [each.id for each in again.rows] == [str(n) for n in range(2, count)]
        assert sorted(again.walk.position(search)["seen"]) == [str(n) for n in range(count)]


@pytest.mark.parametrize("search", [DEFAULT, BY_CHANGE])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 5])
def test_the_first_sync_finds_every_row_once(search: Search, count: int) -> None:
    found, _ = synced(search, None, [row(n, n) for n in range(count)])
    assert found == [str(n) for n in range(count)]


@pytest.mark.parametrize("search", [DEFAULT, BY_CHANGE])
def test_the_next_sync_finds_what_is_new_or_changed_and_nothing_else(search: Search) -> None:
    rows = [row(n, n) for n in range(5)]
    _, position = synced(search, None, rows)
    assert synced(search, position, rows)[0] == []
    rows[1] = row(1, 30)
    assert synced(search, position, [*rows, row(9, 31)])[0] == ["1", "9"]


def test_a_row_that_slips_through_while_others_leave_is_found_in_the_same_sync() -> None:
    rows = [row(n) for n in range(6)]
    found, _ = synced(DEFAULT, None, rows, rows[2:])
    assert set(found) == {str(n) for n in range(6)}


def test_a_row_that_slips_through_unnoticed_is_found_by_the_next_sync() -> None:
    rows = [row(n) for n in range(6)]
    moved = [*rows[2:], row(10), row(11)]  # two left, two came: the count tells nothing
    found, position = synced(DEFAULT, None, rows, moved)
    again, _ = synced(DEFAULT, position, moved)
    assert {str(n) for n in range(2, 6)} <= {*found, *again}


def test_a_sync_by_change_time_is_repeated_until_nothing_new_shows() -> None:
    rows = [row(n, n) for n in range(5)]
    _, position = synced(BY_CHANGE, None, [row(100, 0)])
    moved = [*rows[1:], row(0, 60)]  # changed meanwhile, and went to the end: a row moved up over the cut
    found, _ = synced(BY_CHANGE, position, rows, moved)
    assert {str(n) for n in range(5)} <= set(found)


def test_a_sync_by_change_time_reads_back_more_than_the_hour_that_clocks_repeat() -> None:
    _, position = synced(BY_CHANGE, None, [row(1, 180)])
    first = PageWalk.resume(position, None, BY_CHANGE, NOW).page
    assert "modified__gte=2026-01-01T13:00:00" in first
    assert synced(BY_CHANGE, position, [row(1, 180), row(2, 125)])[0] == ["2"]


def test_what_will_not_be_listed_again_is_forgotten() -> None:
    _, position = synced(BY_CHANGE, None, [row(1, 0), row(2, 600)])
    assert list(position["seen"]) == ["2"]
    _, position = synced(DEFAULT, None, [row(1, 0), row(2, 600)])
    assert list(position["seen"]) == ["1", "2"]


def test_an_empty_sync_by_change_time_keeps_its_place() -> None:
    _, position = synced(BY_CHANGE, None, [row(1, 100)])
    _, after = synced(BY_CHANGE, position, [])
    assert after["since"] == position["since"]


def test_a_next_page_that_is_the_same_page_ends_the_sync_and_is_not_believed() -> None:
    walk = PageWalk.resume(None, None, DEFAULT, NOW)
    turned = after_page(walk, Listing((row(1),), (), walk.page, 99), DEFAULT)
    assert turned.next is None
    assert turned.flaw == f"it names a page as the one that follows it: {walk.page}"


@pytest.mark.parametrize("search", [DEFAULT, BY_CHANGE])
def test_a_list_that_ends_before_its_count_is_not_believed(search: Search) -> None:
    walk = PageWalk.resume(None, None, search, NOW)
    assert after_page(walk, Listing((row(1),), (), None, 1), search).flaw is None
    assert after_page(walk, Listing((row(1),), (), None, None), search).flaw is None
    assert after_page(walk, Listing((row(1),), (), None, 3), search).flaw == "it counts 3 orders and ends after 1"
    assert after_page(walk, Listing((), (), None, 3), search).flaw is not None


def test_an_empty_page_that_names_another_one_does_not_end_the_list() -> None:
    walk = PageWalk.resume(None, None, DEFAULT, NOW)
    turned = after_page(walk, Listing((), (), "/api/order/?offset=2", 3), DEFAULT)
    assert turned.next is not None
    assert turned.next.page == "/api/order/?offset=2"


@pytest.mark.parametrize("future", ["2100-01-01T00:00:00.000000", "2026-02-01T15:00:00.000000"])
def test_a_change_time_in_the_future_does_not_blind_the_next_sync(future: str) -> None:
    _, position = synced(BY_CHANGE, None, [row(1), Row("2", "confirmed", future)])
    assert position["since"] == "2026-02-01T12:00:00.000000", "the moment when it began, as Amsterdam writes it"
    assert "1" not in position["seen"]
    again = PageWalk.resume({"seen": {}, "since": future}, None, BY_CHANGE, NOW)
    assert "modified__gte=1969-12-31T22:00:00" in again.page, "a position that was kept there is begun anew"


def test_a_position_of_the_future_is_known_by_the_platforms_clock_too() -> None:
    ours_ms = NOW_MS + 7_200_000
    position = {"seen": {}, "since": "2026-02-01T13:00:00"}
    walk = PageWalk.resume(position, None, BY_CHANGE, Now(Present(ours_ms), NOW.zone))
    assert "modified__gte=2026-02-01T11:00:00" in walk.page
    turned = page_walk.after_page(
        walk, Listing((row(1),), (), None, 1), BY_CHANGE, Now(Present(ours_ms, NOW_MS), NOW.zone)
    )
    assert turned.next is not None
    assert "modified__gte=1969-12-31T22:00:00" in turned.next.page


@pytest.mark.parametrize("since", ["9999-12-31T23:59:59", "0001-01-01T00:00:00", "soon"])
def test_a_position_that_is_no_date_is_begun_anew(since: str) -> None:
    again = PageWalk.resume({"seen": {"1": since}, "since": since}, None, BY_CHANGE, NOW)
    assert "modified__gte=1969-12-31T22:00:00" in again.page
    assert synced(BY_CHANGE, {"seen": {"1": since}, "since": since}, [row(1), row(2)])[0] == ["1", "2"]


@pytest.mark.parametrize("past", ["1900-01-01T00:00:00", "1970-01-01T00:00:00"])
def test_a_change_time_at_the_beginning_of_time_breaks_no_sync(past: str) -> None:
    _, position = synced(BY_CHANGE, None, [Row("2", "confirmed", past)])
    assert synced(BY_CHANGE, position, [Row("2", "confirmed", past), row(3)])[0] == ["3"]


def test_a_list_that_keeps_moving_leaves_the_position_where_it_is() -> None:
    _, position = synced(BY_CHANGE, None, [row(100, 0)])
    states = [[row(n, n + calls) for n in range(4)] for calls in range(20)]
    found, after = synced(BY_CHANGE, position, *states)
    assert set(found) == {"0", "1", "2", "3"}
    assert after["since"] == position["since"], "some row may have slipped through each time"


def test_the_query_says_what_the_shop_wants() -> None:
    search = Search(100, 3, takes_offline=True, confirmed_since="2026-01-31", modified_filter=None)
    assert search.first_page(None) == (
        "/api/order/?state=confirmed&confirm_date__gte=2026-01-31T00:00:00&webshop=3&limit=100&offset=0"
    )
    assert "offline=false" in DEFAULT.first_page(None)


@given(st.lists(st.lists(st.tuples(st.integers(1, 12), st.integers(0, 3)), max_size=9), min_size=1, max_size=6))
def test_once_the_list_rests_everything_in_it_was_found(history: list[list[tuple[int, int]]]) -> None:
    states = [[row(n, minutes) for n, minutes in dict(state).items()] for state in history]
    found, position = synced(DEFAULT, None, *states)
    again, _ = synced(DEFAULT, position, states[-1])
    assert {each.id for each in states[-1]} <= {*found, *again}
