"""Leases: one node at a time works for a shop, and what another one writes is fenced."""

from __future__ import annotations

import pytest

from orchestrator.testing.engine_suite.scratch import NOW, Engine
from storage.errors import StaleLease
from storage.leases import Term, acquire, fence, release, renew
from storage.records import Shop
from storage.store import Store

TERM = Term(NOW, NOW + 15_000)


async def asked(store: Store, holder: str, term: Term | None) -> Shop | None:
    return await store.write(lambda tx: acquire(tx, "acme", "example", holder, term))


async def taken(store: Store, holder: str, term: Term | None = TERM) -> int:
    found = await asked(store, holder, term)
    assert found is not None
    assert found.lease_holder == holder
    return found.lease_epoch


async def test_another_node_has_to_wait_until_the_term_is_over(engine: Engine) -> None:
    async with engine.open() as store:
        epoch = await taken(store, "a")
        for now in (NOW, NOW + 14_999):
            assert await asked(store, "b", Term(now, now + 15_000)) is None
        await store.write(lambda tx: fence(tx, "acme", epoch))
        later = await taken(store, "b", Term(NOW + 15_000, NOW + 30_000))
        assert later > epoch
        with pytest.raises(StaleLease, match="another node works for shop acme now"):
            await store.write(lambda tx: fence(tx, "acme", epoch))


async def test_a_renewed_term_ends_later_and_a_lost_one_is_not_renewed(engine: Engine) -> None:
    async with engine.open() as store:
        epoch = await taken(store, "a")
        await store.write(lambda tx: renew(tx, "acme", epoch, NOW + 20_000))
        assert await asked(store, "b", Term(NOW + 15_000, NOW + 30_000)) is None
        await taken(store, "b", Term(NOW + 20_000, NOW + 35_000))
        with pytest.raises(StaleLease):
            await store.write(lambda tx: renew(tx, "acme", epoch, NOW + 99_000))
        assert await asked(store, "c", Term(NOW + 21_000, NOW + 36_000)) is None


@pytest.mark.parametrize("again", ["a", "b"])
async def test_what_is_released_is_free_at_once_and_its_holder_may_take_it_again(engine: Engine, again: str) -> None:
    async with engine.open() as store:
        epoch = await taken(store, "a")
        if again == "b":
            await store.write(lambda tx: release(tx, "acme", epoch))
        assert await taken(store, again) > epoch


async def test_a_node_that_is_alone_takes_a_lease_from_whoever_had_it_and_without_an_end(engine: Engine) -> None:
    async with engine.open() as store:
        await taken(store, "a")
        alone = await taken(store, "b", None)
        assert await taken(store, "c", TERM) > alone, "a lease without an end is of a node that was alone, and is gone"


async def test_a_term_that_a_clock_far_ahead_has_set_holds_nobody_up(engine: Engine) -> None:
    async with engine.open() as store:
        await taken(store, "a", Term(NOW + 10**9, NOW + 10**9 + 15_000))
        await taken(store, "b", TERM)
