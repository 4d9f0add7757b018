"""Brings events to one receiver, round by round.

A round takes the next events of the feed and those parked events that are due, sorts them into lanes (an order, a
product) and sends the lanes side by side, each in order. Then it writes down what came of it, in one transaction:

- All arrived: the cursor moves on.
- Some arrived: the receiver is well, so what failed is about those events. They are parked with all that is behind
  them in their lanes, and the cursor moves on: one order's trouble holds no other up, however long it lasts.
- None arrived: the receiver is down. Nothing moves, the next round tries a few, after a pause that grows. An answer
  that is about the event (422) counts as well; and after a few rounds what fails is parked all the same, so that no
  set of events, however unlucky, stands in the way of the others for good.

A crash repeats at most one round: events arrive at least once, and their id tells a repeat.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import aiohttp
import anyio
import structlog
from yarl import URL

from orchestrator.clock import Chance, Clock
from orchestrator.config import DeliverySettings
from orchestrator.delivery.envelope import (
    Outlet,
    Parcel,
    body_of,
    headers_of,
    labels_of,
    lane_of,
    lanes_of,
    payload_of,
    signer_of,
)
from orchestrator.network import network_words
from storage.deliveries import (
    delivery_state,
    due_parked,
    hurry_parked,
    next_parked_at,
    note_delivered,
    note_error,
    park,
    parked_lanes,
    unpark,
)
from storage.events import acknowledge, consumer_cursor, last_cursor, list_events
from storage.store import Store
from storage.transaction import Transaction

log = structlog.get_logger()

FIRST_WAIT_SECONDS = 1.0
ROUND_SECONDS = 5.0
"""After that a round begins no further call, so that a slow lane does not hold up the others' next events for long."""

_BATCH = 64
_PROBE = 8  # events that are tried while the receiver is down
_AT_ONCE = 8
_READ_AHEAD_BYTES = 1024 * 1024
_STUBBORN_ROUNDS = 3  # rounds without success after which failing events are parked all the same
_LONGEST_REST_SECONDS = 30.0  # a wake-up that was missed costs at most this
_SHORTEST_REST_SECONDS = 0.01
_STRIDE = 1000  # how far the kept cursor may lag behind events of other types
_LARGEST_ANSWER_BYTES = 64 * 1024
_ABOUT_THE_EVENT = frozenset({400, 409, 413, 415, 422})


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of sending an event; `error` None: it arrived. `is_refusal`: the receiver lives and wants it not."""

    error: str | None
    is_refusal: bool = False


@dataclass(frozen=True, slots=True)
class Round:
    """What one round has to do. `fresh` come next in the feed, up to the cursor `end`; those in `blocked` lanes have to
    queue behind parked ones."""

    parked: list[Parcel]
    fresh: list[Parcel]
    blocked: set[str]
    end: int
    next_parked_at: int | None


class Courier:
    """Serves one receiver; `run` lasts until it is cancelled."""

    def __init__(
        self,
        outlet: Outlet,
        settings: DeliverySettings,
        store: Store,
        clock: Clock,
        chance: Chance,
        first_wait_seconds: float = FIRST_WAIT_SECONDS,
        round_seconds: float = ROUND_SECONDS,
    ) -> None:
        self.outlet = outlet
        self._settings, self._store, self._clock, self._chance = settings, store, clock, chance
        self._first_wait_seconds, self._round_seconds = first_wait_seconds, round_seconds
        self._url = URL(outlet.url, encoded=True)
        self._signer = signer_of(settings.secret.get_secret_value())
        self._wake = anyio.Event()
        self._nudge = anyio.Event()
        self._position: int | None = None
        self._kept = 0
        self._failures = 0  # rounds in a row in which new events were tried and nothing arrived

    def wake(self) -> None:
        """There is a new event."""
        self._wake.set()

    def nudge(self) -> None:
        """A person paused or resumed: look at once, whatever is being waited for."""
        self._nudge.set()
        self._wake.set()

    async def run(self) -> None:
        """Delivers until cancelled. Raises StoreError."""
        timeout = aiohttp.ClientTimeout(total=self._settings.timeout_seconds)
        connector = aiohttp.TCPConnector(limit=_AT_ONCE)
        jar = aiohttp.DummyCookieJar()
        self._position = self._kept = await self._store.read(lambda tx: consumer_cursor(tx, self.outlet.consumer))
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, cookie_jar=jar) as session:
            while True:
                self._wake, self._nudge = anyio.Event(), anyio.Event()
                todo = await self._store.read(self._load)
                if todo is None:
                    await self._rest(_LONGEST_REST_SECONDS)
                elif todo.parked or todo.fresh:
                    await self._work(session, todo)
                else:
                    await self._idle(todo)

    # -- one round -------------------------------------------------------------------------------------------------

    def _load(self, tx: Transaction) -> Round | None:
        """What is to be done next; None: a person wants nothing sent."""
        name, now = self.outlet.name, self._clock.now_ms()
        assert self._position is not None
        if delivery_state(tx, name).paused_at is not None:
            return None
        limit = _PROBE if self._failures else _BATCH
        events = list_events(tx, self._position, limit, self.outlet.wanted)
        fresh = [Parcel(event, lane_of(event), 0) for event in events]
        due = due_parked(tx, name, now, limit)
        parked = [Parcel(each.event, each.lane, each.attempts) for each in due]
        return Round(
            parked=self._with_payloads(tx, parked),
            fresh=self._with_payloads(tx, fresh),
            blocked=parked_lanes(tx, name, list({parcel.lane for parcel in fresh})),
            end=events[-1].cursor if len(events) == limit else max(self._position, last_cursor(tx)),
            next_parked_at=next_parked_at(tx, name),
        )

    def _with_payloads(self, tx: Transaction, parcels: Sequence[Parcel]) -> list[Parcel]:
        """Reads payloads ahead, which is quick, but only so much: they may be large. The others are read when sent."""
        found: list[Parcel] = []
        room = _READ_AHEAD_BYTES
        for parcel in parcels:
            payload = payload_of(tx, parcel.event, self._settings.format) if room > 0 else None
            room -= len(payload.text) if payload is not None and payload.text is not None else 0
            found.append(replace(parcel, payload=payload))
        return found

    async def _work(self, session: aiohttp.ClientSession, todo: Round) -> None:
        attempts = await self._send_all(session, todo)
        has_arrived = any(attempt.error is None for attempt in attempts.values())
        failed = [parcel for parcel in todo.fresh if _failed(attempts, parcel)]
        if has_arrived and self._failures:
            log.info("delivery.recovered", name=self.outlet.name, rounds=self._failures)
        is_recovery = has_arrived and self._failures > 0
        self._failures = 0 if has_arrived or not failed else self._failures + 1
        can_move = (
            not failed
            or has_arrived
            or self._failures >= _STUBBORN_ROUNDS
            or all(attempts[parcel.event.cursor].is_refusal for parcel in failed)
        )
        error = next((attempt.error for attempt in reversed(attempts.values()) if attempt.error is not None), None)
        if error is not None and not has_arrived and self._failures == 1:
            log.warning("delivery.failed", name=self.outlet.name, detail=error)
        now = self._clock.now_ms()

        def unit(tx: Transaction) -> None:
            if is_recovery:
                hurry_parked(tx, self.outlet.name, now)
            self._record_parked(tx, todo.parked, attempts, now)
            if can_move:
                self._move_on(tx, todo, attempts, now)
            if has_arrived:
                note_delivered(tx, self.outlet.name, now, error)
            elif error is not None:
                note_error(tx, self.outlet.name, now, error)

        await self._store.write(unit)
        if can_move:
            self._position = self._kept = todo.end
        if self._failures:
            await self._pause()

    def _record_parked(self, tx: Transaction, parked: Sequence[Parcel], attempts: dict[int, Attempt], now: int) -> None:
        for parcel in parked:
            attempt = attempts.get(parcel.event.cursor)
            if attempt is None:  # time was up
                continue
            if attempt.error is None:
                unpark(tx, self.outlet.name, parcel.event.cursor)
            else:
                self._park_failed(tx, parcel, now)

    def _move_on(self, tx: Transaction, todo: Round, attempts: dict[int, Attempt], now: int) -> None:
        """Moves the cursor over the round's new events; those that did not arrive are parked."""
        for parcel in todo.fresh:
            attempt = attempts.get(parcel.event.cursor)
            if attempt is None:  # behind one that failed, now or before, or time was up
                park(tx, self.outlet.name, parcel.event.cursor, parcel.lane, 0, now)
            elif attempt.error is not None:
                self._park_failed(tx, parcel, now)
        acknowledge(tx, self.outlet.consumer, todo.end, now)

    def _park_failed(self, tx: Transaction, parcel: Parcel, now: int) -> None:
        due_at = now + int(self._wait_seconds(parcel.attempts + 1) * 1000)
        park(tx, self.outlet.name, parcel.event.cursor, parcel.lane, parcel.attempts + 1, due_at)

    # -- sending ---------------------------------------------------------------------------------------------------

    async def _send_all(self, session: aiohttp.ClientSession, todo: Round) -> dict[int, Attempt]:
        """Sends the lanes side by side; a lane ends at its first failure. Answers what came of each, by cursor."""
        attempts: dict[int, Attempt] = {}
        turns = anyio.CapacityLimiter(_AT_ONCE)
        ends_at = self._clock.monotonic() + self._round_seconds

        async def follow(parcels: Sequence[Parcel]) -> None:
            for parcel in parcels:
                async with turns:
                    if attempts and self._clock.monotonic() > ends_at:
                        return  # the rest of the lane is parked and comes next
                    attempt = attempts[parcel.event.cursor] = await self._send(session, parcel)
                if attempt.error is not None:
                    return

        async with anyio.create_task_group() as group:
            for parcel in todo.parked:
                group.start_soon(follow, [parcel])
            for lane, parcels in lanes_of(todo.fresh).items():
                if lane not in todo.blocked:
                    group.start_soon(follow, parcels)
        return attempts

    async def _send(self, session: aiohttp.ClientSession, parcel: Parcel) -> Attempt:
        form = self._settings.format
        payload = parcel.payload
        if payload is None:
            payload = await self._store.read(lambda tx: payload_of(tx, parcel.event, form))
        body = body_of(parcel.event, payload, form)
        headers = headers_of(parcel.event, body, self._signer, self._clock.now_ms())
        if form == "platform":
            headers |= labels_of(parcel.event, payload)
        try:
            async with session.post(self._url, data=body, headers=headers, allow_redirects=False) as response:
                status = response.status
                with suppress(aiohttp.ClientError, TimeoutError):  # the status has been told already
                    await response.content.read(_LARGEST_ANSWER_BYTES)
        except TimeoutError:
            return Attempt(f"no answer within {self._settings.timeout_seconds:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Attempt(network_words(error))
        if 200 <= status < 300:
            return Attempt(None)
        words = "answered with a redirect, which is not followed" if 300 <= status < 400 else "answered"
        return Attempt(f"{words} ({status})", is_refusal=status in _ABOUT_THE_EVENT)

    # -- waiting ---------------------------------------------------------------------------------------------------

    def _wait_seconds(self, attempt: int) -> float:
        longest = min(self._settings.max_wait_seconds, self._first_wait_seconds * 2.0 ** min(attempt - 1, 30))
        return longest * (0.5 + self._chance.jitter() / 2)

    async def _pause(self) -> None:
        """The receiver is down: new events do not shorten this, a person does."""
        with anyio.move_on_after(self._wait_seconds(self._failures)):
            await self._nudge.wait()

    async def _idle(self, todo: Round) -> None:
        """There is nothing to send; the events of other types are left behind."""
        self._position = todo.end
        if todo.end - self._kept >= _STRIDE:
            now = self._clock.now_ms()
            await self._store.write(lambda tx: acknowledge(tx, self.outlet.consumer, todo.end, now))
            self._kept = todo.end
        rest_seconds = _LONGEST_REST_SECONDS
        if todo.next_parked_at is not None:
            rest_seconds = min(
                rest_seconds, max(_SHORTEST_REST_SECONDS, (todo.next_parked_at - self._clock.now_ms()) / 1000)
            )
        await self._rest(rest_seconds)

    async def _rest(self, seconds: float) -> None:
        with anyio.move_on_after(seconds):
            await self._wake.wait()


def _failed(attempts: dict[int, Attempt], parcel: Parcel) -> bool:
    attempt = attempts.get(parcel.event.cursor)
    return attempt is not None and attempt.error is not None
