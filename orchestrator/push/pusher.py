"""Brings events to one receiver: new ones here, round by round, and parked ones beside that (`parked.py`).

A round takes the next events of the feed, sorts them by ordering key (an order, a product) and sends the keys side by
side, the events of each in order. Then it writes down what came of it, in one transaction:

- All arrived: the cursor moves on.
- Some arrived: the receiver is well, so what failed is about those events. They are parked with all later
  events of their ordering keys, and the cursor moves on: a failing order delays no other, however long it fails.
- Some have no answer when the round's time is up. Their calls go on, but nobody waits for them: they are parked as
  well, and nothing of their ordering keys is sent until the calls have ended. Keys that were not begun are left to
  the next round.
- All failed: the receiver is down. Nothing moves, the next round tries a few, after a pause that grows. An answer
  that is about the event (422) counts as well; and after a few rounds what fails is parked all the same, so that no
  set of events, however unlucky, blocks the others for good.

Events of one ordering key stay in order because each loop has its own half: this one alone parks events, the other
alone (with the ends of late calls) takes them away. This one sends an event only if its snapshot shows nothing parked
for the key; then all earlier events have arrived and are written down, and the other loop sends none of this key. If
that loop delivers the last parked event of a key after the snapshot, the next event is parked nevertheless, is due at
once, and keeps its place.

A crash repeats at most the calls that were out and what the rounds had not written down: events arrive at least once,
and a repeat has the same id.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp
import anyio
from anyio.abc import TaskGroup

from orchestrator.push import parked
from orchestrator.push.batch import EventBatch, Outcome, Round
from orchestrator.push.endpoint import LONGEST_REST_SECONDS, EndpointState, OverdueLimit
from orchestrator.push.envelope import Endpoint, PendingEvent, by_ordering_key, ordering_key_of
from orchestrator.push.parked import ParkedLoop
from orchestrator.push.sender import DutyConnector, PushContext, Sender
from storage.deliveries import delivery_state, park, parked_keys
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
    """What one round has to do. `fresh` come next in the feed, up to the cursor `end`; those with a key
    in `blocked` have to queue behind parked ones."""

    fresh: list[PendingEvent]
    blocked: set[str]
    end: int


class EndpointPusher:
    """Serves one receiver; `run` lasts until it is cancelled."""

    def __init__(self, endpoint: Endpoint, context: PushContext) -> None:
        self.endpoint = endpoint
        self._context, self._store, self._clock = context, context.store, context.clock
        self._state = EndpointState(endpoint, context)
        self._position = self._kept = 0
        self._ahead: set[int] = set()  # what is done beyond the position
        self._round: Round | None = None  # the one that goes on
        self._judged = 0  # the arrivals that earlier rounds have counted

    def __repr__(self) -> str:
        state = self._state
        counts = f"{state.failures} failed rounds, {state.arrivals} arrived, {len(state.late)} late"
        return f"<Pusher to {self.endpoint.name}: at cursor {self._position}, {len(self._ahead)} beyond it, {counts}>"

    def wake(self) -> None:
        """There is a new event."""
        self._state.fresh.wake()

    def wake_now(self) -> None:
        """A person paused or resumed: work is loaded at once, whatever is being waited for."""
        self._state.fresh.wake_now()
        self._state.parked.wake_now()

    def is_past(self, cursor: int) -> bool:
        """Whether an event beyond the kept cursor is not sent any more: it arrived, maybe in the round that goes on, or
        it is parked."""
        now = self._round  # read once, before what is ahead: a unit of work asks from another thread
        return (now is not None and now.has_arrived(cursor)) or cursor in self._ahead

    async def run(self) -> None:
        """Delivers until cancelled. Raises StoreError."""
        self._state = EndpointState(self.endpoint, self._context)  # the late calls of an earlier run are ignored
        self._judged = 0
        self._ahead, self._round = set(), None
        timeout = aiohttp.ClientTimeout(total=self._context.settings.timeout_seconds)
        connector = DutyConnector(_AT_ONCE + parked.AT_ONCE + _ROOM.calls, self._context.is_ours)
        jar = aiohttp.DummyCookieJar()
        self._position = self._kept = await self._store.read(lambda tx: consumer_cursor(tx, self.endpoint.consumer))
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, cookie_jar=jar) as session:
            sender = Sender(self.endpoint, self._context, session, self._state.attempts.append)
            try:
                async with anyio.create_task_group() as group:
                    group.start_soon(ParkedLoop(self._state, sender).run, group)
                    group.start_soon(self._run_fresh, sender, group)
            except ExceptionGroup as errors:
                raise _first(errors) from errors

    async def _run_fresh(self, sender: Sender, group: TaskGroup) -> None:
        wakeup = self._state.fresh
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
        """What is to be done next; None: a person paused the endpoint."""
        name = self.endpoint.name
        if delivery_state(tx, name).paused_at is not None:
            return None
        limit = _PROBE if self._state.failures else _BATCH
        events = list_events(tx, self._position, limit + len(self._ahead), self.endpoint.wanted)
        is_all = len(events) < limit + len(self._ahead)
        fresh = [PendingEvent(event, ordering_key_of(event), 0) for event in events if event.cursor not in self._ahead]
        return Todo(
            fresh=self._state.with_loads(tx, fresh),
            blocked=parked_keys(tx, name, {pending.ordering_key for pending in fresh}),
            end=max(self._position, last_cursor(tx)) if is_all else events[-1].cursor,
        )

    async def _work(self, sender: Sender, group: TaskGroup, todo: Todo) -> None:
        state = self._state

        def has_room(runs: Sequence[EventBatch]) -> bool:
            return state.has_room(runs, _ROOM)

        queues = [queue for key, queue in by_ordering_key(todo.fresh).items() if key not in todo.blocked]
        self._round = Round(sender, queues, _AT_ONCE, state.pace)
        outcome = await self._round.hold(group, state.round_seconds, has_room)
        is_well = bool(outcome.arrived) or state.arrivals > self._judged
        can_move = self._judge(outcome, is_well)
        behind = [pending for pending in todo.fresh if pending.ordering_key in todo.blocked]
        waiting = [*behind, *outcome.left, *(late.pending for late in outcome.late)]
        not_begun = {pending.event.cursor for pending in outcome.not_begun}
        end = min(not_begun, default=todo.end + 1) - 1

        def unit(tx: Transaction, now: int) -> None:
            for pending, _ in outcome.failed:
                state.park_failed(tx, pending, now)
            for pending in waiting:
                park(tx, self.endpoint.name, pending.event.cursor, pending.ordering_key, 0, now)
            acknowledge(tx, self.endpoint.consumer, end, now)

        state.note_late(outcome.late)
        await state.record(unit if can_move else _nothing, len(outcome.arrived), outcome.error)
        if can_move:
            self._position = self._kept = end
            done = self._ahead | {pending.event.cursor for pending in todo.fresh} - not_begun
            self._ahead = {cursor for cursor in done if cursor > end}
            state.settle(group, outcome.late, self._judged)
            state.parked.wake()
        self._judged, self._round = state.arrivals, None
        if state.failures and queues:
            await state.fresh.pause(state.wait_seconds(state.failures))

    def _judge(self, outcome: Outcome, is_well: bool) -> bool:
        """Whether the cursor may move over this round; counts it if it shows that the receiver is down."""
        state = self._state
        if is_well or not (outcome.failed or outcome.late):
            return True
        if outcome.failed or state.failures:  # no answer yet is a bad sign only where there were others
            state.fail(outcome.error)
        return bool(
            outcome.late
            or state.failures >= _STUBBORN_ROUNDS
            or all(attempt.is_refusal for _, attempt in outcome.failed)
        )

    async def _leave_behind(self, todo: Todo) -> None:
        """There is nothing to send; the cursor moves over the events of other types."""
        self._position = todo.end
        if self._ahead or todo.end - self._kept >= _STRIDE:
            now = self._clock.now_ms()
            await self._store.write(lambda tx: acknowledge(tx, self.endpoint.consumer, todo.end, now))
            self._kept, self._ahead = todo.end, set()


def _nothing(tx: Transaction, now: int) -> None:
    """Leaves everything as it is."""


def _first(errors: ExceptionGroup[Exception]) -> Exception:
    """The first error in nested groups: callers expect single errors."""
    error: Exception = errors
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
