"""A sync by offset misses no row that stays in the list, however the list moves under it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import format_datetime

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from orchestrator.clock import Clock
from orchestrator.platforms.base import offset as syncs
from orchestrator.platforms.base.listing import Listing, thin_listing
from orchestrator.platforms.base.offset import OVERLAP_ROWS, PageWalk, WalkAfterPage, by_pages, walk_page
from orchestrator.platforms.client import OrderSnapshot
from orchestrator.platforms.failures import Transient
from orchestrator.platforms.horizon import MARGIN_MS, Present
from orchestrator.platforms.http import Answer
from statemachines.target import Json

DATE_MS = 1_000_000
"""The platform's clock, and ours."""
NOW = datetime.now(UTC)


def resume(position: Json = None, cursor: Json = None) -> PageWalk:
    return PageWalk.resume(position, cursor, Present(DATE_MS))


def after_page(walk: PageWalk, listing: Listing, page_size: int, platform_ms: int | None = DATE_MS) -> WalkAfterPage:
    return syncs.after_page(walk, listing, page_size, Present(DATE_MS, platform_ms))


def snapshot(order_id: int, updated_at: int = 500_000) -> OrderSnapshot:
    return OrderSnapshot(str(order_id), None, "CheckQueue", "paid", {"status": "Payed"}, b"{}", "", updated_at)


def page(rows: Sequence[int], walk: PageWalk, page_size: int, *, has_total: bool = True) -> Listing:
    """What the platform answers when its list is `rows`."""
    cut = rows[walk.offset : walk.offset + page_size]
    ids = tuple(str(row) for row in cut)
    return Listing(tuple(snapshot(row) for row in cut), (), ids, len(cut), len(rows) if has_total else None)


def after_json(walk: PageWalk) -> PageWalk:
    return resume(None, json.loads(json.dumps(walk.to_json())))


def sync_through(
    rows: list[int], page_size: int, moves: Sequence[tuple[set[int], set[int]]] = (), *, has_total: bool = True
) -> tuple[set[int], WalkAfterPage, int]:
    """Pages to the end; after each page the rows of `moves` leave and enter. Ids seen, how it ended, pages."""
    walk, found, pages = resume(), set[int](), 0
    pending = list(moves)
    while True:
        pages += 1
        assert pages < 1000, "the sync does not end"
        listing = page(rows, walk, page_size, has_total=has_total)
        found |= {int(order_id) for order_id in listing.ids}
        turned = after_page(walk, listing, page_size)
        if turned.is_complete:
            return found, turned, pages
        walk = after_json(turned.walk)
        if pending:
            gone, new = pending.pop(0)
            rows = sorted((set(rows) - gone) | new)


@given(st.integers(0, 60), st.integers(2, 25), st.booleans())
def test_a_list_at_rest_is_seen_whole(count: int, page_size: int, has_total: bool) -> None:
    found, end, _ = sync_through(list(range(count)), page_size, has_total=has_total)
    assert found == set(range(count))
    assert end.flaw is None
    assert end.walk.lost == 0


@settings(max_examples=300, deadline=None)
@given(
    st.integers(1, 80),
    st.integers(2, 20),
    st.lists(st.tuples(st.sets(st.integers(0, 79)), st.sets(st.integers(80, 99))), max_size=12),
    st.booleans(),
)
def test_a_row_that_stays_is_seen_or_the_sync_says_that_it_may_not_be(
    count: int, page_size: int, moves: list[tuple[set[int], set[int]]], has_total: bool
) -> None:
    found, end, _ = sync_through(list(range(count)), page_size, moves, has_total=has_total)
    staying = set(range(count)) - {row for gone, _ in moves for row in gone}
    assert staying <= found or end.flaw is not None


@given(st.integers(1, 60), st.integers(2, 25), st.integers(0, 100))
def test_whatever_the_platform_counts_every_row_is_seen_or_the_sync_says_so(
    count: int, page_size: int, total: int
) -> None:
    walk, found = resume(), set[str]()
    while True:
        listing = replace(page(range(count), walk, page_size), total=total)
        found |= set(listing.ids)
        turned = after_page(walk, listing, page_size)
        walk = turned.walk
        if turned.is_complete:
            break
    assert len(found) == count
    assert (turned.flaw is not None) == (total > count)


def test_rows_that_move_up_over_the_cut_are_found_by_stepping_back() -> None:
    found, end, _ = sync_through(list(range(40)), 10, [(set(), set()), (set(range(12)), set())])
    assert set(range(12, 40)) <= found
    assert end.walk.lost == 2
    assert end.flaw is None


def test_a_list_whose_rows_are_always_others_ends_and_is_not_believed() -> None:
    walk, pages = resume({"updated_at": 7}), 0
    while True:
        pages += 1
        assert pages < 500
        rows = range(1000 * pages, 1000 * pages + 10)
        listing = Listing(tuple(map(snapshot, rows)), (), tuple(map(str, rows)), 10, None)
        turned = after_page(walk, listing, 10)
        walk = turned.walk
        if turned.is_complete:
            break
    assert turned.flaw is not None
    assert "showed none of the rows before them" in turned.flaw


def test_a_platform_that_ignores_the_offset_is_not_taken_for_one_that_is_at_its_end() -> None:
    for total in (None, 40):
        walk = resume()
        for _ in range(50):  # that such pages lead to nothing is noticed for all platforms alike (`progress`)
            rows = tuple(snapshot(n) for n in range(10))
            turned = after_page(walk, Listing(rows, (), tuple(row.id for row in rows), 10, total), 10)
            assert not turned.is_complete
            walk = turned.walk


def test_a_count_that_is_too_large_does_not_hold_a_sync() -> None:
    walk, pages = resume(), 0
    while True:
        pages += 1
        cut = range(walk.offset, min(walk.offset + 10, 25))
        turned = after_page(walk, Listing(tuple(map(snapshot, cut)), (), tuple(map(str, cut)), len(cut), 99), 10)
        walk = turned.walk
        if turned.is_complete:
            break
    assert pages == 5
    assert walk.lost == 0
    assert turned.flaw == "it counts 99 orders and shows none behind the first 25"


def test_an_empty_list_that_counts_orders_is_not_believed() -> None:
    assert after_page(resume({"updated_at": 7}), Listing((), total=3), 10).flaw is not None
    assert after_page(resume({"updated_at": 7}), Listing((), total=0), 10).flaw is None
    assert after_page(resume({"updated_at": 7}), Listing(()), 10).flaw is None


def test_a_page_without_a_readable_id_does_not_end_a_sync() -> None:
    first = after_page(resume(), Listing((), (), (), 10, 30), 10)
    assert not first.is_complete
    assert first.walk.offset == 10 - OVERLAP_ROWS
    assert not after_page(first.walk, Listing((), (), (), 10, None), 10).is_complete


def position_after(updated_at: Sequence[int], date_ms: int | None, position: object = None) -> object:
    orders = tuple(snapshot(n, at) for n, at in enumerate(updated_at))
    listing = Listing(orders, (), tuple(order.id for order in orders), len(orders), len(orders))
    turned = after_page(resume(position), listing, 100, date_ms)
    assert turned.is_complete
    return turned.walk.position


def test_the_next_sync_begins_at_the_largest_change_seen() -> None:
    assert position_after([10, 900, 30], DATE_MS) == {"updated_at": 900}


def test_a_change_time_in_the_future_does_not_blind_the_next_sync() -> None:
    assert position_after([10, DATE_MS * 50], DATE_MS) == {"updated_at": DATE_MS}
    assert position_after([10, DATE_MS * 50], None) == {"updated_at": DATE_MS}, "ours bounds it too"
    far = position_after([10, DATE_MS * 50], DATE_MS * 50)
    assert far == {"updated_at": DATE_MS}, "the platform's clock does not carry it away"


def test_a_position_of_the_future_is_not_begun_from() -> None:
    assert resume({"updated_at": DATE_MS * 50}) == PageWalk(), "by our clock"
    walk = resume({"updated_at": DATE_MS})
    again = after_page(walk, Listing((snapshot(1, 10),), (), ("1",), 1, 1), 10, DATE_MS - 2 * MARGIN_MS)
    assert again == WalkAfterPage(PageWalk(), is_complete=False), "by the platform's clock"


def test_the_position_never_goes_back() -> None:
    assert position_after([10], DATE_MS, {"updated_at": 800}) == {"updated_at": 800}


def test_an_empty_sync_keeps_its_position() -> None:
    assert position_after([], DATE_MS, {"updated_at": 800}) == {"updated_at": 800}
    assert position_after([], DATE_MS) is None


def test_without_a_platform_clock_the_first_page_bounds_the_position() -> None:
    def answer(*ids_at: tuple[int, int]) -> Listing:
        orders = tuple(snapshot(order_id, at) for order_id, at in ids_at)
        return Listing(orders, (), tuple(order.id for order in orders), len(orders), 3)

    first = after_page(resume(), answer((1, 100), (2, 50)), 2, None)
    assert not first.is_complete
    last = after_page(first.walk, answer((2, 50), (3, 900)), 2, None)
    assert last.walk.position == {"updated_at": 100}


def test_a_change_on_a_page_already_read_is_left_to_the_next_sync() -> None:
    """Row 1 changes at 1,000,500 after its page was read; row 30 shows 1,900,000 later in the same, slow sync."""
    first = after_page(resume(), page(range(30), PageWalk(), 20), 20)
    assert not first.is_complete
    rows = tuple(snapshot(n, 1_900_000) for n in range(15, 30))
    last = after_page(first.walk, Listing(rows, (), tuple(o.id for o in rows), 15, 30), 20, 1_900_000)
    assert last.is_complete
    assert last.walk.position == {"updated_at": DATE_MS}


def test_a_position_of_another_shape_begins_anew() -> None:
    for position in (None, "x", {}, {"updated_at": "1"}, [1]):
        assert resume(position) == PageWalk()


async def test_further_lists_follow_the_first_one_in_the_same_sync() -> None:
    lists = [list(range(7)), list(range(20, 24))]

    def asking(which: int) -> syncs.Ask:
        async def ask(offset: int, limit: int, since: int | None) -> tuple[Listing, Answer]:
            listing = page(lists[which], PageWalk(offset=offset), limit)
            return listing, Answer(
                200, b"[]", CIMultiDictProxy(CIMultiDict({"Date": format_datetime(NOW, usegmt=True)}))
            )

        return ask

    found: list[tuple[int, str]] = []
    cursor: Json = None
    while True:
        shown = await syncs.walk_page(asking(0), None, cursor, page_size=4, clock=Clock(), further=(asking(1),))
        found += [(shown.part, order.id) for order in shown.orders]
        if shown.next is None:
            break
        assert shown.position is None
        cursor = json.loads(json.dumps(shown.next))
    assert set(found) == {(0, str(n)) for n in lists[0]} | {(1, str(n)) for n in lists[1]}
    assert shown.position == {"updated_at": 500_000}


class Numbered:
    """A platform whose list has pages by number alone; after each call the rows of `moves` leave and enter."""

    def __init__(
        self,
        rows: Sequence[int],
        moves: Sequence[tuple[set[int], set[int]]] = (),
        *,
        gives: int = 100,
        pages: Json = "",
    ) -> None:
        self.rows, self.moves, self.calls, self._gives, self._pages = list(rows), list(moves), 0, gives, pages

    async def ask(self, number: int, size: int, since_ms: int | None) -> tuple[Listing, Answer, Json]:
        del since_ms
        self.calls, given_rows = self.calls + 1, min(size, self._gives)
        cut = self.rows[(number - 1) * given_rows : number * given_rows]
        pages = -(-len(self.rows) // given_rows) if self._pages == "" else self._pages
        if self.moves:
            gone, new = self.moves.pop(0)
            self.rows = sorted((set(self.rows) - gone) | new)
        ids = tuple(map(str, cut))
        answer = Answer(200, b"", CIMultiDictProxy(CIMultiDict({"Date": format_datetime(NOW, usegmt=True)})))
        return Listing(tuple(map(snapshot, cut)), (), ids, len(cut)), answer, pages

    async def seen(self, page_size: int, largest: int = 100) -> set[int]:
        """The ids that a whole sync shows."""
        found, cursor = set[int](), None
        while True:
            page = await walk_page(
                by_pages(self.ask, largest=largest), None, cursor, page_size=page_size, clock=Clock()
            )
            found |= {int(order.id) for order in page.orders}
            if page.next is None:
                assert page.flaw is None
                return found
            cursor = json.loads(json.dumps(page.next))


@pytest.mark.parametrize("largest", [25, 100])
@pytest.mark.parametrize("page_size", [2, 10, 25, 100])
@pytest.mark.parametrize("count", [0, 1, 24, 25, 26, 100, 101, 555])
async def test_a_list_of_numbered_pages_is_seen_whole(count: int, page_size: int, largest: int) -> None:
    assert await Numbered(range(count)).seen(page_size, largest) == set(range(count))


async def test_a_page_that_is_the_last_one_takes_one_call() -> None:
    platform = Numbered(range(99))
    await platform.seen(100)
    assert platform.calls == 1


@settings(max_examples=100, deadline=None)
@given(
    st.integers(2, 30),
    st.lists(st.tuples(st.sets(st.integers(0, 90), max_size=6), st.sets(st.integers(0, 90), max_size=6)), max_size=12),
)
def test_numbered_pages_that_move_lose_no_row_that_stays(
    page_size: int, moves: list[tuple[set[int], set[int]]]
) -> None:
    gone = {row for leaving, _ in moves for row in leaving}
    platform = Numbered(range(90), moves)
    assert anyio.run(platform.seen, page_size) >= set(range(90)) - gone


@pytest.mark.parametrize(
    ("gives", "pages", "words"),
    [
        (50, "", "page 1 of 4 holds 50 rows where 100 were asked for: the client has to ask for no more"),
        (100, None, "the list does not say how many pages it has"),
    ],
)
async def test_pages_that_cannot_be_counted_by_are_no_list(gives: int, pages: Json, words: str) -> None:
    with pytest.raises(Transient, match=words):
        await Numbered(range(200), gives=gives, pages=pages).seen(100)


def test_pages_that_are_too_small_to_lead_on_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 25"):
        by_pages(Numbered(()).ask, largest=24)


def test_a_list_of_ids_leads_on_and_is_gone_through_whole() -> None:
    first = thin_listing(["1", "2", "3", "4"], "6", left_out=("2",), changed_ms=400_000)
    assert first.must_read == ("1", "3", "4")
    turned = after_page(resume(), first, 4)
    assert not turned.is_complete
    rest = thin_listing(["3", "4", "5", "6"], "6", changed_ms=300_000)
    ended = after_page(after_json(turned.walk), rest, 6)
    assert (ended.is_complete, ended.flaw) == (True, None)
    assert ended.walk.position == {"updated_at": 400_000}
