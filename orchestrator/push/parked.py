"""The second loop of a pusher: retries parked events.

It alone removes and reschedules them, one ordering key after another: the first event of a key says when the key is
due, and then a run of its events is sent until one fails. Keys whose calls hang delay only other parked events, and
those not for long: a call that outlasts the round goes on by itself.

While the receiver is down, one or two events are tried now and then: new events are the better sign of its recovery,
but they may all be of the kind that it does not take.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from anyio.abc import TaskGroup

from orchestrator.push.batch import EventBatch, Round
from orchestrator.push.endpoint import LONGEST_REST_SECONDS, EndpointState, OverdueLimit
from orchestrator.push.envelope import PendingEvent, by_ordering_key
from orchestrator.push.sender import Sender
from storage.deliveries import delivery_state, list_parked, parked_heads, unpark
from storage.transaction import Transaction

AT_ONCE = 2
_ROOM = OverdueLimit(calls=16, weight=4 * 1024 * 1024)
_KEYS = 64
_RUN = 16  # events of one key in a round
_BATCH = 256  # events of all keys in a round: their data is in memory
_SHORTEST_REST_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class Due:
    """What one round has to do: events by ordering key. `next_at`: when the next key is due, in Unix milliseconds."""

    queues: list[list[PendingEvent]]
    next_at: int | None


class ParkedLoop:
    """Serves what is parked for one receiver; `run` lasts until it is cancelled."""

    def __init__(self, state: EndpointState, sender: Sender) -> None:
        self._state, self._sender = state, sender

    async def run(self, group: TaskGroup) -> None:
        """Delivers until cancelled; calls that outlast a round live in `group`. Raises StoreError."""
        state = self._state
        while True:
            state.parked.listen()
            state.watch_late()
            due = await state.store.read(self._load)
            if due is None:
                await state.parked.rest(LONGEST_REST_SECONDS)
            elif queues := [queue for queue in due.queues if queue[0].ordering_key not in state.late_since_watch]:
                arrivals = state.arrivals
                await self._work(group, queues)
                if state.failures and state.arrivals == arrivals:
                    await state.parked.pause(state.wait_seconds(state.failures))
            else:
                await state.parked.rest(self._rest_seconds(due))

    def _load(self, tx: Transaction) -> Due | None:
        """What is due; None: a person paused the endpoint."""
        state = self._state
        name, now = state.endpoint.name, state.clock.now_ms()
        if delivery_state(tx, name).paused_at is not None:
            return None
        late = set(state.late_since_watch)
        keys, run = (AT_ONCE, 1) if state.failures else (_KEYS, _RUN)
        heads = [
            head
            for head in parked_heads(tx, name, keys + len(late) + 1, now + state.longest_wait_ms)
            if head.ordering_key not in late
        ]
        pending_events: list[PendingEvent] = []
        for head in heads[:keys]:
            if head.due_at <= now and len(pending_events) < _BATCH:
                found = list_parked(tx, name, head.ordering_key, run)
                pending_events += (PendingEvent(each.event, each.ordering_key, each.attempts) for each in found)
        return Due(
            queues=list(by_ordering_key(state.with_loads(tx, pending_events)).values()),
            next_at=next((head.due_at for head in heads if head.due_at > now), None),
        )

    async def _work(self, group: TaskGroup, queues: Sequence[list[PendingEvent]]) -> None:
        state = self._state

        def has_room(runs: Sequence[EventBatch]) -> bool:
            return state.has_room(runs, _ROOM)

        outcome = await Round(self._sender, queues, AT_ONCE, state.pace).hold(group, state.round_seconds, has_room)
        state.note_late(outcome.late)

        def unit(tx: Transaction, now: int) -> None:
            for pending in outcome.arrived:
                unpark(tx, state.endpoint.name, pending.event.cursor)
            for pending, _ in outcome.failed:
                state.park_failed(tx, pending, now)

        if outcome.arrived or outcome.failed:
            await state.record(unit, len(outcome.arrived), outcome.error)
        state.settle(group, outcome.late)

    def _rest_seconds(self, due: Due) -> float:
        if due.next_at is None:
            return LONGEST_REST_SECONDS
        seconds = (due.next_at - self._state.clock.now_ms()) / 1000
        return min(LONGEST_REST_SECONDS, max(_SHORTEST_REST_SECONDS, seconds))
