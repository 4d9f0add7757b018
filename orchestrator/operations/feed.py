"""Waiters of the feed: long polls and SSE wait for a cursor, submitters wait for their target.

Woken by the store's commits. Nothing is delivered through here: a woken reader reads the store, so a missed wake-up can
only delay, never lose.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import anyio

from storage.transaction import Published


class Feed:
    """The daemon's one place to wait for commits."""

    def __init__(self) -> None:
        self.last_cursor = 0
        self.restarts = 0
        """How often another feed has taken this one's place."""
        self._beyond = anyio.Event()
        self._targets: dict[str, set[anyio.Event]] = {}
        self._closed = False

    def publish(self, published: list[Published]) -> None:
        """Called after each commit; wakes whoever waits for one of these events."""
        self.last_cursor = max(self.last_cursor, published[-1].cursor)
        self._wake()
        if self._targets:
            for each in published:
                for event in self._targets.get(each.target, ()) if each.target is not None else ():
                    event.set()

    def restart(self, cursor: int) -> None:
        """Another feed has taken this one's place, whose newest cursor this is: everybody wakes, for a cursor of before
        may mean nothing there."""
        self.last_cursor = cursor
        self.restarts += 1
        self._wake()
        for events in self._targets.values():
            for event in events:
                event.set()

    def _wake(self) -> None:
        if self._beyond.statistics().tasks_waiting:
            self._beyond.set()
            self._beyond = anyio.Event()

    def close(self) -> None:
        """The daemon shuts down: everybody wakes, streams end."""
        self._closed = True
        self._beyond.set()
        for events in self._targets.values():
            for event in events:
                event.set()

    @property
    def is_closed(self) -> bool:
        """Whether the daemon is shutting down, so that streams end."""
        return self._closed

    async def wait_beyond(self, cursor: int) -> None:
        """Returns once an event above `cursor` is committed, or another feed has taken this one's place, or it is
        closed."""
        restarts = self.restarts
        while self.last_cursor <= cursor and restarts == self.restarts and not self._closed:
            await self._beyond.wait()

    @contextmanager
    def watching(self, target: str) -> Iterator[TargetWatch]:
        """Hears of every event about `target` while the block lasts; enter it before reading the target."""
        watch = TargetWatch(self, target)
        try:
            yield watch
        finally:
            watch.forget()

    def add(self, target: str, event: anyio.Event) -> None:
        """Registers a watcher's event."""
        self._targets.setdefault(target, set()).add(event)
        if self._closed:
            event.set()

    def remove(self, target: str, event: anyio.Event) -> None:
        """Forgets a watcher's event."""
        events = self._targets.get(target, set())
        events.discard(event)
        if not events:
            self._targets.pop(target, None)


class TargetWatch:
    """One waiter for events of one target."""

    def __init__(self, feed: Feed, target: str) -> None:
        self._feed, self._target = feed, target
        self._event = anyio.Event()
        feed.add(target, self._event)

    async def changed(self) -> None:
        """Returns at the next event about the target (or one since the last call), or when the feed closes."""
        await self._event.wait()
        self.forget()
        self._event = anyio.Event()
        self._feed.add(self._target, self._event)

    def forget(self) -> None:
        """Stops hearing."""
        self._feed.remove(self._target, self._event)
