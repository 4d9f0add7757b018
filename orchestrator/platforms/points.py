"""A bucket of points from which calls take what they cost, as platforms with a query language count.

A call needs the points that the platform estimates before it runs it (`requested`); what it then did not need comes
back at once. So what is at hand is what the platform reported last, plus what was restored since, less what our calls
under way may still take. What a kind of call costs is learned from each answer, for documents grow and merchants' shops
differ.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio

from orchestrator.platforms.failures import AccessDenied

_MOST = 1e7  # no bucket holds or restores more
_NAP_SECONDS = 0.1  # points also come back when a call under way ends, which nobody can foretell
_SHORTEST_NAP_SECONDS = 0.005
_LONGEST_WAIT_SECONDS = 60.0  # then the call is made and the platform says itself how long to wait


@dataclass(frozen=True, slots=True)
class PointsLimit:
    """The smallest bucket that the platform gives anybody: `maximum` points, of which `per_second` come back."""

    maximum: float
    per_second: float


@dataclass(frozen=True, slots=True)
class ReportedPoints:
    """What an answer said: the bucket, and what this call was estimated to cost and did cost (None: it did not run)."""

    maximum: float
    available: float
    per_second: float
    requested: float
    actual: float | None = None

    @property
    def is_sensible(self) -> bool:
        """Whether it can be meant: foreign numbers must not stop the shop."""
        return (
            1 <= self.maximum <= _MOST
            and 0 < self.per_second <= _MOST
            and -_MOST <= self.available <= self.maximum
            and 0 <= self.requested <= _MOST
            and 0 <= (self.actual or 0) <= _MOST
        )


class Points:
    """The bucket of one shop, shared by all its calls. `monotonic`: seconds."""

    def __init__(self, limit: PointsLimit, monotonic: Callable[[], float]) -> None:
        self.maximum, self.per_second = limit.maximum, limit.per_second
        self._monotonic = monotonic
        # Before the first report: others of our processes (doctor, the daemon before this one) may have taken some.
        self._level = limit.maximum / 2
        self._is_reported = False
        self._at = monotonic()
        self._under_way = 0.0
        self._costs: dict[str, float] = {}
        self._line = anyio.Lock()

    @property
    def available(self) -> float:
        """Points at hand now, below 0 while more is under way than there is."""
        self._restore()
        return self._level - self._under_way

    def seconds_until(self, cost: float) -> float:
        """How long until so many points are at hand; 0 when they are. What costs more than the bucket holds waits for
        a full one: the platform will say what it thinks of it."""
        return max(0.0, (min(cost, self.maximum) - self.available) / self.per_second)

    def seconds_until_dearest(self) -> float:
        """How long until the dearest kind of call that was made so far could be made again."""
        return self.seconds_until(max(self._costs.values(), default=0.0))

    @asynccontextmanager
    async def spent(self, kind: str, guess: float) -> AsyncIterator[float]:
        """For as long as a call of this kind is under way: waits until there is enough for it, first come first served,
        and yields how much that is. `guess`: what it may cost, where none of its kind was made yet.

        Around one try of one call: who waits inside for anything but its answer holds points that others, and perhaps
        what it waits for, wait for. A call that is not let in (AccessDenied) costs nothing."""
        cost = self._costs.get(kind, guess)
        async with self._line:
            waited = 0.0
            while (wait := self.seconds_until(cost)) > 0 and waited < _LONGEST_WAIT_SECONDS:
                nap = min(max(wait, _SHORTEST_NAP_SECONDS), _NAP_SECONDS)
                await anyio.sleep(nap)
                waited += nap
            self._under_way += cost
        taken = cost  # until its answer says what it was (`record`)
        try:
            yield cost
        except AccessDenied:
            taken = 0.0
            raise
        finally:
            self._restore()
            self._under_way -= cost
            self._level -= taken

    def record(self, kind: str, cost: float, reported: ReportedPoints) -> None:
        """What the answer of a call said, for which `cost` was spent. The lower of its word and our own count holds,
        for answers overtake each other; restoring makes up for that soon. Impossible values are ignored."""
        if not reported.is_sensible:
            return
        self._restore()
        self._level += cost - (reported.requested if reported.actual is None else reported.actual)
        self.maximum, self.per_second = reported.maximum, reported.per_second
        self._level = min(self._level, reported.available) if self._is_reported else reported.available
        self._is_reported = True
        self._costs[kind] = max(reported.requested, 0.9 * self._costs.get(kind, 0.0))

    def _restore(self) -> None:
        now = self._monotonic()
        self._level = min(self.maximum, self._level + (now - self._at) * self.per_second)
        self._at = now
