"""Brings events to one receiver: new ones here, round by round, and parked ones beside that (`parked.py`).

A round takes the next events of the feed, sorts them into lanes (an order, a product) and sends the lanes side by side,
each in order. Then it writes down what came of it, in one transaction:

- All arrived: the cursor moves on.
- Some arrived: the receiver is well, so what failed is about those events. They are parked with all that is behind
  them in their lanes, and the cursor moves on: one order's trouble holds no other up, however long it lasts.
- Some have no answer when the round's time is up. Their calls go on, but nobody waits for them: they are parked as
  well, and their lanes let alone until the calls have ended. Lanes whose turn did not come are the next round's.
- All failed: the receiver is down. Nothing moves, the next round tries a few, after a pause that grows. An answer
  that is about the event (422) counts as well; and after a few rounds what fails is parked all the same, so that no
  set of events, however unlucky, stands in the way of the others for good.

Order in a lane holds because each loop has its own half: this one alone parks events, the other alone (with the ends of
late calls) takes them away. This one sends an event only if its snapshot shows nothing parked in the lane; then all
before it has arrived and is written down, and nobody else can have the lane in hand. If the other loop empties a lane
after the snapshot, the event is parked nevertheless, is due at once, and comes in its turn.

A crash repeats at most what was out and what the rounds had not written down: events arrive at least once, and their
id tells a repeat.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp
import anyio
from anyio.abc import TaskGroup

from orchestrator.push import parked
from orchestrator.push.batch import EventBatch, Outcome, Round
from orchestrator.push.endpoint import LONGEST_REST_SECONDS, OverdueLimit, Receiver
from orchestrator.push.envelope import Endpoint, PendingEvent, lane_of, lanes_of
from orchestrator.push.parked import ParkedLoop
from orchestrator.push.sender import PushContext, Sender
from storage.deliveries import delivery_state, park, parked_lanes
from storage.events import acknowledge, consumer_cursor, last_cursor, list_events
from storage.transaction import Transaction

_BATCH = 64
_PROBE = 8  # events that are tried while the receiver is down
_AT_ONCE = 6
_ROOM = OverdueLimit(calls=40, weight=12 * 1024 * 1024)  # far more than parked ones get: those must not use it up
_STUBBORN_ROUNDS = 3  # rounds without success after which failing events are parked all the same
_STRIDE = 1000  # how far the kept cursor may lag behind events of other types


@dataclass(frozen=True, slots=True)
class Todo:
    """What one round has to do. `fresh` come next in the feed, up to the cursor `end`; those in `blocked` lanes have to
    queue behind parked ones."""

    fresh: list[PendingEvent]
    blocked: set[str]
    end: int


class EndpointPusher:
    """Serves one receiver; `run` lasts until it is cancelled."""

    def __init__(self, endpoint: Endpoint, context: PushContext) -> None:
        self.endpoint = endpoint
        self._means, self._store, self._clock = context, context.store, context.clock
        self._receiver = Receiver(endpoint, context)
        self._position = self._kept = 0
        self._ahead: set[int] = set()  # what is done beyond the position
        self._judged = 0  # the receiver's arrivals that earlier rounds have seen

    def __repr__(self) -> str:
        receiver = self._receiver
        state = f"{receiver.failures} failed rounds, {receiver.arrivals} arrived, {len(receiver.late)} late"
        return f"<Pusher to {self.endpoint.name}: at cursor {self._position}, {len(self._ahead)} beyond it, {state}>"

    def wake(self) -> None:
        """There is a new event."""
        self._receiver.fresh.wake()

    def wake_now(self) -> None:
        """A person paused or resumed: look at once, whatever is being waited for."""
        self._receiver.fresh.wake_now()
        self._receiver.parked.wake_now()

    async def run(self) -> None:
        """Delivers until cancelled. Raises StoreError."""
        self._receiver = Receiver(self.endpoint, self._means)  # of an earlier run's late calls nobody hears
        self._judged = 0
        self._ahead = set()
        timeout = aiohttp.ClientTimeout(total=self._means.settings.timeout_seconds)
        connector = aiohttp.TCPConnector(limit=_AT_ONCE + parked.AT_ONCE + _ROOM.calls)
        jar = aiohttp.DummyCookieJar()
        self._position = self._kept = await self._store.read(lambda tx: consumer_cursor(tx, self.endpoint.consumer))
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, cookie_jar=jar) as session:
            sender = Sender(self.endpoint, self._means, session)
            try:
                async with anyio.create_task_group() as group:
                    group.start_soon(ParkedLoop(self._receiver, sender).run, group)
                    group.start_soon(self._run_fresh, sender, group)
            except ExceptionGroup as errors:
                raise _first(errors) from errors

    async def _run_fresh(self, sender: Sender, group: TaskGroup) -> None:
        wakeup = self._receiver.fresh
        while True:
            wakeup.listen()
            todo = await self._store.read(self._load)
            if todo is None:
                await wakeup.rest(LONGEST_REST_SECONDS)
            elif todo.fresh:
                await self._work(sender, group, todo)
            else:
                await self._leave_behind(todo)
                await wakeup.rest(LONGEST_REST_SECONDS)

    # -- one round -------------------------------------------------------------------------------------------------

    def _load(self, tx: Transaction) -> Todo | None:
        """What is to be done next; None: a person wants nothing sent."""
        name = self.endpoint.name
        if delivery_state(tx, name).paused_at is not None:
            return None
        limit = _PROBE if self._receiver.failures else _BATCH
        events = list_events(tx, self._position, limit + len(self._ahead), self.endpoint.wanted)
        is_all = len(events) < limit + len(self._ahead)
        fresh = [PendingEvent(event, lane_of(event), 0) for event in events if event.cursor not in self._ahead]
        return Todo(
            fresh=self._receiver.with_payloads(tx, fresh),
            blocked=parked_lanes(tx, name, {pending.lane for pending in fresh}),
            end=max(self._position, last_cursor(tx)) if is_all else events[-1].cursor,
        )

    async def _work(self, sender: Sender, group: TaskGroup, todo: Todo) -> None:
        it = self._receiver

        def has_room(runs: Sequence[EventBatch]) -> bool:
            return it.has_room(runs, _ROOM)

        lanes = [pending_events for lane, pending_events in lanes_of(todo.fresh).items() if lane not in todo.blocked]
        outcome = await Round(sender, lanes, _AT_ONCE, it.pace).hold(group, it.round_seconds, has_room)
        is_well = bool(outcome.arrived) or it.arrivals > self._judged
        can_move = self._judge(outcome, is_well)
        behind = [pending for pending in todo.fresh if pending.lane in todo.blocked]
        waiting = [*behind, *outcome.left, *(late.pending for late in outcome.late)]
        turnless = {pending.event.cursor for pending in outcome.untouched}
        end = min(turnless, default=todo.end + 1) - 1

        def unit(tx: Transaction, now: int) -> None:
            for pending, _ in outcome.failed:
                it.park_failed(tx, pending, now)
            for pending in waiting:
                park(tx, self.endpoint.name, pending.event.cursor, pending.lane, 0, now)
            acknowledge(tx, self.endpoint.consumer, end, now)

        it.note_late(outcome.late)
        await it.record(unit if can_move else _nothing, len(outcome.arrived), outcome.error)
        if can_move:
            self._position = self._kept = end
            done = self._ahead | {pending.event.cursor for pending in todo.fresh} - turnless
            self._ahead = {cursor for cursor in done if cursor > end}
            it.settle(group, outcome.late, self._judged)
            it.parked.wake()
        self._judged = it.arrivals
        if it.failures and lanes:
            await it.fresh.pause(it.wait_seconds(it.failures))

    def _judge(self, outcome: Outcome, is_well: bool) -> bool:
        """Whether the cursor may move over this round; counts it if it shows that the receiver is down."""
        it = self._receiver
        if is_well or not (outcome.failed or outcome.late):
            return True
        if outcome.failed or it.failures:  # no answer yet is a bad sign only where there were others
            it.fail(outcome.error)
        return bool(
            outcome.late or it.failures >= _STUBBORN_ROUNDS or all(attempt.is_refusal for _, attempt in outcome.failed)
        )

    async def _leave_behind(self, todo: Todo) -> None:
        """There is nothing to send; the events of other types are left behind."""
        self._position = todo.end
        if self._ahead or todo.end - self._kept >= _STRIDE:
            now = self._clock.now_ms()
            await self._store.write(lambda tx: acknowledge(tx, self.endpoint.consumer, todo.end, now))
            self._kept, self._ahead = todo.end, set()


def _nothing(tx: Transaction, now: int) -> None:
    """Leaves everything as it is."""


def _first(errors: ExceptionGroup[Exception]) -> Exception:
    """What went wrong, out of its groups: callers know single errors."""
    error: Exception = errors
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
