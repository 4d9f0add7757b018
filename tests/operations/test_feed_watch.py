"""Who waits for the feed at one node is woken by what another node commits; by a notice, or else by a look now and
then. Where a notice has to do it the look is an hour away."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

import anyio
import pytest

from orchestrator.clock import Clock
from orchestrator.decisions.refusals import Refused
from orchestrator.operations.feed import Feed
from orchestrator.operations.feed_watch import FeedWatch
from orchestrator.operations.queries import Queries
from orchestrator.runtime.reports import ShopFacts
from orchestrator.testing import postgres
from orchestrator.testing.engine_suite.samples import order
from orchestrator.testing.engine_suite.scratch import NOW
from storage.changes import Change
from storage.engines import open_store
from storage.events import EventFilter, append_event, event_rows, last_cursor
from storage.identity import feed_id
from storage.leases import acquire
from storage.orders import insert_order, step_row
from storage.store import Commits, Store
from storage.transaction import Published, Row, Transaction
from tests.support.nodes import NEVER_SECONDS, Deaf, listening


class Facts:
    """A node that has no shop."""

    node, pid, started_at, is_draining, is_ready = "here", 1, NOW, False, True

    def shops(self) -> Mapping[str, ShopFacts]:
        return {}


@pytest.fixture
def url() -> Iterator[str]:
    yield postgres.server().store()
    postgres.server().forget()


class Node:
    """One node as far as readers of the feed need it."""

    def __init__(self, store: Store, commits: Commits, poll_seconds: float) -> None:
        self.store, self.feed = store, Feed()
        self.of_others: list[Published] = []
        self.watch = FeedWatch(store, self._elsewhere, poll_seconds=poll_seconds, replaced=self.feed.restart)
        self.queries = Queries(store, Facts(), self.feed, Clock())
        commits.follow(self.feed.publish)
        commits.follow(self.watch.note)

    def _elsewhere(self, published: list[Published]) -> None:
        self.of_others += published
        self.feed.publish(published)

    async def publish(self, *types: str) -> None:
        def unit(tx: Transaction) -> None:
            for type_ in types:
                append_event(tx, NOW, type_)

        await self.store.write(unit)

    async def read(self, after: int, limit: int = 100) -> list[int]:
        """The cursors of a page, once there is one."""
        page = await self.queries.events(after, limit, EventFilter(), NEVER_SECONDS)
        return [event.cursor for event in page.events]


@asynccontextmanager
async def nodes(
    url: str, count: int, poll_seconds: float = NEVER_SECONDS, *, deaf: bool = False
) -> AsyncIterator[list[Node]]:
    async with AsyncExitStack() as stack:
        found = []
        for _ in range(count):
            commits = Commits()
            store = await stack.enter_async_context(open_store(url, NOW, on_commit=commits))
            found.append(Node(Deaf(store) if deaf else store, commits, poll_seconds))  # type: ignore[arg-type]
        async with anyio.create_task_group() as group:
            for node in found:
                node.feed.last_cursor = await node.store.read(last_cursor)
                node.watch.begin(node.feed.last_cursor)
                group.start_soon(node.watch.run)
            yield found
            group.cancel_scope.cancel()


async def test_a_long_poll_is_woken_by_what_another_node_commits(url: str) -> None:
    async with nodes(url, 2) as (one, two):
        with anyio.fail_after(60):
            await listening(one.store, two.store)
            async with anyio.create_task_group() as group:

                async def wait() -> None:
                    assert await two.read(0) == [1, 2]

                group.start_soon(wait)
                await anyio.wait_all_tasks_blocked()
                await one.publish("a", "b")
        assert two.feed.last_cursor == 2
        assert one.of_others == []


async def test_who_waits_for_a_target_is_woken_by_the_node_that_drives_it(url: str) -> None:
    async with nodes(url, 2) as (one, two):
        with anyio.fail_after(60):
            await listening(one.store, two.store)
            with two.feed.watching("t1") as watch, two.feed.watching("t2") as other:
                async with anyio.create_task_group() as group:
                    group.start_soon(watch.changed)
                    await anyio.wait_all_tasks_blocked()
                    await one.store.write(lambda tx: append_event(tx, NOW, "target.reached", shop="s", target="t1"))
                with anyio.move_on_after(0) as scope:
                    await other.changed()
                assert scope.cancelled_caught


async def test_a_lost_notice_is_made_good_by_looking(url: str) -> None:
    async with nodes(url, 2, poll_seconds=0.01, deaf=True) as (one, two):
        with anyio.fail_after(60):
            await one.publish("a")
            assert await two.read(0) == [1]


async def test_what_others_committed_before_our_own_commit_is_not_passed_over(url: str) -> None:
    """Our own commit shows that there is something of others before it, whatever became of their notice."""
    async with nodes(url, 2, deaf=True) as (one, two):
        with anyio.fail_after(60):
            with two.feed.watching("t1") as watch:
                await one.store.write(lambda tx: append_event(tx, NOW, "target.reached", shop="s", target="t1"))
                await two.publish("ours")
                await watch.changed()
            await one.publish("theirs")
        assert [event.cursor for event in two.of_others if event.target == "t1"] == [1]


async def test_a_reader_at_each_node_runs_through_what_all_of_them_write(url: str) -> None:
    """Units and changes, some of them undone: each reader gets each event once, in order, and waits for none again."""
    rounds, writers = 12, 3

    async def write(node: Node, shop: str) -> None:
        def begin(tx: Transaction) -> Row:
            acquire(tx, shop, "example", "here")
            return step_row(insert_order(tx, order(shop=shop), b"{}"))

        row = await node.store.write(begin)
        for number in range(rounds):
            stale = Change(shop, "1", 99, row, events=event_rows(NOW, shop, "1", [("never", None, None)]))
            async with anyio.create_task_group() as group:
                group.start_soon(node.publish, f"{shop}.{number}", f"{shop}.{number}+")
                group.start_soon(node.store.change, stale)
                group.start_soon(node.publish, f"{shop}.{number}")

    async def follow(node: Node, seen: list[int]) -> None:
        while len(seen) < 3 * rounds * writers:
            seen += await node.read(seen[-1] if seen else 0, 7)

    async with nodes(url, writers) as found:
        seen: list[list[int]] = [[] for _ in found]
        with anyio.fail_after(60):
            for node in found:
                await listening((found[0] if node is not found[0] else found[1]).store, node.store)
            async with anyio.create_task_group() as group:
                for number, node in enumerate(found):
                    group.start_soon(write, node, f"s{number}")
                    group.start_soon(follow, node, seen[number])
        assert seen == [list(range(1, 3 * rounds * writers + 1))] * writers


async def test_who_waits_with_a_cursor_of_a_feed_that_was_replaced_is_refused(url: str) -> None:
    """The database lost what it had confirmed: cursors of before are those of other events now."""

    async def refused(node: Node, cursor: int, feed: str | None) -> None:
        with pytest.raises(Refused, match="cursor"):
            await node.queries.events(cursor, 10, EventFilter(), NEVER_SECONDS, feed)

    async with nodes(url, 1, 0.02) as (node,):
        await node.publish("a", "b", "c")
        old = await node.store.read(feed_id)
        page = await node.queries.events(0, 10, EventFilter())
        assert page.next == 3
        with anyio.fail_after(60):
            async with anyio.create_task_group() as group:
                group.start_soon(refused, node, 3, None)
                group.start_soon(refused, node, 3, old)
                await anyio.wait_all_tasks_blocked()

                def unit(tx: Transaction) -> None:
                    tx.execute("UPDATE store_identity SET feed = 'new'")
                    tx.execute("DELETE FROM events WHERE cursor > 2")

                await node.store.write(unit)
        assert node.feed.last_cursor == 2
        assert (await node.queries.events(1, 10, EventFilter())).next == 2
