"""Turns at lists: a few pages at once are asked for and taken in, whatever the number of shops.

A page of a list is large in memory, and hundreds of shops that are followed for the first time, or that a daemon which
starts takes up again, would have as many at once. So a sync waits for a turn before each page. A turn is held while the
platform is asked and the page is taken in, not while rows are read one by one.

A platform that does not answer must not keep the others waiting: who waits for a turn takes over that of a call that
has been out for a second. When it answers after all, it waits for another one. A few may be taken over, not all: on
a machine that is overloaded every call takes long, and each comes back with a page.

What changed since the last sync is mostly a short page, and all shops ask for it once a minute: it has turns of its
own (`short_turns`), more of them, and any may be taken over, for a thousand shops must get theirs in time.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import anyio

T = TypeVar("T")

_AT_ONCE = 4
_PATIENCE_SECONDS = 1.0
_MOST_TAKEN_OVER = 8
_SHORT_AT_ONCE = 16
_SHORT_PATIENCE_SECONDS = 0.25


class WalkTurns:
    """Of all shops of a process."""

    def __init__(
        self,
        at_once: int = _AT_ONCE,
        patience_seconds: float = _PATIENCE_SECONDS,
        most_taken_over: float = _MOST_TAKEN_OVER,
    ) -> None:
        self._turns = anyio.Semaphore(at_once)
        self._patience, self._most_taken_over = patience_seconds, most_taken_over
        self._out: dict[Turn, float] = {}  # turns whose call is out, and since when
        self._taken_over: set[Turn] = set()  # those whose call is still out

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[Turn]:
        """A turn, for as long as the block lasts."""
        turn = Turn(self)
        await self.take()
        try:
            yield turn
        finally:
            if turn.is_held:
                self._turns.release()

    async def take(self) -> None:
        """Waits for a turn, and takes over those of calls that have been out for too long."""
        while True:
            with anyio.move_on_after(self._patience):
                await self._turns.acquire()
                return
            self._take_over(anyio.current_time() - self._patience)

    def _take_over(self, before: float) -> None:
        for turn, since in list(self._out.items()):
            if since <= before and len(self._taken_over) < self._most_taken_over:
                del self._out[turn]
                self._taken_over.add(turn)
                turn.is_held = False
                self._turns.release()

    def went_out(self, turn: Turn) -> None:
        """The turn's call is out from now on."""
        self._out[turn] = anyio.current_time()

    def came_back(self, turn: Turn) -> None:
        """The turn's call is out no more."""
        self._out.pop(turn, None)
        self._taken_over.discard(turn)


def short_turns() -> WalkTurns:
    """Turns at pages that are mostly short."""
    return WalkTurns(_SHORT_AT_ONCE, _SHORT_PATIENCE_SECONDS, math.inf)


class Turn:
    """One turn; `is_held` False: it was taken over while a call was out."""

    def __init__(self, turns: WalkTurns) -> None:
        self._turns = turns
        self.is_held = True

    async def during(self, call: Callable[[], Awaitable[T]]) -> T:
        """The result of a call to a platform; the turn is held again when it returns. Raises what the call does."""
        self._turns.went_out(self)
        try:
            result = await call()
        finally:
            self._turns.came_back(self)
        if not self.is_held:
            await self._turns.take()
            self.is_held = True
        return result
