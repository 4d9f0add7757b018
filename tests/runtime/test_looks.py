"""A node looks at the others when it is notified, and beats in time whatever a look waits for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import anyio

from orchestrator.clock import Clock
from orchestrator.runtime.membership import Membership
from storage.nodes import Presence
from storage.store import Store


class Busy:
    """A store of which no reader is to be had, and that notifies the node once."""

    is_exclusive = False

    def __init__(self) -> None:
        self.asked, self.beaten = anyio.Event(), anyio.Event()

    async def read(self, _: object) -> None:
        self.asked.set()
        await anyio.sleep_forever()

    async def write_first(self, _: object) -> tuple[list[Any], list[Any], list[Any]]:
        self.beaten.set()
        return [], [], []

    async def notify(self, *_: object) -> None:
        """Nobody hears it."""

    @asynccontextmanager
    async def listen(self, _: object) -> AsyncIterator[AsyncIterator[str]]:
        async def notices() -> AsyncIterator[str]:
            yield ""
            await anyio.sleep_forever()

        yield notices()


async def test_a_look_that_waits_for_a_reader_holds_up_no_heartbeat() -> None:
    store = Busy()
    node = Membership(cast("Store", store), "one", Clock(), lambda: Presence("1"), 0.9)
    async with anyio.create_task_group() as group:
        group.start_soon(node.run)
        with anyio.fail_after(60):
            await store.asked.wait()
            store.beaten = anyio.Event()
            await store.beaten.wait()
        group.cancel_scope.cancel()
