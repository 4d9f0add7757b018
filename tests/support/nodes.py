"""Several nodes in one process: a store each on one PostgreSQL database, with everything that a daemon has behind its
API. The first one has the shops; the others take them when it ends."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Final, cast

import anyio
import pytest
from anyio.abc import TaskGroup

from orchestrator.checkpoints import Checkpoints
from orchestrator.clock import Chance, Clock
from orchestrator.config import Config
from orchestrator.intake import inbox
from orchestrator.intake.inbox import Inbox
from orchestrator.metrics import Metrics
from orchestrator.operations.commands import DaemonCommands, job_runner
from orchestrator.operations.feed import Feed
from orchestrator.operations.feed_watch import FeedWatch
from orchestrator.runtime import dispatcher, wakeups
from orchestrator.runtime.supervisor import Supervisor
from orchestrator.testing import postgres
from statemachines.target import TargetRequest
from storage.engines import open_store
from storage.events import last_cursor
from storage.records import Target
from storage.store import Commits, Store
from storage.targets import get_target
from storage.transaction import Published
from tests.support.committed import Committed

NEVER_SECONDS: Final = 3600.0
"""How often a node looks by itself where only a notice is to wake it."""


@contextmanager
def looking_every(seconds: float) -> Iterator[None]:
    """Nodes look by themselves only so often."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wakeups, "POLL_SECONDS", seconds)
        patch.setattr(dispatcher, "_LONGEST_REST_SECONDS", NEVER_SECONDS)
        patch.setattr(inbox, "_LONGEST_REST_BESIDE_OTHERS_SECONDS", seconds)
        patch.setattr(job_runner, "_LOOK_SECONDS", seconds)
        yield


@contextmanager
def database() -> Iterator[str]:
    """The URL of an empty store for as long as the block lasts."""
    yield postgres.server().store()
    postgres.server().forget()


async def listening(here: Store, there: Store) -> None:
    """Returns once notices of one reach the other: until a process listens, they are lost."""
    async with there.listen("test") as notices, anyio.create_task_group() as group:
        received = anyio.Event()

        async def receive() -> None:
            await anext(notices)
            received.set()

        group.start_soon(receive)
        while not received.is_set():
            await here.notify("test", "")
            await anyio.sleep(0.02)


class Deaf:
    """A store of a process whose notices nobody receives."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    async def notify(self, channel: str, text: str) -> None:
        """It is lost."""


class Node:
    """One of them. `committed` is signalled by its own commits and those that it follows."""

    def __init__(
        self, store: Store, commits: Commits, committed: Committed, number: int, clock: Clock, poll_seconds: float
    ) -> None:
        self.store, self.name, self.committed = store, f"node{number}", committed
        self._poll_seconds = poll_seconds
        chance, points, self.metrics = Chance(random.Random(number)), Checkpoints(), Metrics()
        self.feed = Feed()
        self.watch = FeedWatch(store, self._elsewhere, poll_seconds=poll_seconds)
        self.supervisor = Supervisor(store, self.name, clock, chance, points, self.metrics)
        self.commands = DaemonCommands(store, self.supervisor, clock, chance, points, self.metrics)
        self.processing = anyio.CancelScope()  # of webhooks
        self.inbox = Inbox(store, self.supervisor.worker, clock, chance)
        commits.follow(self.feed.publish)
        commits.follow(self.watch.note)

    def _elsewhere(self, published: list[Published]) -> None:
        self.feed.publish(published)
        self.committed(0, 0.0)

    async def start(self, group: TaskGroup, config: Config) -> None:
        self.watch.begin(await self.store.read(last_cursor))
        group.start_soon(self.watch.run)
        group.start_soon(self.commands.requests.run, self._poll_seconds)
        group.start_soon(self.commands.jobs.run)
        group.start_soon(self._process_webhooks)
        await self.supervisor.start(group, config)

    async def _process_webhooks(self) -> None:
        with self.processing:
            await self.inbox.run()

    def works_for(self, shop: str) -> bool:
        return self.supervisor.worker(shop) is not None

    async def submit(self, shop: str, order: str, state: str) -> Target:
        return await self.commands.submit(shop, order, TargetRequest.from_json({"state": state}))

    async def finished(self, target: Target) -> Target:
        """Waits until the target has ended or is blocked, by what reaches this node alone."""
        with self.feed.watching(target.id) as watch:
            while True:
                now = await self.store.read(lambda tx: get_target(tx, target.id))
                assert now is not None
                if now.status.is_end or now.status.value == "blocked":
                    return now
                await watch.changed()


@asynccontextmanager
async def nodes(
    url: str,
    config: Config,
    count: int = 2,
    *,
    poll_seconds: float = NEVER_SECONDS,
    clock: Clock | None = None,
    deaf: bool = False,
) -> AsyncIterator[list[Node]]:
    """So many nodes with the same config, notices of each reaching all others (`deaf`: none does); they are drained at
    the end."""
    clock = clock or Clock()
    async with AsyncExitStack() as stack:
        stack.enter_context(looking_every(poll_seconds))
        found = []
        for number in range(count):
            commits, committed = Commits(), Committed()
            opened = open_store(url, clock.now_ms(), on_commit=commits, on_group=committed)
            store = await stack.enter_async_context(opened)
            store = cast("Store", Deaf(store)) if deaf else store
            found.append(Node(store, commits, committed, number, clock, poll_seconds))
        async with anyio.create_task_group() as group:
            for node in found:
                other = found[-1] if node is found[0] else found[0]
                if not deaf:
                    await listening(other.store, node.store)
                await node.start(group, config)
            while not all(node.supervisor.has_others or count == 1 for node in found):  # noqa: ASYNC110 - heartbeats
                await anyio.sleep(0.01)
            try:
                yield found
            finally:
                with anyio.CancelScope(shield=True):
                    for node in found:
                        await node.supervisor.drain(5)
                group.cancel_scope.cancel()
