"""Notices from task to task of one process: what an engine has that no other process can have open.

A notice says that something changed; the store says what. Equal pending notices are merged, so a slow listener has at
most one for each different text.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager

import anyio


class _Waiting:
    __slots__ = ("arrived", "texts")

    def __init__(self) -> None:
        self.texts: dict[str, None] = {}  # in the order of arrival
        self.arrived = anyio.Event()

    async def each(self) -> AsyncGenerator[str, None]:
        while True:
            while not self.texts:
                self.arrived = anyio.Event()
                await self.arrived.wait()
            text = next(iter(self.texts))
            del self.texts[text]
            yield text


class LocalNotices:
    """The channels of one store."""

    def __init__(self) -> None:
        self._channels: dict[str, list[_Waiting]] = {}

    def notify(self, channel: str, text: str) -> None:
        """As `Store.notify`."""
        for waiting in self._channels.get(channel, ()):
            waiting.texts[text] = None
            waiting.arrived.set()

    @asynccontextmanager
    async def listen(self, channel: str) -> AsyncIterator[AsyncIterator[str]]:
        """As `Store.listen`."""
        waiting = _Waiting()
        self._channels.setdefault(channel, []).append(waiting)
        try:
            async with aclosing(waiting.each()) as notices:
                yield notices
        finally:
            self._channels[channel].remove(waiting)
