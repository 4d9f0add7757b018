"""Pages of the feed, and the consumers whose cursor is kept here.

Waiting happens between snapshots of the store and never inside one, so a reader that waits for minutes holds nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from functools import partial

import anyio

from orchestrator.operations import documents
from orchestrator.operations.deliveries import consumer_views, no_consumer
from orchestrator.operations.event_pages import EventPage, beginning, event_page, refuse_foreign_cursor
from orchestrator.operations.order_filter import Configured, check_shop
from orchestrator.operations.queries.services import QueryGroup
from storage.errors import StoreError
from storage.events import EventFilter, acknowledge, forget_consumer, known_consumer, note_seen, seek_consumer
from storage.identity import feed_id
from storage.transaction import Transaction

_SEEN_MS = 10_000  # a reader that polls without a pause must not write each time


class FeedQueries(QueryGroup):
    """Reads the feed, and keeps what its consumers have acknowledged."""

    async def check_feed(self, cursor: int, feed: str | None) -> None:
        """Raises Refused `cursor-ahead` for a cursor that the feed has not come to, or of another feed."""
        await self._store.read(lambda tx: refuse_foreign_cursor(tx, cursor, feed))

    async def events(
        self,
        after: int,
        limit: int,
        wanted: EventFilter,
        wait_seconds: float = 0,
        feed: str | None = None,
        include: Collection[str] = (),
    ) -> EventPage:
        """Events above `after`; where there are none yet, waits for one at most `wait_seconds`.

        A reader of few types moves on over the others: `next` is the newest cursor that was read.
        `feed`: the feed that the reader's cursor is of, if it says so. `include`: what to show in each event's data.
        Raises Refused: `shop-not-found`; `cursor-ahead` for a cursor that the feed has not come to, or of another feed.
        """

        def unit(tx: Transaction, position: int, configured: Configured) -> EventPage:
            check_shop(tx, configured, wanted.shop)
            return event_page(tx, position, limit, wanted, include)

        deadline = self._clock.monotonic() + wait_seconds
        asked, restarts = after, self._feed.restarts
        await self._check_cursor(asked, feed)
        while True:
            if restarts != self._feed.restarts:
                after, restarts = asked, self._feed.restarts
                await self._check_cursor(asked, feed)
            newest = self._feed.last_cursor
            page = await self._store.read(partial(unit, position=after, configured=self._node.shops()))
            after = max(page.next, newest)  # retention may have deleted the newest events already
            left = deadline - self._clock.monotonic()
            if page.events or left <= 0 or self._feed.is_closed:
                return page
            with anyio.move_on_after(left):
                await self._feed.wait_beyond(after)

    async def beginning(self, wanted: EventFilter, tail: int | None, since: int | None) -> int:
        """The cursor to read from for the newest `tail` events, and those from `since` (Unix milliseconds) on; 0 where
        neither is asked for."""
        if tail is None and since is None:
            return 0
        return await self._store.read(lambda tx: beginning(tx, wanted, tail, since))

    async def _check_cursor(self, cursor: int, feed: str | None) -> None:
        """Raises Refused `cursor-ahead`."""
        if cursor > self._feed.last_cursor or feed is not None:
            await self._store.read(lambda tx: refuse_foreign_cursor(tx, cursor, feed))

    async def consumer_cursor(self, name: str) -> int:
        """Up to where a consumer that reads now has acknowledged; 0 for one that never has. That it was seen is noted
        once in a while, where the store takes writes."""
        now = self._clock.now_ms()
        cursor, seen_at = await self._store.read(lambda tx: known_consumer(tx, name))
        if seen_at is not None and not 0 <= now - seen_at < _SEEN_MS:
            with suppress(StoreError):
                await self._store.write(lambda tx: note_seen(tx, name, now))
        return cursor

    async def acknowledge(self, name: str, cursor: int, feed: str | None = None) -> tuple[int, str]:
        """Moves a consumer on to `cursor` (never back); returns where it is, and in which feed.

        Raises Refused `cursor-ahead` for a cursor that the feed has not come to, or of another feed.
        """

        def unit(tx: Transaction) -> tuple[int, str]:
            refuse_foreign_cursor(tx, cursor, feed)
            return acknowledge(tx, name, cursor, self._clock.now_ms()), feed_id(tx)

        return await self._store.write(unit)

    async def consumers(self) -> list[documents.ConsumerStatus]:
        """Every consumer whose cursor is kept here, by name, and how far it is behind."""
        now = self._clock.now_ms()
        return await self._store.read(lambda tx: consumer_views(tx, now))

    async def seek(self, name: str, cursor: int, feed: str | None = None) -> str:
        """Sets a consumer's cursor, also back; returns the id of the feed.

        Raises Refused `cursor-ahead` as `acknowledge`, `consumer-not-found`.
        """

        def unit(tx: Transaction) -> str:
            refuse_foreign_cursor(tx, cursor, feed)
            if not seek_consumer(tx, name, cursor):
                raise no_consumer(tx, name)
            return feed_id(tx)

        return await self._store.write(unit)

    async def forget_consumer(self, name: str) -> tuple[int, str]:
        """Forgets a consumer, which begins at 0 should it come again; returns where it was, and in which feed.

        Raises Refused `consumer-not-found`.
        """

        def unit(tx: Transaction) -> tuple[int, str]:
            if (cursor := forget_consumer(tx, name)) is None:
                raise no_consumer(tx, name)
            return cursor, feed_id(tx)

        return await self._store.write(unit)
