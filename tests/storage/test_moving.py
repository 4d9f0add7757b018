"""A store moves whole from engine to engine: nothing is lost, its feed goes on, and the old one drives nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.cli.moving import move_store, stores_of
from orchestrator.clock import Chance, Clock
from orchestrator.process.restored import Here, settle
from orchestrator.testing import postgres
from orchestrator.testing.engine_suite.samples import FULL_ORDER, FULL_TARGET, order
from orchestrator.testing.engine_suite.scratch import NOW, SCRATCH
from storage import moving
from storage.counts import wrong_counts
from storage.engines import engine_of, open_store
from storage.events import append_event, last_cursor, list_events
from storage.identity import keep_forgotten, mark_copy, read_identity, settle_identity
from storage.leases import acquire
from storage.movable import UNFINISHED, NotMoved
from storage.nodes import Presence, StoreInUse, StoreMoving, join, leave
from storage.order_search import list_orders
from storage.orders import insert_order
from storage.payloads import get_kept, get_payload
from storage.shops import list_shops
from storage.store import Store
from storage.targets import get_target, insert_target
from storage.transaction import Transaction
from storage.webhooks import Arrival, add_webhook, due_webhooks

WAYS = [("sqlite", "postgresql"), ("postgresql", "sqlite"), ("sqlite", "sqlite"), ("postgresql", "postgresql")]


@pytest.fixture(params=WAYS, ids="-".join)
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """The URLs of the old and the new store."""
    urls = []
    for number, name in enumerate(request.param):
        (folder := tmp_path / str(number)).mkdir()
        urls.append(SCRATCH[name](folder))
    yield urls[0], urls[1]
    postgres.server().forget()


def _fill(tx: Transaction) -> None:
    acquire(tx, "acme", "example", "here")
    payload = b'{"items": [{"id": 1}], "title": "\xc5\x81"}' * 40
    insert_order(tx, FULL_ORDER, payload, {"lines": [1], "text": "Łódź \0"})
    for number in range(7):
        insert_order(tx, order(f"o{number}"), b"{}")
        append_event(tx, NOW, "seen", shop="acme", order=f"o{number}", data={"n": number})
    insert_target(tx, replace(FULL_TARGET, order=FULL_ORDER.id), "key", "hash")
    insert_target(tx, replace(FULL_TARGET, id="t-open", order="o1", finished_at=None), None, None)
    add_webhook(tx, Arrival("acme", "hint", None, None, None, None, b"\0\xff"), NOW)
    tx.execute("DELETE FROM events WHERE cursor > 5")
    keep_forgotten(tx, 7)


async def _everything(url: str) -> list[object]:
    def unit(tx: Transaction) -> list[object]:
        return [
            list_orders(tx, 0, 99),
            [(get_payload(tx, "acme", each.id), get_kept(tx, "acme", each.id)) for each in list_orders(tx, 0, 99)],
            [get_target(tx, name) for name in ("t-full", "t-open")],
            list_events(tx, 0, 99),
            last_cursor(tx),
            list_shops(tx),
            due_webhooks(tx, "acme", NOW, 9, 99),
            wrong_counts(tx).shops,
            read_identity(tx).feed,
        ]

    async with open_store(url, NOW) as store:
        return await store.read(unit)


async def _filled(url: str) -> None:
    async with open_store(url, NOW) as store:
        await store.write(_fill)
        found = await store.read(read_identity)
        await store.write(lambda tx: settle_identity(tx, found.feed, None, engine_of(url).place))


async def test_everything_arrives_and_goes_on(stores: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moving, "BATCH", 3)
    old, new = stores
    await _filled(old)
    before = await _everything(old)
    moved = await move_store(*stores_of(old, new))
    assert {each.table: each.rows for each in moved.moved}["orders"] == 8
    assert await _everything(new) == before
    async with open_store(new, NOW) as store:
        here = Here.of(engine_of(new))
        await settle(store, here, {}, Clock(), Chance(), is_driven=False)
        assert [shop.paused_by for shop in await store.read(list_shops)] == [None], "it is the same store"
        assert await store.write(lambda tx: append_event(tx, NOW, "next")) == 8, "cursors go on"
        last = max(each.seq for each in await store.read(lambda tx: list_orders(tx, 0, 99)))
        assert (await store.write(lambda tx: insert_order(tx, order("new"), b"{}"))).seq > last
    async with open_store(old, NOW) as store:
        await settle(store, Here.of(engine_of(old)), {}, Clock(), Chance(), is_driven=False)
        (shop,) = await store.read(list_shops)
        assert shop.paused_by == "restore", "it drives nothing"
        assert "`fulfilld migrate-store` left behind" in str(shop.paused_reason)


async def test_a_move_that_was_killed_goes_on_and_no_daemon_starts_before(
    stores: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "BATCH", 2)
    old, new = stores
    await _filled(old)
    before = await _everything(old)
    inserts = 0
    insert = moving._insert

    def killing(*arguments: object) -> None:
        nonlocal inserts
        inserts += 1
        if inserts >= 7:  # a unit that fails is tried once more
            raise KeyError("it was killed here")
        insert(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(moving, "_insert", killing)
    with pytest.raises(BaseExceptionGroup):
        await move_store(*stores_of(old, new))
    monkeypatch.setattr(moving, "_insert", insert)
    async with open_store(new, NOW) as store:
        with pytest.raises(NotMoved, match="run `fulfilld migrate-store` again"):
            await settle(store, Here.of(engine_of(new)), {}, Clock(), Chance(), is_driven=False)
    await move_store(*stores_of(old, new))
    assert await _everything(new) == before
    again = await move_store(*stores_of(old, new))
    assert not again.moved, "it is there"
    assert again.here == again.there > 8


async def test_a_store_that_is_in_use_or_not_empty_is_left_alone(stores: tuple[str, str]) -> None:
    old, new = stores
    await _filled(old)
    async with open_store(new, NOW) as store:
        await store.write(lambda tx: append_event(tx, NOW, "own"))
    with pytest.raises(NotMoved, match="not empty"):
        await move_store(*stores_of(old, new))


async def test_a_row_that_arrived_otherwise_is_found(stores: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = stores
    await _filled(old)
    insert = moving._insert

    def losing(tx: Transaction, table: moving.Table, rows: list[tuple[object, ...]]) -> None:
        insert(tx, table, rows[1:] if table.name == "orders" else rows)

    monkeypatch.setattr(moving, "_insert", losing)
    with pytest.raises(NotMoved, match="orders did not arrive"):
        await move_store(*stores_of(old, new))


def _kill(monkeypatch: pytest.MonkeyPatch, name: str, time: int) -> None:
    """The move is killed when it calls a function for the given time; a unit that fails is tried once more."""
    original, calls = getattr(moving, name), 0

    def killing(*arguments: object) -> None:
        nonlocal calls
        calls += 1
        if calls >= time:
            raise KeyError("it was killed here")
        original(*arguments)

    monkeypatch.setattr(moving, name, killing)


KILLS = pytest.mark.parametrize(("name", "time"), [("take_identity", 1), ("mark_copy", 1), ("take_identity", 2)])


async def _is_driven(url: str) -> bool:
    """Whether a daemon that is started there would drive orders."""
    async with open_store(url, NOW) as store:
        found = await store.read(read_identity)
    return found.copied_at is None and not (found.place or "").startswith(UNFINISHED)


@KILLS
@pytest.mark.parametrize("copied_at", [None, 5])
async def test_killed_at_its_end_at_most_one_store_drives_and_the_move_goes_on(
    stores: tuple[str, str], monkeypatch: pytest.MonkeyPatch, name: str, time: int, copied_at: int | None
) -> None:
    old, new = stores
    await _filled(old)
    if copied_at is not None:
        async with open_store(old, NOW) as store:
            await store.write(lambda tx: mark_copy(tx, copied_at))
    before = await _everything(old)
    with monkeypatch.context() as patched:
        _kill(patched, name, time)
        with pytest.raises(BaseExceptionGroup):
            await move_store(*stores_of(old, new))
    assert not await _is_driven(new)
    assert await move_store(*stores_of(old, new))
    assert await _everything(new) == before
    async with open_store(new, NOW) as store:
        assert (await store.read(read_identity)).copied_at == copied_at, "a copy stays one, nothing else becomes one"
    assert not await _is_driven(old)
    assert not (await move_store(*stores_of(old, new))).moved


@KILLS
async def test_what_a_daemon_did_on_the_old_store_since_a_killed_move_is_not_lost(
    stores: tuple[str, str], monkeypatch: pytest.MonkeyPatch, name: str, time: int
) -> None:
    old, new = stores
    await _filled(old)
    with monkeypatch.context() as patched:
        _kill(patched, name, time)
        with pytest.raises(BaseExceptionGroup):
            await move_store(*stores_of(old, new))
    async with open_store(old, NOW) as store:
        await settle(store, Here.of(engine_of(old)), {}, Clock(), Chance(), is_driven=False)
        await store.write(lambda tx: insert_order(tx, order("since"), b"{}"))
        await store.write(lambda tx: tx.execute("UPDATE orders SET state = 'later' WHERE id = 'o1'"))
    with pytest.raises(NotMoved):
        await move_store(*stores_of(old, new))
    assert await _is_driven(old)
    assert not await _is_driven(new)


async def test_a_store_that_goes_on_is_no_copy_of_an_earlier_one(stores: tuple[str, str]) -> None:
    old, new = stores
    await _filled(old)
    await move_store(*stores_of(old, new))
    async with open_store(old, NOW) as store:
        feed = (await store.read(read_identity)).feed
        await store.write(lambda tx: settle_identity(tx, feed, None, engine_of(old).place))
    with pytest.raises(NotMoved, match="an earlier copy of the old one"):
        await move_store(*stores_of(old, new))
    assert await _is_driven(old)


async def test_a_store_that_is_half_moved_is_not_moved_on(
    stores: tuple[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    old, new = stores
    await _filled(old)
    with monkeypatch.context() as patched:
        _kill(patched, "take_identity", 1)
        with pytest.raises(BaseExceptionGroup):
            await move_store(*stores_of(old, new))
    with pytest.raises(NotMoved, match="was not finished"):
        await move_store(*stores_of(new, f"sqlite:///{tmp_path}/third.db"))


@pytest.mark.parametrize(
    ("table", "sql"),
    [
        ("later", "CREATE TABLE later (id BIGINT PRIMARY KEY)"),
        ("orders", "ALTER TABLE orders ADD COLUMN later TEXT"),
    ],
)
async def test_a_store_that_a_newer_version_has_expanded_is_left_to_that_one(
    stores: tuple[str, str], table: str, sql: str
) -> None:
    old, new = stores
    await _filled(old)
    async with open_store(old, NOW) as store:
        await store.write(lambda tx: tx.execute(sql))
    with pytest.raises(NotMoved, match=f"the table {table} is another one in the new store: a newer fulfilld"):
        await move_store(*stores_of(old, new))
    async with open_store(new, NOW) as store:  # nothing was begun
        assert (await store.read(read_identity)).place is None


@pytest.mark.parametrize("which", ["old", "new"])
async def test_a_store_that_a_daemon_shares_is_not_moved(tmp_path: Path, which: str) -> None:
    urls = {"old": SCRATCH["postgresql"](tmp_path), "new": SCRATCH["postgresql"](tmp_path)}
    await _filled(urls["old"])
    async with open_store(urls[which], NOW) as store:
        await store.write(lambda tx: join(tx, "node-1", Presence("1"), 60_000))
        with pytest.raises(StoreInUse, match="in use by node-1"):
            await move_store(*stores_of(urls["old"], urls["new"]))
        await store.write(lambda tx: leave(tx, "node-1"))
    await move_store(*stores_of(urls["old"], urls["new"]))
    postgres.server().forget()


async def test_no_daemon_joins_a_store_that_is_being_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    urls = [SCRATCH["postgresql"](tmp_path), SCRATCH["postgresql"](tmp_path)]
    await _filled(urls[0])
    refused = []
    verified = moving._verified

    async def trying(source: Store, target: Store, table: moving.Table) -> moving.Moved:
        for store in (source, target):
            with pytest.raises(StoreMoving, match="moves this store"):
                await store.write(lambda tx: join(tx, "node-1", Presence("1"), 60_000))
            refused.append(table.name)
        return await verified(source, target, table)

    monkeypatch.setattr(moving, "_verified", trying)
    await move_store(*stores_of(*urls))
    assert refused
    for url in urls:
        async with open_store(url, NOW) as store:
            await store.write(lambda tx: join(tx, "node-1", Presence("1"), 60_000))  # it is over
    postgres.server().forget()


async def test_a_store_on_which_a_daemon_works_again_does_not_become_a_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command stood still for longer than it counts, and does not know of the daemon that joined since."""
    urls = [SCRATCH["postgresql"](tmp_path), SCRATCH["postgresql"](tmp_path)]
    await _filled(urls[0])
    copy = moving._copy

    async def frozen(source: Store, target: Store, table: moving.Table) -> None:
        if table.name == "webhooks":

            def unit(tx: Transaction) -> None:
                tx.execute("DELETE FROM nodes")
                join(tx, "node-1", Presence("1"), 60_000)

            await source.write(unit)
        await copy(source, target, table)

    monkeypatch.setattr(moving, "_copy", frozen)
    with pytest.raises(StoreInUse, match="node-1"):
        await move_store(*stores_of(*urls))
    async with open_store(urls[0], NOW) as store:
        assert (await store.read(read_identity)).copied_at is None
    postgres.server().forget()
