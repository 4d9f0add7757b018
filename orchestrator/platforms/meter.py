"""What one shop has used of its platform's rate limit, and what it may still use: counted where calls leave.

The runtime's admission spreads calls over time and lets orders rest; it asks here whether there is room before it
gives a permit. The calls themselves pass here as well (`begin`, `end`), whoever makes them, so that nothing can go
past: syncs, steps, a client's own further calls, `doctor`. Three things are counted, each where the platform has it: a
window of calls (`window`), a bucket of points (`points`), and what the platform itself said is left (`allowance`),
which wins where it is less than our own count, for others may use the same account.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

import anyio

from orchestrator.clock import Clock
from orchestrator.platforms.allowance import Allowance
from orchestrator.platforms.failures import NotSent, Transient
from orchestrator.platforms.points import Points, PointsLimit, ReportedPoints
from orchestrator.platforms.window import Window, WindowLimit

_NAP_SECONDS = 0.25
_SHORTEST_NAP_SECONDS = 0.005
_BRIEF_SECONDS = 2.0
"""A wait that short needs no reason for people; a call waits for it where it is."""
_UNSAID_SECONDS = 1.0  # nothing is left, and nobody says until when
_UNUSED_SECONDS = 10.0  # a permit that no call used in that time was for a call that was not made

NO_SLOT = -1
"""The slot of a call where no window is counted."""


class ReportedLimit(NamedTuple):
    """What the platform said last: so much is left of so much, of `unit`. `reset_at`, `reported_at`: Unix
    milliseconds."""

    limit: int | None
    remaining: int
    reset_at: int | None
    reported_at: int
    unit: Literal["calls", "points"] = "calls"


class Meter:
    """Of one shop."""

    def __init__(self, clock: Clock, window: Window | None = None, points: Points | None = None) -> None:
        self.window = window
        self.points = points
        self.reported: ReportedLimit | None = None
        self._on_exhausted: Callable[[float, str], None] = _nobody
        self._may_send: Callable[[], bool] = _always
        self._clock = clock
        self._under_way = 0
        self._permits: list[float] = []
        self._left: int | None = None
        self._left_until = 0.0

    def follow(self, on_exhausted: Callable[[float, str], None]) -> None:
        """Has the shop's admission called with (seconds, detail) when the platform says that nothing is left for
        longer than a moment."""
        self._on_exhausted = on_exhausted

    def send_while(self, may_send: Callable[[], bool]) -> None:
        """No request leaves any more once this says so: asked right before each is written to its connection."""
        self._may_send = may_send

    def check_send(self) -> None:
        """Raises NotSent where no request may leave: another node may work for the shop by now, and what is decided
        here on may be done there already."""
        if not self._may_send():
            raise NotSent("the shop's lease was not renewed in time, so the call was not sent")

    # -- permits: who is going to make a call ------------------------------------------------------------------------

    def reserve(self) -> None:
        """A permit for a call was given out; its call will leave presently."""
        if self.window is not None:
            self._permits.append(self._clock.monotonic())

    def release_unused(self) -> None:
        """A permit came back unused."""
        if self._permits:
            self._permits.pop()

    def seconds_until_free(self) -> float:
        """How long until another call could leave, beside those that were promised; 0 when it can."""
        if self.window is None and self.points is None and self._left is None:
            return 0.0
        wait = self._seconds_until_reset()
        if self.window is not None:
            oldest = self._clock.monotonic() - _UNUSED_SECONDS
            self._permits = [at for at in self._permits if at > oldest]
            wait = max(wait, self.window.seconds_until_free(len(self._permits)))
        if self.points is not None:
            wait = max(wait, self.points.seconds_until_dearest())
        return wait

    def room(self) -> int | None:
        """Calls that could leave now; None where that is not counted."""
        return None if self.window is None else max(0, self.window.room() - len(self._permits))

    def size(self) -> int | None:
        """Calls that could leave at once after a pause; None where that is not counted."""
        return None if self.window is None else self.window.size

    @property
    def is_used_up(self) -> bool:
        """Whether the platform said that nothing is left for longer than a moment: a call would fail by it."""
        return self._seconds_until_reset() > _BRIEF_SECONDS

    # -- calls -----------------------------------------------------------------------------------------------------

    def try_begin(self) -> int | None:
        """Takes a slot for a call, for `end`, if one may leave now."""
        if self._left is not None and self._seconds_until_reset() > 0:
            return None
        slot = NO_SLOT if self.window is None else self.window.try_claim()
        if slot is None:
            return None
        self._under_way += 1
        if self._permits:
            self._permits.pop()
        if self._left is not None:
            self._left -= 1
        return slot

    async def begin(self) -> int:
        """As `try_begin`; waits until a call may leave. Raises Transient, without a call, where the platform said that
        nothing is left for longer than a moment."""
        while (slot := self.try_begin()) is None:
            wait = self._seconds_until_reset()
            if wait > _BRIEF_SECONDS:
                raise Transient(self._used_up(), retry_after_seconds=wait)
            if wait <= 0 and self.window is not None:
                wait = self.window.seconds_until_free()
            await anyio.sleep(min(max(wait, _SHORTEST_NAP_SECONDS), _NAP_SECONDS))
        return slot

    def end(self, slot: int) -> None:
        """The call ended, with or without an answer."""
        self._under_way -= 1
        if self.window is not None and slot != NO_SLOT:
            self.window.release(slot)

    # -- what the platform says ------------------------------------------------------------------------------------

    def record(self, said: Allowance) -> None:
        """The answer of a call, which is still counted as under way, said what is left. Others that are under way may
        not be in its count yet."""
        now, now_ms = self._clock.monotonic(), self._clock.now_ms()
        reset = said.reset_seconds
        reset_at = None if reset is None else now_ms + int(reset * 1000)
        self.reported = ReportedLimit(said.limit, said.remaining, reset_at, now_ms)
        if self.window is not None:
            self.window.record(said.limit, said.remaining if reset is None else None)
            if reset is None:
                return  # the window knows better than anybody when calls fall out of it
        if reset is None and said.remaining:
            return
        until = now + max(_UNSAID_SECONDS if reset is None else reset, _UNSAID_SECONDS)
        left = said.remaining - (self._under_way - 1)
        if self._left is not None and abs(until - self._left_until) <= _BRIEF_SECONDS:
            left = min(left, self._left)  # of the same period; answers overtake each other
        self._left, self._left_until = left, until
        if left <= 0 and until - now > _BRIEF_SECONDS:
            self._on_exhausted(until - now, self._used_up())

    def record_points(self, kind: str, cost: float, reported: ReportedPoints) -> None:
        """An answer said what is left of the bucket; `kind`, `cost` as in `Points.record`."""
        if self.points is None or not reported.is_sensible:
            return
        self.points.record(kind, cost, reported)
        now_ms = self._clock.now_ms()
        full_at = now_ms + int((reported.maximum - reported.available) / reported.per_second * 1000)
        self.reported = ReportedLimit(int(reported.maximum), max(0, int(reported.available)), full_at, now_ms, "points")

    def forget(self) -> None:
        """A person says that the platform takes calls again: its last report no longer holds any back."""
        self._left = None
        if self.window is not None:
            self.window.forget()

    def close(self) -> None:
        """Lets go of the file that calls are counted in."""
        if self.window is not None:
            self.window.close()

    def _seconds_until_reset(self) -> float:
        if self._left is None:
            return 0.0
        now = self._clock.monotonic()
        if now >= self._left_until:
            self._left = None
            return 0.0
        return self._left_until - now if self._left <= 0 else 0.0

    def _used_up(self) -> str:
        of = "" if self.reported is None or self.reported.limit is None else f" of {self.reported.limit}"
        return f"the platform says that the account's rate limit is used up (0{of} calls left)"


def _always() -> bool:
    return True


def _nobody(seconds: float, detail: str) -> None:
    """Nobody wants to know."""
    del seconds, detail


def open_meter(
    clock: Clock,
    *,
    window: WindowLimit | None = None,
    points: PointsLimit | None = None,
    longest_seconds: float = 30.0,
    path: Path | None = None,
) -> Meter:
    """The meter of a shop. `longest_seconds`: the longest that a call can take; `path`: where a window's calls are kept
    for other processes and for the next start (its directory is there), None: in memory."""
    counted = None if window is None else Window(window, clock.monotonic, longest_seconds=longest_seconds, path=path)
    return Meter(clock, counted, None if points is None else Points(points, clock.monotonic))


def calls_path(directory: Path, shop: str) -> Path:
    """Where a shop's calls are kept, beside the store."""
    return directory / f"{shop}.calls"
