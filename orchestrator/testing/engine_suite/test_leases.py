"""Leases: one node at a time works for a shop, and what another one writes is fenced."""

from __future__ import annotations

import pytest

from orchestrator.testing.engine_suite.scratch import Engine
from storage.errors import StaleLease
from storage.leases import LONGEST_TERM_MS, Lease, acquire, fence, lease_of, list_leases, release, renew_all
from storage.records import Shop
from storage.store import Store

TERM_MS = 15_000


async def asked(store: Store, holder: str, term_ms: int | None = TERM_MS, shop: str = "acme") -> Shop | None:
    return await store.write(lambda tx: acquire(tx, shop, "example", holder, term_ms))


async def taken(store: Store, holder: str, term_ms: int | None = TERM_MS, shop: str = "acme") -> int:
    found = await asked(store, holder, term_ms, shop)
    assert found is not None
    assert found.lease_holder == holder
    return found.lease_epoch


async def pass_time(store: Store, ms: int) -> None:
    """As if so much time had passed: every lease ends that much sooner."""
    sql = "UPDATE shops SET lease_expires_at = lease_expires_at - ?"
    await store.write(lambda tx: tx.execute(sql, (ms,)))


async def lease(store: Store) -> Lease:
    found = await store.read(lambda tx: lease_of(tx, "acme"))
    assert found is not None
    return found


async def test_another_node_has_to_wait_until_the_term_is_over(engine: Engine) -> None:
    async with engine.open() as store:
        epoch = await taken(store, "a", LONGEST_TERM_MS)
        assert await asked(store, "b") is None
        await store.write(lambda tx: fence(tx, "acme", epoch))
        assert not (await lease(store)).is_over
        await pass_time(store, LONGEST_TERM_MS)
        assert (await lease(store)).is_over
        later = await taken(store, "b")
        assert later > epoch
        with pytest.raises(StaleLease, match="another node works for shop acme now"):
            await store.write(lambda tx: fence(tx, "acme", epoch))


async def test_the_end_of_a_term_is_said_by_the_clock_of_the_database(engine: Engine) -> None:
    async with engine.open() as store:
        await taken(store, "a")
        left = (await lease(store)).left_ms
        assert left is not None
        assert 0 < left <= TERM_MS


async def test_all_leases_of_a_node_are_renewed_at_once_and_no_others(engine: Engine) -> None:
    async with engine.open() as store:
        epochs = {shop: await taken(store, "a", LONGEST_TERM_MS, shop) for shop in ("acme", "xs")}
        await taken(store, "b", LONGEST_TERM_MS, "shopy")
        await pass_time(store, LONGEST_TERM_MS + 1)
        await taken(store, "c", LONGEST_TERM_MS, "xs")
        renewed = await store.write(lambda tx: renew_all(tx, "a", LONGEST_TERM_MS))
        assert renewed == {"acme": epochs["acme"]}, "another node has the other shop by now"
        found = {each.name: (each.holder, each.is_over) for each in await store.read(list_leases)}
        assert found == {"acme": ("a", False), "shopy": ("b", True), "xs": ("c", False)}
        assert await asked(store, "c") is None


@pytest.mark.parametrize("again", ["a", "b"])
async def test_what_is_released_is_free_at_once_and_its_holder_may_take_it_again(engine: Engine, again: str) -> None:
    async with engine.open() as store:
        epoch = await taken(store, "a")
        if again == "b":
            await store.write(lambda tx: release(tx, "acme", epoch))
            assert (await lease(store)).is_over
        assert await taken(store, again) > epoch


async def test_a_release_that_comes_late_changes_nothing(engine: Engine) -> None:
    async with engine.open() as store:
        epoch = await taken(store, "a", 1)
        await pass_time(store, 1)
        later = await taken(store, "b")
        await store.write(lambda tx: release(tx, "acme", epoch))
        assert (await lease(store))[:3] == ("acme", "b", later)


async def test_a_node_that_is_alone_takes_a_lease_from_whoever_had_it_and_without_an_end(engine: Engine) -> None:
    async with engine.open() as store:
        await taken(store, "a")
        alone = await taken(store, "b", None)
        assert await taken(store, "c") > alone, "a lease without an end is of a node that was alone, and is gone"


async def test_a_term_that_a_clock_far_ahead_has_set_holds_nobody_up_for_longer_than_one(engine: Engine) -> None:
    async with engine.open() as store:
        epoch = await taken(store, "a")
        await pass_time(store, -LONGEST_TERM_MS)
        assert not (await lease(store)).is_over, "whoever has it may live, and measures it by a clock of its own"
        assert await asked(store, "b") is None
        assert await store.write(lambda tx: renew_all(tx, "b", TERM_MS)) == {}
        assert (await lease(store))[1:3] == ("a", epoch)
        await pass_time(store, TERM_MS)
        await taken(store, "b")


async def test_a_shop_that_the_store_does_not_have_has_no_lease(engine: Engine) -> None:
    async with engine.open() as store:
        assert await store.read(lambda tx: lease_of(tx, "acme")) is None
        with pytest.raises(StaleLease):
            await store.write(lambda tx: fence(tx, "acme", 1))
