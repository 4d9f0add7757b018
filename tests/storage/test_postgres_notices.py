"""Notices from process to process: gathered, so that however many there are they cost the database little."""

from __future__ import annotations

import json
from collections.abc import Sequence

import anyio

from orchestrator.testing import postgres
from orchestrator.testing.engine_suite.scratch import NOW
from storage.engines import open_store
from storage.errors import StoreUnavailable
from storage.postgres.notices import Notices
from tests.support.notices import heard


class Wire:
    """What is sent, a list for each statement. A statement takes until `release`; `is_down`: it fails."""

    def __init__(self) -> None:
        self.sent: list[list[str]] = []
        self.is_down = False
        self._released, self.began = anyio.Semaphore(0), anyio.Semaphore(0)

    async def send(self, _channel: str, notices: Sequence[str]) -> None:
        self.began.release()
        await self._released.acquire()
        if self.is_down:
            raise StoreUnavailable("no connection")
        self.sent.append([json.loads(notice)[2] for notice in notices])

    def release(self) -> None:
        self._released.release()


async def test_what_gathers_while_notices_are_on_their_way_goes_with_the_next_each_once() -> None:
    notices, wire = Notices({}, "here", "me"), Wire()
    async with anyio.create_task_group() as group:
        group.start_soon(notices.send_to_others, wire.send)
        notices.notify_all("due", "first")
        await wire.began.acquire()
        for _ in range(500):
            for shop in ("acme", "other"):
                notices.notify_all("due", shop)
        wire.release()
        await wire.began.acquire()
        wire.release()
        await anyio.wait_all_tasks_blocked()
        assert wire.sent == [["first"], ["acme", "other"]]
        group.cancel_scope.cancel()


async def test_notices_that_nobody_takes_are_let_go_and_those_after_them_are_sent() -> None:
    notices, wire = Notices({}, "here", "me"), Wire()
    async with anyio.create_task_group() as group:
        group.start_soon(notices.send_to_others, wire.send)
        wire.is_down = True
        notices.notify_all("due", "lost")
        await wire.began.acquire()
        for number in range(5000):  # more than may wait
            notices.notify_all("due", str(number))
        notices.notify_all("due", "x" * 9000)  # more than the server takes
        wire.release()
        await wire.began.acquire()
        wire.is_down = False
        wire.release()
        await anyio.wait_all_tasks_blocked()
        assert wire.sent == [[str(number) for number in range(1000)]]
        group.cancel_scope.cancel()


async def test_what_was_on_its_way_when_a_store_closes_is_sent_again() -> None:
    notices, wire = Notices({}, "here", "me"), Wire()
    async with anyio.create_task_group() as group:
        group.start_soon(notices.send_to_others, wire.send)
        notices.notify_all("given_up", "acme")
        await wire.began.acquire()
        notices.notify_all("given_up", "other")
        group.cancel_scope.cancel()
        wire.release()
    assert wire.sent == [["acme", "other"]]


async def test_what_waits_when_a_store_closes_is_still_sent() -> None:
    """A node that ends gives its shops to others at once."""
    url = postgres.server().database()
    async with open_store(url, NOW) as two, two.listen("given_up") as notices:

        async def send() -> None:
            async with open_store(url, NOW) as one:
                await one.notify("given_up", "acme")

        await heard(notices, "acme", send)
    postgres.server().forget()
