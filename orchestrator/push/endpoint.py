"""What both loops of a pusher share about their endpoint: is it up, which calls are late, how long to wait."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import anyio
import structlog
from anyio.abc import TaskGroup

from orchestrator.backoff import Growing, equal_jitter
from orchestrator.push.batch import EventBatch, OverdueCall, Pace
from orchestrator.push.envelope import Endpoint, PendingEvent, load_of
from orchestrator.push.sender import PushContext
from storage.attempts import Attempt, note_attempts
from storage.deliveries import hurry_parked, note_delivered, note_error, park, unpark
from storage.transaction import Transaction

log = structlog.get_logger()

LONGEST_REST_SECONDS = 30.0
"""A wake-up that was missed costs at most this."""

_READ_AHEAD_BYTES = 1024 * 1024

Unit = Callable[[Transaction, int], None]
"""A unit of work; takes the time, in Unix milliseconds."""


class OverdueLimit(NamedTuple):
    """How many calls of both loops may be late together, and how heavy, in bytes, before a loop waits for its own."""

    calls: int
    weight: int


class Wakeup:
    """Ends a loop's rest. A loop listens first and loads work then, so that no call is missed."""

    def __init__(self) -> None:
        self._wake, self._wake_now = anyio.Event(), anyio.Event()

    def listen(self) -> None:
        """From now on a call counts."""
        self._wake, self._wake_now = anyio.Event(), anyio.Event()

    def wake(self) -> None:
        """There is work."""
        self._wake.set()

    def wake_now(self) -> None:
        """There is work that must not wait: ends a rest and a pause."""
        self._wake_now.set()
        self._wake.set()

    async def rest(self, seconds: float) -> None:
        """Until there is work."""
        with anyio.move_on_after(seconds):
            await self._wake.wait()

    async def pause(self, seconds: float) -> None:
        """Ended by `wake_now`, not by `wake`."""
        with anyio.move_on_after(seconds):
            await self._wake_now.wait()


class EndpointState:
    """The state of one endpoint. `failures`: consecutive rounds in which new events were tried and nothing arrived.
    `arrivals`: how many events arrived, from any loop. `attempts`: those that are not written down yet. `late`: calls
    that outlasted their round, by ordering key; their keys have parked events. `late_since_watch`: keys that were late
    at any time since `watch_late`: an older snapshot may not show it."""

    def __init__(self, endpoint: Endpoint, context: PushContext) -> None:
        self.endpoint, self.store, self.clock = endpoint, context.store, context.clock
        self.round_seconds = context.round_seconds
        self._context = context
        self.fresh, self.parked = Wakeup(), Wakeup()
        self.pace = Pace()
        self.failures = self.arrivals = 0
        self.attempts: list[Attempt] = []
        self.late: dict[str, OverdueCall] = {}
        self.late_since_watch: set[str] = set()

    def wait_seconds(self, attempt: int) -> float:
        """How long to wait after so many attempts."""
        waits = Growing(self._context.first_wait_seconds, self._context.settings.max_wait_seconds)
        return equal_jitter(waits.after(attempt), self._context.chance.jitter())

    @property
    def longest_wait_ms(self) -> int:
        """The longest wait between two attempts of an event."""
        return int(self._context.settings.max_wait_seconds * 1000)

    def fail(self, error: str | None) -> None:
        """New events were tried, and nothing arrives."""
        self.failures += 1
        if self.failures == 1:
            log.warning("delivery.failed", name=self.endpoint.name, detail=error)

    async def record(self, unit: Unit, arrived: int, error: str | None) -> None:
        """Writes down the results of calls, `arrived` of which were accepted, in one transaction. Raises StoreError."""
        name, now = self.endpoint.name, self.clock.now_ms()
        attempts = self.attempts.copy()
        self.attempts.clear()
        is_recovery = arrived > 0 and self.failures > 0
        self.arrivals += arrived
        if is_recovery:
            log.info("delivery.recovered", name=name, rounds=self.failures)
            self.failures = 0

        def whole(tx: Transaction) -> None:
            if is_recovery:
                hurry_parked(tx, name, now)
            unit(tx, now)
            note_attempts(tx, name, attempts)
            if arrived:
                note_delivered(tx, name, now, error)
            elif error is not None:
                note_error(tx, name, now, error)

        await self.store.write(whole)
        if is_recovery:
            self.fresh.wake_now()
            self.parked.wake_now()

    def park_failed(self, tx: Transaction, pending: PendingEvent, now: int) -> None:
        """Parks an event until its next attempt, which is later each time."""
        due_at = now + int(self.wait_seconds(pending.attempts + 1) * 1000)
        park(tx, self.endpoint.name, pending.event.cursor, pending.ordering_key, pending.attempts + 1, due_at)

    def has_room(self, runs: Sequence[EventBatch], room: OverdueLimit) -> bool:
        """Whether these runs may be late as well."""
        late = self.late.values()
        weight = sum(run.weight for run in runs) + sum(each.weight for each in late)
        return len(runs) + len(late) <= room.calls and (not late or weight <= room.weight)

    def watch_late(self) -> None:
        """Begins `late_since_watch` anew."""
        self.late_since_watch = set(self.late)

    def note_late(self, calls: Sequence[OverdueCall]) -> None:
        """Nothing of these calls' ordering keys is sent from now on, until their end is written down (`settle`)."""
        for each in calls:
            self.late[each.pending.ordering_key] = each
            self.late_since_watch.add(each.pending.ordering_key)

    def settle(self, group: TaskGroup, calls: Sequence[OverdueCall], arrivals: int | None = None) -> None:
        """Writes down the end of each late call when it comes. Its event is parked by now. With the arrivals of before
        its round, a bad end is a sign that the receiver is down, if nothing arrived since."""
        for late in calls:
            group.start_soon(self._settle, late, arrivals)

    async def _settle(self, late: OverdueCall, arrivals: int | None) -> None:
        await late.run.ended.wait()
        attempt = late.run.attempts[-1]
        if attempt.error is not None and not self.failures and arrivals == self.arrivals:
            self.fail(attempt.error)

        def unit(tx: Transaction, now: int) -> None:
            if attempt.error is None:
                unpark(tx, self.endpoint.name, late.pending.event.cursor)
            else:
                self.park_failed(tx, late.pending, now)

        await self.record(unit, int(attempt.error is None), attempt.error)
        if self.late.get(late.pending.ordering_key) is late:
            del self.late[late.pending.ordering_key]
        self.parked.wake()

    def with_loads(self, tx: Transaction, pending_events: Sequence[PendingEvent]) -> list[PendingEvent]:
        """Reads ahead what goes out, which is quick, but only so much: it may be large. The rest is read when sent."""
        found: list[PendingEvent] = []
        room = _READ_AHEAD_BYTES
        for pending in pending_events:
            load = load_of(tx, pending.event, self._context.settings) if room > 0 else None
            room -= 0 if load is None else load.size
            found.append(replace(pending, load=load))
        return found
