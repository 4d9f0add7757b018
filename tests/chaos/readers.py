"""Readers of the feed, by page, by long poll, by stream and as a consumer, held against each other."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import anyio

from tests.chaos.talk import call
from tests.chaos.world import World
from tests.support.process import Unreachable


@dataclass
class Feed:
    """What all readers together saw. A cursor means one event for ever, whoever reads it and whenever."""

    world: World
    events: dict[int, dict[str, Any]] = field(default_factory=dict)
    read: dict[str, list[int]] = field(default_factory=dict)
    """The cursors that each reader saw, as it saw them."""

    def take(self, reader: str, event: dict[str, Any]) -> None:
        """An event that a reader was given."""
        cursor = event["cursor"]
        known = self.events.setdefault(cursor, event)
        if known != event:
            self.world.broken("a cursor is never another event", f"{reader} read {event}, known was {known}")
        self.read.setdefault(reader, []).append(cursor)

    def after(self, reader: str) -> int:
        """Where the reader is."""
        return (self.read.get(reader) or [0])[-1]


async def by_page(world: World, feed: Feed) -> None:
    """Small pages, one after another."""
    rng = world.settings.rng("pages")
    await _pages(world, feed, "pages", lambda: f"limit={rng.randint(1, 30)}", 0.1)


async def by_long_poll(world: World, feed: Feed) -> None:
    """Waits for each page."""
    await _pages(world, feed, "long poll", lambda: "limit=1000&wait=5", 0.01)


async def _pages(world: World, feed: Feed, reader: str, asked: Any, pause_seconds: float) -> None:
    while True:
        await anyio.sleep(pause_seconds)
        try:
            answer = await call(world, "GET", f"/v1/events?after={feed.after(reader)}&{asked()}")
        except Unreachable:
            continue
        if answer.status == 200:
            for event in answer.body["events"]:
                feed.take(reader, event)
        elif answer.status != 503:
            world.broken("a cursor stays good", f"{reader} at {feed.after(reader)}: {answer}")


async def by_consumer(world: World, feed: Feed) -> None:
    """The daemon keeps the cursor. What was read and not acknowledged comes again, nothing else does."""
    rng = world.settings.rng("consumer")
    acknowledged = sent = 0
    while True:
        await anyio.sleep(0.1)
        try:
            answer = await call(world, "GET", "/v1/consumers/chaos/events?limit=50")
            if answer.status != 200 or not answer.body["events"]:
                continue
            cursors = [event["cursor"] for event in answer.body["events"]]
            if not acknowledged < cursors[0] or (sent and cursors[0] > sent + 1):
                world.broken("a consumer misses nothing", f"acknowledged {acknowledged}, sent {sent}, got {cursors[0]}")
            for event in answer.body["events"]:
                feed.take("consumer (with repeats)", event)
            if rng.random() < 0.7:
                sent = max(sent, cursors[-1])
                answer = await call(world, "POST", "/v1/consumers/chaos/ack", {"cursor": cursors[-1]})
                acknowledged = cursors[-1] if answer.status == 200 else acknowledged
        except Unreachable:
            continue


async def by_stream(world: World, feed: Feed) -> None:
    """Server-sent events, resumed from the last one whenever the stream ends."""
    while True:
        await anyio.sleep(0.05)
        connector = aiohttp.UnixConnector(str(world.any_node().socket))
        headers = {"Accept": "text/event-stream", "Last-Event-ID": str(feed.after("stream"))}
        try:
            async with (
                aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(sock_read=10)) as session,
                session.get("http://localhost/v1/events", headers=headers) as response,
            ):
                if response.status == 200:
                    await _follow(feed, response)
                elif response.status != 503:
                    world.broken("a cursor stays good", f"stream: {response.status} {await response.text()}")
        except (OSError, aiohttp.ClientError, TimeoutError):
            world.did["stream ended"] += 1


async def _follow(feed: Feed, response: aiohttp.ClientResponse) -> None:
    """Takes whole messages only: a stream that is cut off may end in the middle of one."""
    data = b""
    while line := await response.content.readline():
        if line.startswith(b"data:"):
            data += line[5:].strip()
        elif not line.strip() and data:
            feed.take("stream", json.loads(data))
            data = b""
