"""Follows what other nodes commit to the feed, so that whoever waits here is woken by it.

A node notifies the others once it has committed, however much in one notice; they read which events those are. A notice
that is lost, or cannot be sent (behind a pool of connections in transaction mode nobody can listen), costs at most
`POLL_SECONDS`: so often each node looks by itself. Cursors follow each other without a gap in the order of commits, so
a node's own commits that join what it knows have nothing of others before them, and are not read again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import anyio
import structlog

from storage.errors import StoreError
from storage.events import last_cursor, published_above
from storage.identity import feed_id
from storage.store import Store
from storage.transaction import Published, Transaction

log = structlog.get_logger()

POLL_SECONDS: Final = 1.0
"""How often a node looks by itself for what others did."""
_CHANNEL: Final = "feed"
_SPACING_SECONDS: Final = 0.02  # between two notices, and between two reads
_PAGE: Final = 1000
_AGAIN_SECONDS: Final = 1.0


def _ignored(_cursor: int) -> None:
    """Where nobody has to know."""


class FeedWatch:
    """`note` is called with what this node committed, `others` with what was committed elsewhere (some of our own may
    be among it), `replaced` with the newest cursor once another feed has taken the place of the one that was followed.
    `has_others`: whether there is anybody to notify. `run` lasts until it is cancelled, where several processes can
    have the store open."""

    def __init__(
        self,
        store: Store,
        others: Callable[[list[Published]], None],
        has_others: Callable[[], bool] = lambda: True,
        *,
        poll_seconds: float = POLL_SECONDS,
        replaced: Callable[[int], None] = _ignored,
    ) -> None:
        self._store, self._others, self._poll_seconds = store, others, poll_seconds
        self._has_others, self._replaced = has_others, replaced
        self._feed: str | None = None
        self._position = 0
        self._committed, self._look = anyio.Event(), anyio.Event()

    def begin(self, cursor: int) -> None:
        """Nobody waits for what is up to this cursor."""
        self._position = max(self._position, cursor)

    def note(self, published: list[Published]) -> None:
        """This node committed these events."""
        if self._store.is_exclusive:
            return
        if published[0].cursor <= self._position + 1:
            self._position = max(self._position, published[-1].cursor)
        else:
            self._look.set()  # what is between is of others
        self._committed.set()

    async def run(self) -> None:
        """Follows and notifies; returns at once where there can be no others."""
        if self._store.is_exclusive:
            return
        async with anyio.create_task_group() as group:
            group.start_soon(self._listen)
            group.start_soon(self._notify)
            group.start_soon(self._follow)

    async def _listen(self) -> None:
        async with self._store.listen(_CHANNEL) as notices:
            async for _ in notices:
                self._look.set()

    async def _notify(self) -> None:
        while True:
            await self._committed.wait()
            self._committed = anyio.Event()
            if self._has_others():
                await self._store.notify(_CHANNEL, "")
            await anyio.sleep(_SPACING_SECONDS)

    async def _follow(self) -> None:
        while True:
            with anyio.move_on_after(self._poll_seconds):
                await self._look.wait()
            self._look = anyio.Event()
            try:
                while await self._read():
                    pass
            except StoreError as error:
                log.debug("feed.not_followed", detail=str(error))
                await anyio.sleep(_AGAIN_SECONDS)
            await anyio.sleep(_SPACING_SECONDS)

    async def _read(self) -> bool:
        """Reads what came since; whether there may be more."""
        position = self._position

        def unit(tx: Transaction) -> tuple[list[Published], int, str]:
            return published_above(tx, position, _PAGE), last_cursor(tx), feed_id(tx)

        found, newest, feed = await self._store.read(unit)
        followed, self._feed = self._feed, feed
        if followed not in (None, feed):  # the database lost what it had confirmed
            self._position = newest
            self._replaced(newest)
            return False
        if found:
            self._position = max(self._position, found[-1].cursor)
            self._others(found)
        elif newest < position == self._position:
            self._position = newest
        return len(found) == _PAGE
