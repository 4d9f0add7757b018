"""A replica that takes over, with or without the newest commits: what is lost is noticed, once, and nothing is done on
rows that are gone."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import anyio
import pytest

from orchestrator.testing.engine_suite.samples import order
from orchestrator.testing.engine_suite.scratch import NOW
from orchestrator.testing.pooler import Pooler, pgbouncer
from storage.changes import Change
from storage.engines import open_store
from storage.errors import StaleLease, StoreUnavailable
from storage.events import append_event, event_rows, list_events
from storage.identity import read_identity
from storage.leases import acquire, acquire_duty, fence
from storage.orders import get_order, insert_order, step_row
from storage.postgres.footing import Found, Known, Loss, judge
from storage.records import Order
from storage.store import Store
from storage.transaction import Published, Transaction
from tests.support.pair import Pair, pairs

__all__ = ["pairs"]


async def again(store: Store, unit: Callable[[Transaction], object]) -> None:
    """Writes as soon as the store can be written."""
    with anyio.fail_after(60):
        while True:
            with suppress(StoreUnavailable):
                await store.write(unit)
                return
            await anyio.sleep(0.05)


async def _kept(store: Store) -> tuple[Order, int]:
    def unit(tx: Transaction) -> tuple[Order, int]:
        shop = acquire(tx, "acme", "example", "here")
        assert acquire_duty(tx, "duty", "here", 60_000) == 1
        assert shop is not None
        return insert_order(tx, order(), b"{}"), shop.lease_epoch

    return await store.write(unit)


async def _told(store: Store) -> list[object]:
    """What the failovers of the feed came to."""
    events = await store.read(lambda tx: list_events(tx, 0, 999))
    assert [each.cursor for each in events] == list(range(1, len(events) + 1))
    return [each.data["loss"] for each in events if each.type == "store.failed_over"]


async def _feed(store: Store) -> str:
    return (await store.read(read_identity)).feed


async def test_commits_that_are_lost_are_noticed_before_anything_else_is_written(
    pairs: Callable[..., Pair],
) -> None:
    pair = pairs()
    async with open_store(pair.through(), NOW) as store:
        kept, epoch = await _kept(store)
        await store.write(lambda tx: append_event(tx, NOW, "kept"))
        feed = await _feed(store)
        pair.lag()
        await store.write(lambda tx: append_event(tx, NOW, "lost"))
        change = Change("acme", "1", epoch, step_row(kept), events=event_rows(NOW, "acme", "1", [("m", None, None)]))
        pair.fail_over()
        assert await _changed(store, change) is False, "decided on what is gone"
        assert await _told(store) == ["certain"]
        found = await store.read(read_identity)
        assert found.feed != feed
        assert found.restored_at is not None
        seen = await store.read(lambda tx: get_order(tx, "acme", "1"))
        assert seen is not None
        assert seen.observed_at == 0, "it is read before anything is sent"


async def test_nodes_that_lost_nothing_go_on_with_the_feed_of_the_one_that_did(pairs: Callable[..., Pair]) -> None:
    pair = pairs()
    async with open_store(pair.through(), NOW) as one, open_store(pair.through(), NOW) as two:
        _, epoch = await _kept(one)
        pair.lag()
        await two.write(lambda tx: append_event(tx, NOW, "lost"))
        pair.fail_over()
        await again(one, lambda tx: append_event(tx, NOW, "after"))
        feed = await _feed(one)
        await again(two, lambda tx: append_event(tx, NOW, "after, too"))
        assert await _feed(two) == feed
        assert await _told(two) == ["possible"], "the feed got another id before the loss was known"
        with pytest.raises(Exception, match="another node"):
            await one.write(lambda tx: fence(tx, "acme", epoch))


@pytest.mark.parametrize("is_alone", [True, False])
async def test_a_server_that_has_it_all_keeps_the_feed_where_that_is_known(
    pairs: Callable[..., Pair], is_alone: bool
) -> None:
    pair = pairs()
    async with open_store(pair.through(), NOW) as store:
        if not is_alone:
            with pair.primary.asked(pair.name) as server:  # a daemon that was killed leaves it
                server.execute("INSERT INTO writers (name, token, began_at) VALUES ('killed', 1, 1)")
        kept, epoch = await _kept(store)
        feed = await _feed(store)
        pair.caught_up()
        pair.fail_over()
        await again(store, lambda tx: append_event(tx, NOW, "after"))
        assert await _told(store) == ["none" if is_alone else "possible"]
        assert (await _feed(store) == feed) is is_alone
        change = Change("acme", "1", epoch, step_row(kept))
        assert await store.change(change) is False
        with pytest.raises(StaleLease):
            await store.write(lambda tx: fence(tx, "duty", 1, "duties"))


async def test_commits_that_wait_for_a_replica_are_not_lost(pairs: Callable[..., Pair]) -> None:
    pair = pairs(is_synchronous=True)
    async with open_store(pair.through(), NOW) as store, open_store(pair.through(), NOW) as killed:
        feed = await _feed(store)
        await killed.write(lambda tx: append_event(tx, NOW, "kept"))
        pair.caught_up()
        pair.fail_over()
        await again(store, lambda tx: append_event(tx, NOW, "after"))
        assert await _told(store) == ["none"]
        assert await _feed(store) == feed


async def test_whether_commits_wait_for_a_replica_is_noted_as_it_changes(pairs: Callable[..., Pair]) -> None:
    pair = pairs()
    async with open_store(pair.through(), NOW) as store:
        for is_synchronous in (True, False):
            pair.wait_for_replica(is_synchronous)
            with anyio.fail_after(60):
                noted = None
                while noted != [(is_synchronous,)]:
                    await anyio.sleep(0.05)  # nothing tells when it is noted
                    noted = await store.read(lambda tx: tx.query("SELECT is_synchronous FROM server"))


async def test_a_failover_while_no_daemon_ran_is_noticed_at_the_next_start(pairs: Callable[..., Pair]) -> None:
    pair = pairs()
    async with open_store(pair.through(), NOW) as store:
        await store.write(lambda tx: append_event(tx, NOW, "kept"))
        feed = await _feed(store)
        pair.lag()
        await store.write(lambda tx: append_event(tx, NOW, "lost"))
    pair.fail_over()
    async with open_store(pair.through(), NOW) as store:
        assert await _told(store) == ["possible"]
        assert await _feed(store) != feed
        feed = await _feed(store)
    async with open_store(pair.through(), NOW) as store:
        assert await _feed(store) == feed
        assert await _told(store) == ["possible"]


async def test_a_pooler_that_is_led_elsewhere_under_an_open_connection_is_noticed(pairs: Callable[..., Pair]) -> None:
    pair = pairs()
    bouncer = Pooler(pgbouncer(), pair.folder)
    try:
        async with open_store(bouncer.before(pair.url), NOW) as store:
            await store.write(lambda tx: append_event(tx, NOW, "kept"))
            feed = await _feed(store)
            with pair.primary.asked(pair.name) as server:
                server.execute("INSERT INTO writers (name, token, began_at) VALUES ('killed', 1, 1)")
            pair.caught_up()
            pair.fail_over()
            await again(store, lambda tx: append_event(tx, NOW, "after"))
            assert await _told(store) == ["possible"]
            assert await _feed(store) != feed
    finally:
        bouncer.stop()


async def _changed(store: Store, change: Change) -> bool:
    with anyio.fail_after(60):
        while True:
            with suppress(StoreUnavailable):
                return await store.change(change)
            await anyio.sleep(0.05)


FOUND = Found("feed", "1/00000001", "1/00000002", is_synchronous=False, others=0, has_newest=True)
KNOWN = Known("feed", Published(1, None, None, None))


@pytest.mark.parametrize(
    ("found", "known", "is_behind", "is_vouched", "loss"),
    [
        (FOUND, KNOWN, False, True, Loss.NONE),
        (FOUND, KNOWN, True, False, Loss.CERTAIN),
        (FOUND._replace(noted="1/00000002"), KNOWN, True, False, Loss.CERTAIN),
        (FOUND._replace(noted="1/00000002"), KNOWN, False, False, None),
        (FOUND._replace(has_newest=False), KNOWN, False, True, Loss.CERTAIN),
        (FOUND._replace(has_newest=False, is_synchronous=True), KNOWN, False, True, Loss.CERTAIN),
        (FOUND._replace(has_newest=False, feed="another", noted="1/00000002"), KNOWN, True, False, None),
        (FOUND._replace(others=1), KNOWN, False, True, Loss.POSSIBLE),
        (FOUND, KNOWN, False, False, Loss.POSSIBLE),
        (FOUND._replace(others=1, is_synchronous=True), KNOWN, False, True, Loss.NONE),
        (FOUND._replace(timeline=None), KNOWN, False, True, None),
        (FOUND._replace(timeline="2/00000001"), KNOWN, False, True, None),
        (FOUND, Known(), False, True, Loss.NONE),
    ],
)
def test_what_is_known_of_a_loss(
    found: Found, known: Known, is_behind: bool, is_vouched: bool, loss: Loss | None
) -> None:
    assert judge(found, known, is_behind=is_behind, is_vouched=is_vouched) is loss
