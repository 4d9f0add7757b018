"""How a sweep over CloudSuite's list finds what changed while the list moves under it."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.platforms.cloudsuite.sweep import Search, Sweep, turn
from orchestrator.platforms.cloudsuite.wire import Listing, Row

DEFAULT = Search(page_size=2, webshop=None, takes_offline=False, confirmed_since=None, modified_filter=None)
BY_CHANGE = Search(
    page_size=2, webshop=None, takes_offline=False, confirmed_since=None, modified_filter="modified__gte"
)
START = datetime.fromisoformat("2026-01-01T12:00:00")


def at(minutes: float) -> str:
    return (START + timedelta(minutes=minutes)).isoformat(timespec="microseconds")


def row(number: int, minutes: float = 0) -> Row:
    return Row(str(number), "confirmed", at(minutes))


def page(rows: list[Row], offset: int = 0, size: int = 2) -> Listing:
    """A page of `rows` from `offset`, as the platform cuts it."""
    following = f"/api/order/?offset={offset + size}" if offset + size < len(rows) else None
    return Listing(tuple(rows[offset : offset + size]), (), following, len(rows))


def swept(search: Search, position: Any, *states: list[Row]) -> tuple[list[str], Any]:
    """Ids found by a whole sweep; the platform holds each of `states` for one page, the last one for all others."""
    found: list[str] = []
    cursor, calls = None, 0
    while True:
        sweep = Sweep.resume(position, cursor, search)
        rows = states[min(calls, len(states) - 1)]
        offset = int(sweep.page.rpartition("offset=")[2].partition("&")[0])
        turned = turn(sweep, page(rows, offset), search)
        found += [each.id for each in turned.rows]
        calls += 1
        assert calls < 50
        if turned.next is None:
            return found, json.loads(json.dumps(turned.sweep.position(search)))
        cursor = json.loads(json.dumps(turned.next.to_json()))


@pytest.mark.parametrize("search", [DEFAULT, BY_CHANGE])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 5])
def test_the_first_sweep_finds_every_row_once(search: Search, count: int) -> None:
    found, _ = swept(search, None, [row(n, n) for n in range(count)])
    assert found == [str(n) for n in range(count)]


@pytest.mark.parametrize("search", [DEFAULT, BY_CHANGE])
def test_the_next_sweep_finds_what_is_new_or_changed_and_nothing_else(search: Search) -> None:
    rows = [row(n, n) for n in range(5)]
    _, position = swept(search, None, rows)
    assert swept(search, position, rows)[0] == []
    rows[1] = row(1, 30)
    assert swept(search, position, [*rows, row(9, 31)])[0] == ["1", "9"]


def test_a_row_that_slips_through_while_others_leave_is_found_in_the_same_sweep() -> None:
    rows = [row(n) for n in range(6)]
    found, _ = swept(DEFAULT, None, rows, rows[2:])
    assert set(found) == {str(n) for n in range(6)}


def test_a_row_that_slips_through_unnoticed_is_found_by_the_next_sweep() -> None:
    rows = [row(n) for n in range(6)]
    moved = [*rows[2:], row(10), row(11)]  # two left, two came: the count tells nothing
    found, position = swept(DEFAULT, None, rows, moved)
    again, _ = swept(DEFAULT, position, moved)
    assert {str(n) for n in range(2, 6)} <= {*found, *again}


def test_a_sweep_by_change_time_is_repeated_until_nothing_new_shows() -> None:
    rows = [row(n, n) for n in range(5)]
    _, position = swept(BY_CHANGE, None, [row(100, 0)])
    moved = [*rows[1:], row(0, 60)]  # changed meanwhile, and went to the end: a row moved up over the cut
    found, _ = swept(BY_CHANGE, position, rows, moved)
    assert {str(n) for n in range(5)} <= set(found)


def test_a_sweep_by_change_time_reads_back_more_than_the_hour_that_clocks_repeat() -> None:
    _, position = swept(BY_CHANGE, None, [row(1, 180)])
    first = Sweep.resume(position, None, BY_CHANGE).page
    assert "modified__gte=2026-01-01T13:00:00" in first
    assert swept(BY_CHANGE, position, [row(1, 180), row(2, 125)])[0] == ["2"]


def test_what_will_not_be_listed_again_is_forgotten() -> None:
    _, position = swept(BY_CHANGE, None, [row(1, 0), row(2, 600)])
    assert list(position["seen"]) == ["2"]
    _, position = swept(DEFAULT, None, [row(1, 0), row(2, 600)])
    assert list(position["seen"]) == ["1", "2"]


def test_an_empty_sweep_by_change_time_keeps_its_place() -> None:
    _, position = swept(BY_CHANGE, None, [row(1, 100)])
    _, after = swept(BY_CHANGE, position, [])
    assert after["since"] == position["since"]


def test_a_next_page_that_is_the_same_page_ends_the_sweep() -> None:
    sweep = Sweep.resume(None, None, DEFAULT)
    turned = turn(sweep, Listing((row(1),), (), sweep.page, 99), DEFAULT)
    assert turned.next is None


def test_the_query_says_what_the_shop_wants() -> None:
    search = Search(100, 3, takes_offline=True, confirmed_since="2026-01-31", modified_filter=None)
    assert search.first_page(None) == (
        "/api/order/?state=confirmed&confirm_date__gte=2026-01-31T00:00:00&webshop=3&limit=100&offset=0"
    )
    assert "offline=false" in DEFAULT.first_page(None)


@given(st.lists(st.lists(st.tuples(st.integers(1, 12), st.integers(0, 3)), max_size=9), min_size=1, max_size=6))
def test_once_the_list_rests_everything_in_it_was_found(history: list[list[tuple[int, int]]]) -> None:
    states = [[row(n, minutes) for n, minutes in dict(state).items()] for state in history]
    found, position = swept(DEFAULT, None, *states)
    again, _ = swept(DEFAULT, position, states[-1])
    assert {each.id for each in states[-1]} <= {*found, *again}
