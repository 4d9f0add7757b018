"""Receivers of several nodes' events: one node pushes to each, whoever commits and wherever a person operates it."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import anyio
from anyio.abc import TaskGroup

from orchestrator.clock import Chance, Clock
from orchestrator.operations.feed_watch import FeedWatch
from orchestrator.push.deliveries import Deliveries
from orchestrator.runtime.duties import Duties
from orchestrator.runtime.membership import Membership
from orchestrator.testing.engine_suite.scratch import NOW
from storage.deliveries import delivery_state
from storage.engines import open_store
from storage.events import append_event, last_cursor
from storage.leases import list_leases
from storage.nodes import Presence
from storage.store import Commits, Store
from storage.transaction import Transaction
from tests.push.erp import Erp, running_erp, settings
from tests.support.nodes import NEVER_SECONDS, database, listening

TERM_SECONDS = 200.0  # no lease ends by itself here


class Node:
    """One of several, as far as pushes need it."""

    def __init__(self, store: Store, commits: Commits, number: int, receiver: Erp) -> None:
        self.store, self.scope = store, anyio.CancelScope()
        clock, chance = Clock(), Chance(random.Random(number))
        self.membership = Membership(store, f"node{number}", clock, self._presence, TERM_SECONDS)
        self.duties = Duties(store, self.membership, clock)
        chosen = settings(receiver, products_url=receiver.url("/products"))
        self.deliveries = Deliveries(chosen, store, clock, chance, duties=self.duties, first_wait_seconds=0.01)
        self.watch = FeedWatch(store, self.deliveries.wake, poll_seconds=NEVER_SECONDS)
        commits.follow(self.deliveries.wake)
        commits.follow(self.watch.note)

    def _presence(self) -> Presence:
        return Presence("1", (), duties=tuple(self.duties.names))

    async def run(self) -> None:
        with self.scope:
            await self.membership.join()
            self.watch.begin(await self.store.read(last_cursor))
            async with anyio.create_task_group() as group:
                for task in (self.membership.run, self.watch.run, self.deliveries.run):
                    group.start_soon(task)
        with anyio.CancelScope(shield=True):
            await self.membership.leave()

    async def publish(self, *orders: str) -> None:
        def unit(tx: Transaction) -> None:
            for order in orders:
                append_event(tx, NOW, "order.updated", shop="acme", order=order)

        await self.store.write(unit)


@asynccontextmanager
async def pushing(count: int = 2) -> AsyncIterator[tuple[Erp, list[Node], TaskGroup]]:
    with database() as url:
        async with AsyncExitStack() as stack:
            receiver = await stack.enter_async_context(running_erp())
            found = []
            for number in range(count):
                commits = Commits()
                store = await stack.enter_async_context(open_store(url, NOW, on_commit=commits))
                found.append(Node(store, commits, number, receiver))
            for node in found:
                await listening((found[-1] if node is found[0] else found[0]).store, node.store)
            async with anyio.create_task_group() as group:
                for node in found:
                    group.start_soon(node.run)
                await spread(found)
                yield receiver, found, group
                for node in found:
                    node.scope.cancel()


async def spread(nodes: list[Node]) -> None:
    """Returns once each has a receiver: one that is handed over meanwhile may get an event twice."""

    def holders(tx: Transaction) -> set[str | None]:
        return {lease.holder for lease in list_leases(tx, "duties")} - {None}

    with anyio.fail_after(60):
        while len(await nodes[0].store.read(holders)) < len(nodes):  # noqa: ASYNC110 - nothing announces it
            await anyio.sleep(0.01)


def cursors(receiver: Erp) -> list[int]:
    return [delivered.cursor for delivered in receiver.taken]


async def test_each_event_is_pushed_once_whichever_node_commits_it() -> None:
    async with pushing() as (receiver, nodes, _):
        for number in range(12):
            await nodes[number % 2].publish("1", str(number))
        await receiver.until(lambda _: len(receiver.taken) >= 24)
        assert sorted(cursors(receiver)) == list(range(1, 25))
        of_one = [delivered.cursor for delivered in receiver.taken if delivered.body["order"] == "1"]
        assert of_one == sorted(of_one)


async def test_the_other_node_goes_on_when_the_one_that_pushes_ends() -> None:
    async with pushing() as (receiver, (one, two), _):
        await one.publish("1")
        await receiver.until(lambda _: bool(receiver.taken))
        one.scope.cancel()
        await two.publish("1", "2")
        await receiver.until(lambda _: len(set(cursors(receiver))) == 3)
        assert list(dict.fromkeys(cursors(receiver))) in ([1, 2, 3], [1, 3, 2]), "what was under way may come twice"


async def test_a_receiver_is_paused_resumed_and_replayed_at_any_node() -> None:
    """At both nodes in turn: one of them does not push."""
    async with pushing() as (receiver, nodes, _):
        for node in nodes:
            seen = len(receiver.taken)
            await node.publish("1", "2")
            await receiver.until(lambda _: len(receiver.taken) >= seen + 2)  # noqa: B023 - awaited in this turn
            assert await node.deliveries.pause("orders_url")
            state = await node.store.read(lambda tx: delivery_state(tx, "orders_url"))
            assert state.paused_at is not None
            await node.publish("3")
            newest = await node.store.read(last_cursor)
            assert await node.deliveries.resume("orders_url")
            await receiver.until(lambda _: newest in cursors(receiver))  # noqa: B023
            receiver.taken.clear()
            await node.deliveries.replay("orders_url", 0)
            await receiver.until(lambda _: set(cursors(receiver)) == set(range(1, newest + 1)))  # noqa: B023


async def test_what_a_person_sends_again_goes_out_from_any_node() -> None:
    async with pushing() as (receiver, nodes, _):
        await nodes[0].publish("1")
        await receiver.until(lambda _: bool(receiver.taken))
        for number, node in enumerate(nodes, 2):
            sent = None
            with anyio.fail_after(60):
                while sent is None:  # until the round of the other node is written down
                    sent = await node.deliveries.send("orders_url", 1)
            assert sent.made.status == 204
            assert cursors(receiver) == [1] * number
