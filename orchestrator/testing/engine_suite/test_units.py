"""Units of work: all or nothing, durable when answered, undisturbed by whoever fails or is cancelled beside them."""

from __future__ import annotations

import threading

import anyio
import pytest

from orchestrator.testing.engine_suite.samples import order
from orchestrator.testing.engine_suite.scratch import NOW, Engine
from storage.errors import StoreError
from storage.events import append_event, list_events
from storage.order_search import list_orders
from storage.orders import LostUpdate, get_order, insert_order
from storage.transaction import Published, Transaction


async def test_a_unit_that_raises_undoes_itself_and_its_group_mates_commit(engine: Engine) -> None:
    published: list[Published] = []
    async with engine.open(published.extend) as store:

        def good(number: int, tx: Transaction) -> int:
            insert_order(tx, order(str(number)), b"")
            return append_event(tx, NOW, "good", order=str(number))

        def bad(number: int, tx: Transaction) -> int:
            good(number, tx)
            raise LostUpdate(str(number))

        results: dict[int, int] = {}

        async def one(number: int) -> None:
            if number % 2:
                with pytest.raises(LostUpdate, match=str(number)):
                    await store.write(lambda tx: bad(number, tx))
            else:
                results[number] = await store.write(lambda tx: good(number, tx))

        async with anyio.create_task_group() as group:
            for number in range(10):
                group.start_soon(one, number)
        kept = await store.read(lambda tx: list_orders(tx, 0, 99))
        assert [each.id for each in kept] == ["0", "2", "4", "6", "8"]
        events = await store.read(lambda tx: list_events(tx, 0, 99))
        assert {int(event.order or -1): event.cursor for event in events} == results
        assert published == [(event.cursor, None, event.order, None, event.type) for event in events]


async def test_a_cancelled_callers_unit_is_committed_and_leaves_no_open_transaction(engine: Engine) -> None:
    published = anyio.Event()
    async with engine.open(lambda _: published.set()) as store:
        begun, go_on = threading.Event(), threading.Event()

        def slow(tx: Transaction) -> None:
            begun.set()
            assert go_on.wait(30)
            insert_order(tx, order("slow"), b"")
            append_event(tx, NOW, "slow")

        async with anyio.create_task_group() as group:
            group.start_soon(store.write, slow)
            group.start_soon(store.write, lambda tx: insert_order(tx, order("queued"), b""))
            await anyio.to_thread.run_sync(begun.wait)
            group.cancel_scope.cancel()
        go_on.set()
        await published.wait()
        await store.write(lambda tx: insert_order(tx, order("next"), b""))
        kept = await store.read(lambda tx: list_orders(tx, 0, 9))
        assert {each.id for each in kept} == {"slow", "queued", "next"}


async def test_a_cancelled_reader_gives_its_place_back(engine: Engine) -> None:
    async with engine.open() as store:
        go_on = threading.Event()

        def slow(tx: Transaction) -> None:
            assert go_on.wait(30)

        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(store.read, slow)
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()
        go_on.set()
        for _ in range(5):
            assert await store.read(lambda tx: get_order(tx, "acme", "1")) is None


async def test_listeners_hear_of_events_only_once_they_can_be_read(engine: Engine) -> None:
    published: list[Published] = []
    is_published = anyio.Event()

    def on_commit(events: list[Published]) -> None:
        published.extend(events)
        is_published.set()

    async with engine.open(on_commit) as store:
        in_unit = threading.Event()
        go_on = threading.Event()

        def unit(tx: Transaction) -> None:
            append_event(tx, NOW, "x", shop="acme", order="1", target="t")
            in_unit.set()
            assert go_on.wait(30)

        async with anyio.create_task_group() as group:
            group.start_soon(store.write, unit)
            await anyio.to_thread.run_sync(in_unit.wait)
            assert await store.read(lambda tx: list_events(tx, 0, 9)) == []
            assert published == []
            go_on.set()
            await is_published.wait()
            assert published == [(1, "acme", "1", "t", "x")]
            assert len(await store.read(lambda tx: list_events(tx, 0, 9))) == 1


async def test_a_read_is_one_snapshot_while_others_write(engine: Engine) -> None:
    async with engine.open() as store:
        await store.write(lambda tx: insert_order(tx, order("1"), b""))
        first_look, go_on = threading.Event(), threading.Event()

        def twice(tx: Transaction) -> tuple[int, int]:
            before = len(list_orders(tx, 0, 9))
            first_look.set()
            assert go_on.wait(30)
            return before, len(list_orders(tx, 0, 9))

        found: list[tuple[int, int]] = []

        async def read() -> None:
            found.append(await store.read(twice))

        async with anyio.create_task_group() as group:
            group.start_soon(read)
            await anyio.to_thread.run_sync(first_look.wait)
            await store.write(lambda tx: insert_order(tx, order("2"), b""))
            go_on.set()
        assert found == [(1, 1)]


async def test_a_reader_cannot_write(engine: Engine) -> None:
    async with engine.open() as store:
        with pytest.raises(StoreError):
            await store.read(lambda tx: insert_order(tx, order(), b""))
        await store.write(lambda tx: insert_order(tx, order(), b""))
        assert len(await store.read(lambda tx: list_orders(tx, 0, 9))) == 1


async def test_what_is_written_first_waits_for_nothing_but_what_is_under_way(engine: Engine) -> None:
    done: list[str] = []
    is_under_way, may_go_on = threading.Event(), threading.Event()

    def holding(_tx: Transaction) -> None:
        if not is_under_way.is_set():  # a group may be tried twice
            is_under_way.set()
            may_go_on.wait(60)

    async with engine.open() as store, anyio.create_task_group() as group:
        group.start_soon(store.write, holding)
        await anyio.to_thread.run_sync(is_under_way.wait)
        group.start_soon(store.write, lambda _: done.append("unit"))
        group.start_soon(store.write_bulk, lambda _: done.append("bulk"))
        await anyio.wait_all_tasks_blocked()
        group.start_soon(store.write_first, lambda _: done.append("first"))
        await anyio.wait_all_tasks_blocked()
        may_go_on.set()
    assert done[0] == "first"
    assert set(done) == {"first", "unit", "bulk"}


@pytest.mark.parametrize("call", ["write", "write_bulk", "write_first"])
async def test_what_was_handed_over_is_written_when_the_store_closes(engine: Engine, call: str) -> None:
    async with engine.open() as store, anyio.create_task_group() as group:
        for number in range(300):
            group.start_soon(getattr(store, call), lambda tx, n=number: insert_order(tx, order(str(n)), b""))
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()
    async with engine.open() as store:
        assert len(await store.read(lambda tx: list_orders(tx, 0, 999))) == 300


async def test_a_bulk_unit_that_raises_undoes_itself_alone(engine: Engine) -> None:
    def failing(tx: Transaction) -> None:
        insert_order(tx, order("bad"), b"")
        raise ValueError("its own fault")

    async with engine.open() as store:
        with pytest.raises(ValueError, match="its own fault"):
            await store.write_bulk(failing)
        await store.write_bulk(lambda tx: insert_order(tx, order("good"), b""))
        assert [each.id for each in await store.read(lambda tx: list_orders(tx, 0, 9))] == ["good"]


async def test_a_closed_store_refuses_at_once(engine: Engine) -> None:
    async with engine.open() as store:
        pass
    with pytest.raises(StoreError):
        await store.write(lambda tx: None)


async def test_the_url_names_the_store_without_secrets(engine: Engine) -> None:
    async with engine.open() as store:
        assert store.url.startswith(engine.name)
        assert "@" not in store.url


async def test_many_rows_at_once_are_numbered_in_their_order(engine: Engine) -> None:
    async with engine.open() as store:
        await store.write(lambda tx: append_event(tx, NOW, "before"))
        sql = "INSERT INTO events (at, type, data) VALUES (?, ?, ?)"
        names = [f"n{number}" for number in range(50)]
        cursors = await store.write(lambda tx: tx.insert_many(sql, [(NOW, name, "{}") for name in names]))
        assert await store.write(lambda tx: tx.insert_many(sql, [])) == []
        events = await store.read(lambda tx: list_events(tx, 1, 99))
        assert [(event.cursor, event.type) for event in events] == list(zip(cursors, names, strict=True))


async def test_a_notice_reaches_whoever_listens_on_its_channel_by_then(engine: Engine) -> None:
    async with engine.open() as store:
        await store.notify("a", "before anybody listened")
        async with store.listen("a") as one, store.listen("a") as other, store.listen("b") as apart:
            for channel, text in (("a", "first"), ("a", "second"), ("b", "third")):
                await store.notify(channel, text)
            with anyio.fail_after(60):
                assert [await anext(one), await anext(one)] == ["first", "second"]
                assert [await anext(other), await anext(other)] == ["first", "second"]
                assert await anext(apart) == "third"
        await store.notify("a", "after they left")


async def test_who_waits_for_a_notice_is_woken_by_it(engine: Engine) -> None:
    async with engine.open() as store, store.listen("a") as notices:
        received: list[str] = []

        async def receive() -> None:
            received.append(await anext(notices))

        async with anyio.create_task_group() as group:
            group.start_soon(receive)
            await anyio.wait_all_tasks_blocked()
            assert received == []
            await store.notify("a", "now")
        assert received == ["now"]
