"""Named points of the work, for tests: kill the process there, hold it there, or wait until it came by.

`FULFILLD_CRASH=after_call:3` kills the process (SIGKILL, no cleanup) the third time it comes by: so tests prove that
nothing is lost or repeated. Tests in the same process hold a point (`hold`) to have something happen right there, or
wait for it (`signal`) in place of polling.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

import anyio

POINTS = (
    "after_import",  # an order was imported
    "after_submit",  # a target is durable, its answer not sent
    "after_intent",  # an intent is durable, its call not sent
    "after_call",  # the platform answered, the outcome is not durable
    "after_outcome",  # the outcome (and mostly the next intent) is durable
    "after_read",  # a read was answered, nothing of it is durable
    "after_webhook",  # a webhook is durable, its answer not sent
    "after_sync",  # a page was adopted, the position is not durable
    "before_token",  # there is room on disk for access tokens, they are not asked for
    "after_token",  # access tokens were answered, nothing of them is on disk
    "after_token_written",  # they are on disk, not in the place of the old ones
    "after_token_kept",  # they are in the place of the old ones, no call carries them
)


class CheckpointError(ValueError):
    """An unknown point."""


class Watch:
    """What a test sees of one point, and holds there if it wants to."""

    __slots__ = ("_count", "_moved", "_released")

    def __init__(self, *, holds: bool) -> None:
        self._count = 0
        self._moved = anyio.Event()
        self._released = anyio.Event()
        if not holds:
            self._released.set()

    async def reached(self, count: int = 1) -> None:
        """Returns once the point was reached so often since the watch began."""
        while self._count < count:
            await self._moved.wait()

    def release(self) -> None:
        """Lets go on what is held, and what will come by."""
        self._released.set()

    async def come_by(self) -> None:
        """The point is reached: says so, and stays for as long as it is held."""
        self._count += 1
        self._moved.set()
        self._moved = anyio.Event()
        await self._released.wait()


class Checkpoints:
    """The points of one process. `is_used` False: unarmed and unwatched, as in production, nothing happens at any; who
    comes by often asks that first."""

    __slots__ = ("_left", "_point", "_watches", "is_used")

    def __init__(self, spec: str | None = None) -> None:
        point, _, count = (spec or "").partition(":")
        if point and (point not in POINTS or not re.fullmatch(r"([1-9][0-9]*)?", count)):
            raise CheckpointError(f"FULFILLD_CRASH={spec!r} is not a crash point; known are {', '.join(POINTS)}")
        self._point = point
        self.is_used = bool(point)
        self._left = int(count or 1)
        self._watches: dict[str, list[Watch]] = {}

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Checkpoints:
        """As armed by `FULFILLD_CRASH`. Raises CheckpointError for a name that does not exist."""
        return cls(environ.get("FULFILLD_CRASH"))

    async def reach(self, point: str) -> None:
        """The work has come to `point`: kills the process when it is armed and its count is up; notifies whoever waits
        for it, and returns when nobody holds it any more."""
        if point == self._point:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        if self._watches:
            for watch in tuple(self._watches.get(point, ())):
                await watch.come_by()

    def signal(self, point: str) -> AbstractContextManager[Watch]:
        """For a test: says when the point is reached, while the block lasts. Raises CheckpointError."""
        return self._watching(point, Watch(holds=False))

    def hold(self, point: str) -> AbstractContextManager[Watch]:
        """For a test: whoever reaches the point stays there until the watch is released or the block ends. Raises
        CheckpointError."""
        return self._watching(point, Watch(holds=True))

    @contextmanager
    def _watching(self, point: str, watch: Watch) -> Iterator[Watch]:
        if point not in POINTS:
            raise CheckpointError(f"{point!r} is not a checkpoint; known are {', '.join(POINTS)}")
        self.is_used = True
        self._watches.setdefault(point, []).append(watch)
        try:
            yield watch
        finally:
            self._watches[point].remove(watch)
            watch.release()
