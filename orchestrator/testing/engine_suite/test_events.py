"""The feed: cursors in commit order without gaps, consumers that never go back."""

from __future__ import annotations

import anyio
import pytest

from orchestrator.testing.engine_suite.scratch import NOW, Engine
from storage.events import (
    EventFilter,
    acknowledge,
    append_event,
    consumer_cursor,
    cursor_before,
    cursor_before_newest,
    last_cursor,
    list_consumers,
    list_events,
)
from storage.records import Event
from storage.retention import EVENTS
from storage.store import Store
from storage.transaction import Transaction


async def publish(store: Store, *types: str) -> list[int]:
    return await store.write(lambda tx: [append_event(tx, NOW, type_) for type_ in types])


async def test_the_newest_events_and_those_from_an_instant_on_have_a_cursor_before_them(engine: Engine) -> None:
    async with engine.open() as store:
        assert await store.read(lambda tx: (cursor_before_newest(tx, 0), cursor_before_newest(tx, 9))) == (0, 0)
        first, second, third = await publish(store, "a", "b", "a")
        late = await store.write(lambda tx: append_event(tx, NOW + 9, "b"))

        def cursors(tx: Transaction) -> list[int]:
            of_a = EventFilter(types=("a",))
            return [
                cursor_before_newest(tx, 0),
                cursor_before_newest(tx, 1),
                cursor_before_newest(tx, 2, of_a),
                cursor_before(tx, NOW),
                cursor_before(tx, NOW + 1),
                cursor_before(tx, NOW + 10),
            ]

        assert await store.read(cursors) == [late, late - 1, first - 1, 0, third, late]
        assert first < second < third < late


async def test_events_come_out_as_they_went_in(engine: Engine) -> None:
    async with engine.open() as store:
        data = {"from": "Nowe", "to": "Wysłane", "problem": None, "attempt": 3}
        cursor = await store.write(
            lambda tx: append_event(tx, NOW, "step.done", shop="acme", order="1", target="t", data=data)
        )
        bare = await store.write(lambda tx: append_event(tx, NOW, "sync.completed"))
        assert await store.read(lambda tx: list_events(tx, 0, 9)) == [
            Event(cursor, NOW, "step.done", "acme", "1", "t", data),
            Event(bare, NOW, "sync.completed", None, None, None, {}),
        ]


async def test_the_feed_begins_at_1_and_an_empty_one_is_at_0(engine: Engine) -> None:
    async with engine.open() as store:
        assert await store.read(last_cursor) == 0
        assert await publish(store, "a", "b") == [1, 2]
        assert await store.read(last_cursor) == 2


async def test_pages_begin_after_a_cursor_and_filters_narrow(engine: Engine) -> None:
    async with engine.open() as store:

        def unit(tx: Transaction) -> None:
            append_event(tx, NOW, "a", shop="acme", order="1")
            append_event(tx, NOW, "b", shop="acme", order="2")
            append_event(tx, NOW, "a", shop="other", order="1")
            append_event(tx, NOW, "c", shop="acme")

        await store.write(unit)
        expected: list[tuple[int, int, EventFilter, list[int]]] = [
            (0, 9, EventFilter(), [1, 2, 3, 4]),
            (2, 9, EventFilter(), [3, 4]),
            (0, 2, EventFilter(), [1, 2]),
            (4, 9, EventFilter(), []),
            (0, 9, EventFilter(shop="acme"), [1, 2, 4]),
            (0, 9, EventFilter(shop="acme", order="1"), [1]),
            (0, 9, EventFilter(types=("a", "c")), [1, 3, 4]),
            (1, 1, EventFilter(types=("a", "c")), [3]),
        ]
        for after, limit, wanted, cursors in expected:
            found = await store.read(
                lambda tx, a=after, n=limit, w=wanted: list_events(tx, a, n, w)  # type: ignore[misc]
            )
            assert [event.cursor for event in found] == cursors, (after, limit, wanted)


async def test_a_reader_never_misses_an_event_below_its_cursor(engine: Engine) -> None:
    """Writers that fail, are cancelled and overlap; a reader that goes on from its cursor sees each event once."""
    writers, rounds = 8, 25
    async with engine.open() as store:
        kept: list[int] = []
        read: list[int] = []

        def failing(tx: Transaction) -> None:
            append_event(tx, NOW, "lost")
            raise LookupError

        async def write(number: int) -> None:
            for turn in range(rounds):
                if (number + turn) % 5 == 0:
                    with pytest.raises(LookupError):
                        await store.write(failing)
                else:
                    kept.extend(await publish(store, "x", "y"))

        async def follow() -> None:
            while page := await store.read(lambda tx: list_events(tx, read[-1] if read else 0, 7)):
                read.extend(event.cursor for event in page)

        async with anyio.create_task_group() as group:
            done = anyio.Event()

            async def reader() -> None:
                while not done.is_set():
                    await follow()

            group.start_soon(reader)
            async with anyio.create_task_group() as writing:
                for number in range(writers):
                    writing.start_soon(write, number)
            done.set()
        await follow()
        assert read == sorted(kept)
        assert read == list(range(1, len(kept) + 1)), "what was rolled back leaves no gap"


async def test_cursors_grow_whatever_is_deleted(engine: Engine) -> None:
    async with engine.open() as store:
        await publish(store, "a", "b")
        assert await store.write(lambda tx: EVENTS.forget(tx, [(1,), (2,)], NOW + 1)) == 2
    async with engine.open() as store:
        assert await publish(store, "c") == [3]


async def test_a_consumer_goes_forward_and_never_back(engine: Engine) -> None:
    async with engine.open() as store:
        assert await store.read(lambda tx: consumer_cursor(tx, "erp")) == 0
        assert await store.write(lambda tx: acknowledge(tx, "erp", 5, NOW)) == 5
        assert await store.write(lambda tx: acknowledge(tx, "erp", 3, NOW + 1)) == 5
        assert await store.write(lambda tx: acknowledge(tx, "erp", 5, NOW + 2)) == 5
        assert await store.write(lambda tx: acknowledge(tx, "erp", 8, NOW + 3)) == 8
        assert await store.write(lambda tx: acknowledge(tx, "bi", 1, NOW)) == 1
        await store.write(lambda tx: acknowledge(tx, ".ready", 7, NOW))  # what the daemon keeps for itself
        assert await store.read(list_consumers) == [("bi", 1, NOW), ("erp", 8, NOW + 3)]
