"""What a person sends to a receiver beside the pusher: an event once more, or a test.

An event that arrived before may be sent at once: whoever gets it again knows it by its id. One that has yet to arrive
is the pusher's, which keeps the order's events in sequence; a person can make it due, and no more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import aiohttp

from orchestrator.connections import CleanConnector
from orchestrator.decisions.refusals import Refused
from orchestrator.event_types import TEST_TYPE
from orchestrator.operations.inclusions import Payload
from orchestrator.push.envelope import Endpoint, Load, PendingEvent, ordering_key_of
from orchestrator.push.sender import PushContext, Sender
from storage.attempts import Attempt, KeptAttempt, Kind, last_attempt, note_attempts
from storage.deliveries import hurry_key, is_parked
from storage.events import consumer_cursor, list_events
from storage.records import Event
from storage.transaction import Transaction


class _Found(NamedTuple):
    """An event, and how often it was tried; `is_due`: it has yet to arrive."""

    event: Event
    attempts: int
    is_due: bool


async def send_again(
    endpoint: Endpoint, context: PushContext, cursor: int, is_past: Callable[[int], bool]
) -> KeptAttempt | None:
    """Sends the event at `cursor` once more and returns how that ended; None: it has yet to arrive, and is due now.
    `is_past`: whether the pusher is through with an event, which it may be beyond the cursor that is kept.

    Raises Refused `event-not-found`, StoreError.
    """
    now = context.clock.now_ms()

    def unit(tx: Transaction) -> _Found:
        event = _event(tx, endpoint, cursor)
        is_waiting = is_parked(tx, endpoint.name, cursor)
        if is_waiting:
            hurry_key(tx, endpoint.name, ordering_key_of(event), now)
        is_due = is_waiting or not (is_past(cursor) or cursor <= consumer_cursor(tx, endpoint.consumer))
        return _Found(event, last_attempt(tx, endpoint.name, cursor), is_due)

    found = await context.store.write(unit)
    if found.is_due:
        return None
    return await _send(endpoint, context, PendingEvent(found.event, "", found.attempts), "again")


async def send_test(endpoint: Endpoint, context: PushContext) -> KeptAttempt:
    """Sends a test, which is signed as any event, and returns how that ended. Raises StoreError."""
    event = Event(0, context.clock.now_ms(), TEST_TYPE, None, None, None, {})
    return await _send(endpoint, context, PendingEvent(event, "", 0, Load(Payload(b"{}", "none"))), "test")


def _event(tx: Transaction, endpoint: Endpoint, cursor: int) -> Event:
    found = [event for event in list_events(tx, cursor - 1, 1) if event.cursor == cursor]
    if not found:
        raise Refused("event-not-found", f"no event has the cursor {cursor}, or it is kept no more")
    if found[0].type not in endpoint.types:
        detail = f"the event at {cursor} is {found[0].type}, which {endpoint.name} does not get"
        raise Refused("event-not-found", f"{detail}; it gets {', '.join(endpoint.types)}")
    return found[0]


async def _send(endpoint: Endpoint, context: PushContext, pending: PendingEvent, kind: Kind) -> KeptAttempt:
    made: list[Attempt] = []
    timeout = aiohttp.ClientTimeout(total=context.settings.timeout_seconds)
    connector, jar = CleanConnector(limit=1), aiohttp.DummyCookieJar()
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, cookie_jar=jar) as session:
        sender = Sender(endpoint, context, session, made.append)
        signed = await sender.pack(pending)
        await sender.post(signed._replace(kind=kind, cursor=None if kind == "test" else signed.cursor))

    event = pending.event

    def unit(tx: Transaction) -> KeptAttempt:
        (attempt_id,) = note_attempts(tx, endpoint.name, made)
        return KeptAttempt(attempt_id, made[0], event.type, event.shop, event.order)

    return await context.store.write(unit)
