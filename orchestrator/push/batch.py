"""A round of calls: ordering keys side by side, the events of each in order, for a limited time.

A round does not wait for its slowest call. One that is out for a while gives its place among those that are made at
once to another key. What has not been answered when the time is up is *late*: the call goes on without the round, and
its end is announced to the caller (`EventBatch.ended`). Late calls hold bodies and connections, so the caller says
whether there is room for more of them; for as long as there is not, the round goes on.

All that is for receivers that hang for some events. One that is slow because it has much to do would only get more to
do by it. How such calls end shows which of the two it is: if one is answered well after all, the receiver is slow, and
rounds wait for their calls until one ends badly or none takes long any more. They begin no further call then once the
time is up: a single order that takes long each time would hold up all others, and a pause would wait for all of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import anyio
from anyio.abc import TaskGroup, TaskStatus

from orchestrator.push.envelope import PendingEvent
from orchestrator.push.sender import Attempt, Sender

_CHECKS = 5  # how often a round checks the calls that are out


@dataclass(slots=True, eq=False)
class EventBatch:
    """Events of one ordering key, sent in order until one fails or the round is over; `attempts` are of the first of
    them. `weight`: the bytes of the body that is out now. `seen_out`: so often the round has found this call out."""

    pending_events: list[PendingEvent]
    attempts: list[Attempt] = field(default_factory=list)
    is_out: bool = False
    weight: int = 0
    seen_out: int = 0
    is_replaced: bool = False
    ended: anyio.Event = field(default_factory=anyio.Event)


@dataclass(slots=True)
class Pace:
    """What the rounds with a receiver know of it; see above."""

    is_slow: bool = False


@dataclass(frozen=True, slots=True)
class OverdueCall:
    """A call that goes on after its round. `run.attempts[-1]` is its end, once `run.ended` is set."""

    pending: PendingEvent
    run: EventBatch
    weight: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a round came to. `left`: not tried, because one before it failed or is late, or the time was up;
    `not_begun`: all events of keys that were not begun."""

    arrived: list[PendingEvent]
    failed: list[tuple[PendingEvent, Attempt]]
    late: list[OverdueCall]
    left: list[PendingEvent]
    not_begun: list[PendingEvent]

    @property
    def error(self) -> str | None:
        """The last failure in words; None: nothing failed."""
        return self.failed[-1][1].error if self.failed else None


class Round:
    """Sends `queues`, each the events of one ordering key; call `hold` once."""

    def __init__(self, sender: Sender, queues: Sequence[list[PendingEvent]], at_once: int, pace: Pace) -> None:
        self._sender, self._at_once, self._pace = sender, at_once, pace
        self._runs = [EventBatch(pending_events) for pending_events in queues]
        self._waiting = deque(self._runs)
        self._working = 0
        self._is_over = False
        self._done = anyio.Event()

    def has_arrived(self, cursor: int) -> bool:
        """Whether an event of this round arrived, also while the round goes on."""
        return any(
            pending.event.cursor == cursor and attempt.error is None
            for run in self._runs
            for pending, attempt in zip(run.pending_events, run.attempts, strict=False)
        )

    async def hold(self, group: TaskGroup, seconds: float, has_room: Callable[[Sequence[EventBatch]], bool]) -> Outcome:
        """Makes calls in tasks of `group` until all is done or the time is up. `has_room` says whether runs that are
        out now may become late. At least one call is made by each task, however short the time."""
        for _ in range(min(self._at_once, len(self._runs))):
            await group.start(self._work)
        checks = 0
        while self._working:
            with anyio.move_on_after(seconds / _CHECKS):
                await self._done.wait()
            checks += 1
            out = [run for run in self._runs if run.is_out]
            for run in out:
                run.seen_out += 1
            self._is_over = self._pace.is_slow and checks >= _CHECKS
            if self._pace.is_slow or not has_room(out):
                continue
            if checks >= _CHECKS:
                break
            await self._replace(group, out)
        if checks < _CHECKS:
            self._pace.is_slow = False
        self._is_over = True
        return self._outcome()

    async def _replace(self, group: TaskGroup, out: Sequence[EventBatch]) -> None:
        """Gives the places of calls that take long to waiting keys."""
        for run in out:
            if self._waiting and run.seen_out > 1 and not run.is_replaced:
                run.is_replaced = True
                await group.start(self._work)

    async def _work(self, *, task_status: TaskStatus[None]) -> None:
        self._working += 1
        if self._done.is_set():  # all had ended when this one was asked to take over a key
            self._done = anyio.Event()
        task_status.started()
        while self._waiting and not self._is_over:
            run = self._waiting.popleft()
            await self._follow(run)
            if run.is_replaced:
                break
        self._working -= 1
        if not self._working:
            self._done.set()

    async def _follow(self, run: EventBatch) -> None:
        for pending in run.pending_events:
            run.is_out, run.seen_out = True, 0
            signed = await self._sender.pack(pending)
            run.weight = len(signed.body)
            attempt = await self._sender.post(signed)
            run.is_out = False
            run.attempts.append(attempt)
            if run.seen_out > 1:
                self._pace.is_slow = attempt.error is None
            if attempt.error is not None or self._is_over:
                break
        run.ended.set()

    def _outcome(self) -> Outcome:
        found = Outcome([], [], [], [], [])
        for run in self._runs:
            tried = len(run.attempts)
            if not tried and not run.is_out:
                found.not_begun.extend(run.pending_events)
                continue
            for pending, attempt in zip(run.pending_events, run.attempts, strict=False):
                if attempt.error is None:
                    found.arrived.append(pending)
                else:
                    found.failed.append((pending, attempt))
            if run.is_out:
                found.late.append(OverdueCall(replace(run.pending_events[tried], load=None), run, run.weight))
                tried += 1
            found.left.extend(run.pending_events[tried:])
            del run.pending_events[tried:]  # a late call may last: it keeps no payloads but its own
        return found
