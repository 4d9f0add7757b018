"""What the log, the takeovers and the lost nodes say of who had a shop, and why it passed on."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from storage.nodes import Presence
from storage.takeovers import list_takeovers
from tests.support.leasing import (
    Node,
    logged,
    pass_time,
    shared,
)
from tests.support.shopfloor import SHOP

pytestmark = pytest.mark.engines("sqlite", "postgresql")


async def test_who_takes_a_shop_says_from_whom_and_why_it_could(url: str) -> None:
    async with shared(url) as store:
        first, second, third = (Node(store, name) for name in "abc")
        with capture_logs() as lines:
            hold = await first.take()
            assert hold is not None
            await first.leases.release(hold)
            assert await first.take() is not None, "it goes on with its own"
            await first.leases.release(first.holds[SHOP])
            await second.take()
            await pass_time(store)
            await third.take()
        taken = logged(lines, "shop.taken_over")
        assert [(each["node"], each["from"], each["why"], each["epoch"]) for each in taken] == [
            ("a", None, "free", 1),
            ("b", "a", "handed_over", 3),
            ("c", "b", "lease_ended", 4),
        ]
        assert [each["since"] is not None for each in taken] == [False, True, True]
        assert {each["shop"] for each in taken} == {SHOP}
        found = (await store.read(list_takeovers))[SHOP]
        assert (found.holder, found.before, found.why, found.epoch) == ("c", "b", "lease_ended", 4)
        assert found.idle_since is not None
        assert found.idle_since <= found.taken_at


async def test_a_shop_that_a_node_of_an_older_version_had_meanwhile_was_nobodys_that_is_known(url: str) -> None:
    async with shared(url) as store:
        hold = await Node(store, "a").take()
        assert hold is not None
        await store.write(lambda tx: tx.execute("UPDATE shops SET lease_holder = NULL, lease_epoch = 7"))
        with capture_logs() as lines:
            await Node(store, "b").take()
        [taken] = logged(lines, "shop.taken_over")
        assert (taken["from"], taken["why"], taken["epoch"]) == (None, "free", 8)


async def test_who_joins_and_who_is_gone_is_logged_once_by_each_that_lives(url: str) -> None:
    async with shared(url) as store:
        first, left, dead = (Node(store, name) for name in ("a", "left", "dead"))
        for node in (left, dead):
            node.presence = Presence("1", (SHOP,), facts={SHOP: {}})
        with capture_logs() as lines:
            await first.membership.join()
            assert logged(lines, "node.joined") == []
            await left.membership.join()
            await dead.membership.join()
            await first.membership.announce()
            await first.membership.announce()
            assert [each["node"] for each in logged(lines, "node.joined")] == ["dead", "left"]
            del lines[:]
            await left.membership.leave()
            await pass_time(store)
            await first.membership.announce()
            await first.membership.announce()
        gone = logged(lines, "node.gone")
        assert [(each["node"], each["why"], each["shops"]) for each in gone] == [
            ("dead", "heartbeats_ended", (SHOP,)),
            ("left", "left", (SHOP,)),
        ]
        assert all(each["seen_at"].endswith("Z") for each in gone)
        assert logged(lines, "node.joined") == []


async def test_a_node_that_starts_when_all_are_dead_says_which_ones(url: str) -> None:
    async with shared(url) as store:
        await Node(store, "dead").membership.join()
        await pass_time(store)
        with capture_logs() as lines:
            await Node(store, "a").membership.join()
        assert [each["node"] for each in logged(lines, "node.gone")] == ["dead"]


async def test_a_node_that_an_older_version_forgot_is_gone_all_the_same(url: str) -> None:
    async with shared(url) as store:
        first, other = Node(store, "a"), Node(store, "b")
        await first.membership.join()
        await other.membership.join()
        await first.membership.announce()
        await store.write(lambda tx: tx.execute("DELETE FROM nodes WHERE name = 'b'"))
        with capture_logs() as lines:
            await first.membership.announce()
        assert [(each["node"], each["why"]) for each in logged(lines, "node.gone")] == [("b", "unknown")]
