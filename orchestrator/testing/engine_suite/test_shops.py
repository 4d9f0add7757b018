"""Shop rows: pauses, the admission's wait, the sync position, the lease and its fence."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.testing.engine_suite.scratch import NOW, Engine
from storage.errors import StaleLease
from storage.leases import acquire, fence, release
from storage.records import Shop
from storage.shops import (
    get_shop,
    list_shops,
    pause_shop,
    resume_shop,
    save_admission,
    save_credentials,
    save_sync,
    save_sync_error,
)
from storage.store import Store


async def shop(store: Store, name: str = "acme") -> Shop:
    found = await store.read(lambda tx: get_shop(tx, name))
    assert found is not None
    return found


async def taken(store: Store, name: str = "acme", holder: str = "a") -> Shop:
    found = await store.write(lambda tx: acquire(tx, name, "example", holder))
    assert found is not None
    return found


async def test_a_taken_shop_begins_with_nothing_known(engine: Engine) -> None:
    async with engine.open() as store:
        assert await store.read(lambda tx: get_shop(tx, "acme")) is None
        new = await taken(store)
        assert new == Shop(
            "acme", "example", None, None, None, None, None, None, "closed", None, None, None, None, "a", 1
        )
        await taken(store, "aaa")
        assert [each.name for each in await store.read(list_shops)] == ["aaa", "acme"]


async def test_whoever_takes_a_lease_fences_the_holder_before(engine: Engine) -> None:
    async with engine.open() as store:
        first = await taken(store, holder="a")
        second = await taken(store, holder="b")
        assert second.lease_epoch > first.lease_epoch
        assert (await shop(store)).lease_holder == "b"
        await store.write(lambda tx: fence(tx, "acme", second.lease_epoch))
        for epoch in (first.lease_epoch, second.lease_epoch + 1):
            with pytest.raises(StaleLease):
                await store.write(lambda tx, epoch=epoch: fence(tx, "acme", epoch))  # type: ignore[misc]
        with pytest.raises(StaleLease):
            await store.write(lambda tx: fence(tx, "unknown", 1))


async def test_only_the_holder_gives_a_lease_up(engine: Engine) -> None:
    async with engine.open() as store:
        first, second = await taken(store, holder="a"), await taken(store, holder="b")
        await store.write(lambda tx: release(tx, "acme", first.lease_epoch))
        assert (await shop(store)).lease_holder == "b"
        await store.write(lambda tx: release(tx, "acme", second.lease_epoch))
        given_up = await shop(store)
        assert given_up.lease_holder is None
        assert (await taken(store)).lease_epoch > second.lease_epoch, "an epoch never comes again"


async def test_a_pause_is_a_row_and_a_person_outranks_refused_credentials(engine: Engine) -> None:
    async with engine.open() as store:
        await taken(store)
        assert await store.write(lambda tx: pause_shop(tx, "acme", "access_denied", "401", NOW))
        assert not await store.write(lambda tx: pause_shop(tx, "acme", "access_denied", "again", NOW + 1))
        assert await store.write(lambda tx: pause_shop(tx, "acme", "person", "stocktaking", NOW + 2))
        assert not await store.write(lambda tx: pause_shop(tx, "acme", "access_denied", "401", NOW + 3))
        assert not await store.write(lambda tx: pause_shop(tx, "acme", "person", "again", NOW + 4))
    async with engine.open() as store:
        await taken(store)
        paused = await shop(store)
        assert (paused.paused_at, paused.paused_by, paused.paused_reason) == (NOW + 2, "person", "stocktaking")
        assert await store.write(lambda tx: resume_shop(tx, "acme"))
        assert not await store.write(lambda tx: resume_shop(tx, "acme"))
        assert (await shop(store)).paused_at is None
        assert not await store.write(lambda tx: pause_shop(tx, "unknown", "person", "", NOW))


async def test_the_wait_and_the_credentials_survive_a_restart(engine: Engine) -> None:
    async with engine.open() as store:
        await taken(store)
        await store.write(lambda tx: save_admission(tx, "acme", "open", "circuit", NOW + 9, "503 from the platform"))
        await store.write(lambda tx: save_credentials(tx, "acme", "abc"))
    async with engine.open() as store:
        found = await taken(store)
        assert (found.circuit, found.wait_reason, found.wait_until) == ("open", "circuit", NOW + 9)
        assert (found.wait_detail, found.credentials) == ("503 from the platform", "abc")
        await store.write(lambda tx: save_admission(tx, "acme", "closed", None, None, None))
        assert replace(found, circuit="closed", wait_reason=None, wait_until=None, wait_detail=None) == await shop(
            store
        )


async def test_a_failed_sync_keeps_the_position_and_a_good_one_ends_the_error(engine: Engine) -> None:
    async with engine.open() as store:
        await taken(store)
        position = {"updated_at": "2026-10-01 10:00:00", "page": None}
        await store.write(lambda tx: save_sync(tx, "acme", position, NOW))
        await store.write(lambda tx: save_sync_error(tx, "acme", "timed out"))
        failed = await shop(store)
        assert (failed.sync_position, failed.last_sync_at, failed.last_sync_error) == (position, NOW, "timed out")
        await store.write(lambda tx: save_sync(tx, "acme", None, NOW + 1))
        good = await shop(store)
        assert (good.sync_position, good.last_sync_at, good.last_sync_error) == (None, NOW + 1, None)
