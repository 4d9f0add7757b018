"""The second loop of a courier: tries parked events again.

It alone removes and reschedules them, lane by lane: the first event of a lane says when the lane is due, and then a run
of its events is sent until one fails. Lanes that hang hold up nobody but other parked ones, and those not for long: a
call that outlasts the round goes on by itself.

While the receiver is down, one or two events are tried now and then: new events are the better sign of its recovery,
but they may all be of the kind that it does not take.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from anyio.abc import TaskGroup

from orchestrator.push.batch import EventBatch, Round
from orchestrator.push.endpoint import LONGEST_REST_SECONDS, OverdueLimit, Receiver
from orchestrator.push.envelope import PendingEvent, lanes_of
from orchestrator.push.sender import Sender
from storage.deliveries import delivery_state, list_parked, parked_heads, unpark
from storage.transaction import Transaction

AT_ONCE = 2
_ROOM = OverdueLimit(calls=16, weight=4 * 1024 * 1024)
_LANES = 64
_RUN = 16  # events of a lane in a round
_BATCH = 256  # events of all lanes in a round: their data is in memory
_SHORTEST_REST_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class Due:
    """What one round has to do: events by lane. `next_at`: when the next lane is due, in Unix milliseconds."""

    lanes: list[list[PendingEvent]]
    next_at: int | None


class ParkedLoop:
    """Serves what is parked for one receiver; `run` lasts until it is cancelled."""

    def __init__(self, receiver: Receiver, sender: Sender) -> None:
        self._receiver, self._sender = receiver, sender

    async def run(self, group: TaskGroup) -> None:
        """Delivers until cancelled; calls that outlast a round live in `group`. Raises StoreError."""
        it = self._receiver
        while True:
            it.parked.listen()
            it.watch_late()
            due = await it.store.read(self._load)
            if due is None:
                await it.parked.rest(LONGEST_REST_SECONDS)
            elif lanes := [
                pending_events for pending_events in due.lanes if pending_events[0].lane not in it.seen_late
            ]:
                arrivals = it.arrivals
                await self._work(group, lanes)
                if it.failures and it.arrivals == arrivals:
                    await it.parked.pause(it.wait_seconds(it.failures))
            else:
                await it.parked.rest(self._rest_seconds(due))

    def _load(self, tx: Transaction) -> Due | None:
        """What is due; None: a person wants nothing sent."""
        it, name, now = self._receiver, self._receiver.endpoint.name, self._receiver.clock.now_ms()
        if delivery_state(tx, name).paused_at is not None:
            return None
        late = set(it.seen_late)
        lanes, run = (AT_ONCE, 1) if it.failures else (_LANES, _RUN)
        heads = [
            head
            for head in parked_heads(tx, name, lanes + len(late) + 1, now + it.longest_wait_ms)
            if head.lane not in late
        ]
        pending_events: list[PendingEvent] = []
        for head in heads[:lanes]:
            if head.due_at <= now and len(pending_events) < _BATCH:
                found = list_parked(tx, name, head.lane, run)
                pending_events += (PendingEvent(each.event, each.lane, each.attempts) for each in found)
        return Due(
            lanes=list(lanes_of(it.with_payloads(tx, pending_events)).values()),
            next_at=next((head.due_at for head in heads if head.due_at > now), None),
        )

    async def _work(self, group: TaskGroup, lanes: Sequence[list[PendingEvent]]) -> None:
        it = self._receiver

        def has_room(runs: Sequence[EventBatch]) -> bool:
            return it.has_room(runs, _ROOM)

        outcome = await Round(self._sender, lanes, AT_ONCE, it.pace).hold(group, it.round_seconds, has_room)
        it.note_late(outcome.late)

        def unit(tx: Transaction, now: int) -> None:
            for pending in outcome.arrived:
                unpark(tx, it.endpoint.name, pending.event.cursor)
            for pending, _ in outcome.failed:
                it.park_failed(tx, pending, now)

        if outcome.arrived or outcome.failed:
            await it.record(unit, len(outcome.arrived), outcome.error)
        it.settle(group, outcome.late)

    def _rest_seconds(self, due: Due) -> float:
        if due.next_at is None:
            return LONGEST_REST_SECONDS
        seconds = (due.next_at - self._receiver.clock.now_ms()) / 1000
        return min(LONGEST_REST_SECONDS, max(_SHORTEST_REST_SECONDS, seconds))
