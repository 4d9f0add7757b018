"""Which orders are history, by their age and by what the store knows of the shop."""

from __future__ import annotations

from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from orchestrator.backoff import Growing
from orchestrator.decisions.draft import Context, Policy
from orchestrator.decisions.history import is_history
from orchestrator.platforms.client import Age
from orchestrator.platforms.cloudsuite.wire import age_of
from orchestrator.platforms.xsale.wire import ordered_at
from orchestrator.testing.engine_suite.samples import order
from statemachines.selldone import MACHINE
from storage.history import forget_skipped, note_skipped
from storage.leases import acquire
from storage.migrations import migrate
from storage.orders import insert_order
from storage.passage import Passage, save_passage
from storage.shops import follow_shop, get_shop, save_sync
from storage.sqlite.connection import SqliteTransaction
from tests.support.memory import memory_transaction

DAY = 86_400_000
NOW = 1_800_000_000_000
BEGAN = NOW - 100 * DAY
POLICY = Policy("acme", "selldone", "auto", 1, 1, Growing(1, 1), 1, None, 50 * DAY)
AMSTERDAM = ZoneInfo("Europe/Amsterdam")


@pytest.fixture
def tx() -> SqliteTransaction:
    made = memory_transaction()
    migrate(made, NOW)
    acquire(made, "acme", "selldone", "test")
    follow_shop(made, "acme", BEGAN)
    return made


def left_out(tx: SqliteTransaction, age: Age, import_since: int | None = None) -> bool:
    ctx = Context(MACHINE, replace(POLICY, import_since=import_since), NOW)
    return is_history(tx, ctx, "1", age)


@pytest.mark.parametrize(
    ("age", "import_since", "expected"),
    [
        (Age(BEGAN - DAY), None, False),  # open, however old
        (Age(None), None, False),
        (Age(BEGAN - DAY, is_over=True), None, True),
        (Age(None, is_over=True), None, True),
        (Age(NOW - DAY, is_over=True), None, False),  # made and ended while we watched
        (Age(BEGAN, is_over=True), None, True),  # it was known, and is forgotten since
        (Age(BEGAN - DAY), BEGAN, True),
        (Age(BEGAN), BEGAN, False),
        (Age(None), BEGAN, False),
        (Age(None, is_over=True), BEGAN, False),
        (Age(BEGAN - DAY, is_over=True), BEGAN - 2 * DAY, False),  # asked for, though it is over
        (Age(BEGAN + DAY, is_over=True), BEGAN - 2 * DAY, True),  # forgotten here too
    ],
)
def test_what_is_history(tx: SqliteTransaction, age: Age, import_since: int | None, expected: bool) -> None:
    assert left_out(tx, age, import_since) is expected


def test_an_order_that_is_known_is_never_history(tx: SqliteTransaction) -> None:
    insert_order(tx, order("1"), b"{}")
    assert not left_out(tx, Age(0, is_over=True))
    assert not left_out(tx, Age(0, is_over=True), NOW)


def test_a_shop_is_followed_since_its_first_start(tx: SqliteTransaction) -> None:
    follow_shop(tx, "acme", NOW)
    shop = get_shop(tx, "acme")
    assert shop is not None
    assert shop.followed_since == BEGAN


def test_a_clock_that_is_500_days_ahead_makes_no_new_order_history(tx: SqliteTransaction) -> None:
    """Made and ended while we watched: it is as old as the time that passed."""
    save_passage(tx, Passage(NOW + 500 * DAY, None, 0, 500 * DAY, 0, 0))
    ctx = Context(MACHINE, POLICY, NOW + 500 * DAY)
    assert not is_history(tx, ctx, "1", Age(NOW - DAY, is_over=True))
    assert is_history(tx, ctx, "1", Age(BEGAN, is_over=True)), "it was known, and is forgotten since"


def test_a_shop_that_was_first_followed_by_a_clock_that_was_ahead_misses_no_order(tx: SqliteTransaction) -> None:
    tx.execute("UPDATE shops SET followed_since = ?", (NOW + DAY,))
    new, old = Age(NOW - 1, is_over=True), Age(NOW - 60 * DAY, is_over=True)
    assert left_out(tx, new), "the first sync takes what is open"
    save_sync(tx, "acme", None, NOW)
    assert not left_out(tx, new)
    assert left_out(tx, old)


def test_an_order_that_is_left_out_is_counted_once(tx: SqliteTransaction) -> None:
    def skipped() -> int:
        shop = get_shop(tx, "acme")
        assert shop is not None
        return shop.skipped

    assert [note_skipped(tx, "acme", each) for each in ("1", "1", "2")] == [True, False, True]
    assert skipped() == 2
    forget_skipped(tx, "acme", "1")
    forget_skipped(tx, "acme", "1")
    assert skipped() == 1


@pytest.mark.parametrize(
    ("created", "ordered", "expected"),
    [
        ("2024-03-01T00:30:00.000001", "2024-03-01", 1_709_249_400_000),  # local time in winter
        ("2024-07-01T00:30:00", None, 1_719_786_600_000),  # and in summer
        ("2023-12-01T10:00:00", "2024-03-01", 1_709_333_999_999),  # a quotation that was ordered later
        (None, "2024-03-01", 1_709_333_999_999),
        ("2024-03-01T10:00:00", "2020-01-01", 1_709_283_600_000),
        ({"at": 1}, "soon", None),
        ("9999-12-31T23:59:59", None, None),  # how a database writes that there is none
        ("0001-01-01T00:00:00", "0001-01-01", None),  # before there is time in UTC
    ],
)
def test_when_a_cloudsuite_order_was_made(created: object, ordered: object, expected: int | None) -> None:
    assert age_of("confirmed", created, ordered, AMSTERDAM) == Age(expected)


def test_cloudsuite_orders_that_are_over() -> None:
    over = [
        s for s in ("draft", "confirmed", "processing", "sent", "done", "cancel") if age_of(s, 1, 1, AMSTERDAM).is_over
    ]
    assert over == ["done", "cancel"]


@pytest.mark.parametrize(
    ("purchased", "expected"),
    [
        ("2024-03-01", 1_709_337_599_999),
        ("2024-03-01T08:00:00", 1_709_280_000_000),
        ("2024-03-01T08:00:00+01:00", 1_709_276_400_000),
        ("wczoraj", None),
        ("9999-12-31", 253_402_300_799_999),
        (None, None),
        (17, None),
    ],
)
def test_when_an_xsale_order_was_made(purchased: object, expected: int | None) -> None:
    assert ordered_at(purchased) == expected
