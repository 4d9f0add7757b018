"""A sweep misses no row that stays in the list, however the list moves under it (selldone.md §3)."""

from __future__ import annotations

import json
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.platforms.client import Seen
from orchestrator.platforms.selldone.sweep import OVERLAP_ROWS, Sweep, turn
from orchestrator.platforms.selldone.wire import Listing

DATE_MS = 1_000_000


def seen(order_id: int, updated_at: int = 500_000) -> Seen:
    return Seen(str(order_id), None, "CheckQueue", "paid", {"status": "Payed"}, b"{}", "", updated_at)


def page(rows: Sequence[int], sweep: Sweep, page_size: int, *, has_total: bool = True) -> Listing:
    """What the platform answers when its list is `rows`."""
    cut = rows[sweep.offset : sweep.offset + page_size]
    ids = tuple(str(row) for row in cut)
    return Listing(tuple(seen(row) for row in cut), (), ids, len(cut), len(rows) if has_total else None)


def after_json(sweep: Sweep) -> Sweep:
    return Sweep.resume(None, json.loads(json.dumps(sweep.to_json())))


def sweep_through(
    rows: list[int], page_size: int, moves: Sequence[tuple[set[int], set[int]]] = (), *, has_total: bool = True
) -> tuple[set[int], Sweep, int]:
    """Pages to the end; after each page the rows of `moves` leave and enter. Ids seen, the last sweep, pages."""
    sweep, found, pages = Sweep.resume(None, None), set[int](), 0
    pending = list(moves)
    is_complete = False
    while not is_complete:
        pages += 1
        assert pages < 1000, "the sweep does not end"
        listing = page(rows, sweep, page_size, has_total=has_total)
        found |= {int(order_id) for order_id in listing.ids}
        sweep, is_complete = turn(sweep, listing, page_size, DATE_MS)
        sweep = after_json(sweep)
        if pending:
            gone, new = pending.pop(0)
            rows = sorted((set(rows) - gone) | new)
    return found, sweep, pages


@given(st.integers(0, 60), st.integers(2, 25), st.booleans())
def test_a_list_at_rest_is_seen_whole(count: int, page_size: int, has_total: bool) -> None:
    found, sweep, _ = sweep_through(list(range(count)), page_size, has_total=has_total)
    assert found == set(range(count))
    assert not sweep.is_torn
    assert sweep.steps_back == 0


@settings(max_examples=300)
@given(
    st.integers(1, 80),
    st.integers(2, 20),
    st.lists(st.tuples(st.sets(st.integers(0, 79)), st.sets(st.integers(80, 99))), max_size=12),
)
def test_a_row_that_stays_is_seen_or_the_position_stays(
    count: int, page_size: int, moves: list[tuple[set[int], set[int]]]
) -> None:
    found, sweep, _ = sweep_through(list(range(count)), page_size, moves)
    staying = set(range(count)) - {row for gone, _ in moves for row in gone}
    assert staying <= found or sweep.is_torn


def test_rows_that_move_up_over_the_cut_are_found_by_stepping_back() -> None:
    found, sweep, _ = sweep_through(list(range(40)), 10, [(set(), set()), (set(range(12)), set())])
    assert set(range(12, 40)) <= found
    assert sweep.steps_back == 2
    assert not sweep.is_torn


def test_a_list_whose_rows_are_always_others_ends_and_moves_no_position() -> None:
    sweep, is_complete, pages = Sweep.resume({"updated_at": 7}, None), False, 0
    while not is_complete:
        pages += 1
        assert pages < 500
        rows = range(1000 * pages, 1000 * pages + 300)
        sweep, is_complete = turn(sweep, page(rows, sweep, 10), 10, DATE_MS)
    assert sweep.is_torn
    assert sweep.position == {"updated_at": 7}


def test_a_platform_that_ignores_the_offset_does_not_hold_a_sweep_for_ever() -> None:
    for total in (None, 40):
        sweep, is_complete, pages = Sweep.resume(None, None), False, 0
        while not is_complete:
            pages += 1
            assert pages < 100
            rows = tuple(seen(n) for n in range(10))
            listing = Listing(rows, (), tuple(row.id for row in rows), 10, total)
            sweep, is_complete = turn(sweep, listing, 10, DATE_MS)


def test_a_count_that_is_too_large_does_not_hold_a_sweep() -> None:
    sweep, is_complete, pages = Sweep.resume(None, None), False, 0
    while not is_complete:
        pages += 1
        cut = range(sweep.offset, min(sweep.offset + 10, 25))
        listing = Listing(tuple(map(seen, cut)), (), tuple(map(str, cut)), len(cut), 99)
        sweep, is_complete = turn(sweep, listing, 10, DATE_MS)
    assert pages == 5
    assert sweep.steps_back == 0


def test_a_page_without_a_readable_id_does_not_end_a_sweep() -> None:
    sweep, is_complete = turn(Sweep.resume(None, None), Listing((), (), (), 10, 30), 10, DATE_MS)
    assert not is_complete
    assert sweep.offset == 10 - OVERLAP_ROWS
    assert not turn(sweep, Listing((), (), (), 10, None), 10, DATE_MS)[1]


def position_after(updated_at: Sequence[int], date_ms: int | None, position: object = None) -> object:
    orders = tuple(seen(n, at) for n, at in enumerate(updated_at))
    listing = Listing(orders, (), tuple(order.id for order in orders), len(orders), len(orders))
    sweep, is_complete = turn(Sweep.resume(position, None), listing, 100, date_ms)
    assert is_complete
    return sweep.position


def test_the_next_sweep_begins_at_the_largest_change_seen() -> None:
    assert position_after([10, 900, 30], DATE_MS) == {"updated_at": 900}


def test_a_change_time_in_the_future_does_not_blind_the_next_sweep() -> None:
    assert position_after([10, DATE_MS * 50], DATE_MS) == {"updated_at": DATE_MS}


def test_the_position_never_goes_back() -> None:
    assert position_after([10], DATE_MS, {"updated_at": 800}) == {"updated_at": 800}


def test_an_empty_sweep_keeps_its_position() -> None:
    assert position_after([], DATE_MS, {"updated_at": 800}) == {"updated_at": 800}
    assert position_after([], DATE_MS) is None


def test_without_a_platform_clock_the_first_page_bounds_the_position() -> None:
    def answer(*ids_at: tuple[int, int]) -> Listing:
        orders = tuple(seen(order_id, at) for order_id, at in ids_at)
        return Listing(orders, (), tuple(order.id for order in orders), len(orders), 3)

    sweep, is_complete = turn(Sweep.resume(None, None), answer((1, 100), (2, 50)), 2, None)
    assert not is_complete
    sweep, is_complete = turn(sweep, answer((2, 50), (3, 900)), 2, None)
    assert is_complete
    assert sweep.position == {"updated_at": 100}


def test_a_change_on_a_page_already_read_is_left_to_the_next_sweep() -> None:
    """Row 1 changes at 1,000,500 after its page was read; row 30 shows 1,900,000 later in the same, slow sweep."""
    sweep, is_complete = turn(Sweep.resume(None, None), page(range(30), Sweep(), 20), 20, DATE_MS)
    assert not is_complete
    last = tuple(seen(n, 1_900_000) for n in range(15, 30))
    sweep, is_complete = turn(sweep, Listing(last, (), tuple(o.id for o in last), 15, 30), 20, 1_900_000)
    assert is_complete
    assert sweep.position == {"updated_at": DATE_MS}


def test_a_position_of_another_shape_begins_anew() -> None:
    for position in (None, "x", {}, {"updated_at": "1"}, [1]):
        assert Sweep.resume(position, None) == Sweep()
