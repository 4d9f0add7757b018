"""All receivers of the config: a pusher each, kept alive, exchanged when the config changes, operated by people.

Of several nodes one pushes to each receiver: that is a duty (runtime/duties.py), and what a pusher writes is fenced by
its lease. People operate receivers at any node; what they write reaches the pusher by a notice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import anyio
import structlog

from orchestrator.clock import Chance, Clock
from orchestrator.config import DeliverySettings
from orchestrator.push.by_hand import send_again, send_test
from orchestrator.push.envelope import Endpoint, endpoints_of
from orchestrator.push.pusher import EndpointPusher
from orchestrator.push.sender import PushContext
from orchestrator.runtime.duties import Duties, still_held
from storage.attempts import KeptAttempt
from storage.deliveries import hurry_parked, pause_delivery, replay
from storage.errors import StaleLease, StoreError, StoreUnavailable
from storage.leases import depose
from storage.store import Store
from storage.transaction import Published, Transaction

log = structlog.get_logger()

_FIRST_WAIT_SECONDS = 1.0
_ROUND_SECONDS = 5.0  # after that a round begins no further call and waits for none, so that no slow order delays it
_RESTART_SECONDS = 5.0


_CHANNEL = "push"

Reread = Callable[[], Awaitable[DeliverySettings | None]]
"""Awaited when a receiver refuses our signature: the settings with another secret, None without."""


async def nothing_changed() -> DeliverySettings | None:
    """The reread of a secret that is written in the config itself."""
    return None


@dataclass(slots=True, eq=False)
class _Replay:
    """A receiver's cursor that is to be set back."""

    endpoint: Endpoint
    cursor: int
    error: StoreError | None = None
    done: anyio.Event = field(default_factory=anyio.Event)

    def end(self, error: StoreError | None = None) -> None:
        self.error = error
        self.done.set()


class Deliveries:
    """Pushes events out. `run` lasts until it is cancelled; everything else may be called meanwhile. `duties`: None
    where no other node can push."""

    def __init__(
        self,
        settings: DeliverySettings | None,
        store: Store,
        clock: Clock,
        chance: Chance,
        reread: Reread = nothing_changed,
        duties: Duties | None = None,
        *,
        first_wait_seconds: float = _FIRST_WAIT_SECONDS,
        round_seconds: float = _ROUND_SECONDS,
    ) -> None:
        self._store, self._clock, self._chance = store, clock, chance
        self._waits = (first_wait_seconds, round_seconds)
        self._settings = settings
        self._pushers: tuple[EndpointPusher, ...] = ()  # those that run on this node
        self._duties = duties
        self._changed = anyio.Event()
        self._replays: deque[_Replay] = deque()
        self._reread = reread

    def __repr__(self) -> str:
        return f"<Deliveries: {', '.join(map(repr, self._pushers)) or 'no receiver'}>"

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """The receivers as the config has them now."""
        return endpoints_of(self._settings)

    def reload(self, settings: DeliverySettings | None) -> None:
        """Applies new settings. What is on its way is sent again: receivers recognise repeats by their id."""
        if settings != self._settings:
            self._settings = settings
            self._changed.set()

    def restart(self) -> None:
        """Goes on from the cursors that are kept: those in memory may be of another feed."""
        self._changed.set()

    async def _reread_secret(self) -> None:
        fresh = await self._reread()
        if fresh is not None:
            log.info("delivery.secret_changed", detail="read again from its file")
            self.reload(fresh)

    def wake(self, published: Sequence[Published]) -> None:
        """Called after each commit with what it published."""
        for pusher in self._pushers:
            if any(event.type in pusher.endpoint.types for event in published):
                pusher.wake()

    async def pause(self, name: str) -> bool:
        """Stops sending to a receiver until it is resumed, also over restarts; False: there is no such receiver."""
        now = self._clock.now_ms()
        return await self._switch(name, lambda tx: pause_delivery(tx, name, now), is_paused=True)

    async def resume(self, name: str) -> bool:
        """Ends a pause, and tries at once what waits for its next attempt; False: there is no such receiver."""
        now = self._clock.now_ms()

        def unit(tx: Transaction) -> bool:
            hurry_parked(tx, name, now)
            return pause_delivery(tx, name, None)

        return await self._switch(name, unit, is_paused=False)

    async def _switch(self, name: str, unit: Callable[[Transaction], bool], *, is_paused: bool) -> bool:
        if name not in {endpoint.name for endpoint in self.endpoints}:
            return False
        if await self._store.write(unit):
            log.info("delivery.switched", name=name, paused=is_paused)
        await self._wake_now(name)
        return True

    async def _wake_now(self, name: str) -> None:
        """Wakes the pusher to a receiver, on this node or another."""
        for pusher in self._pushers:
            if pusher.endpoint.name == name:
                pusher.wake_now()
                return
        if not self._store.is_exclusive:
            await self._store.notify(_CHANNEL, name)

    async def send(self, name: str, cursor: int) -> KeptAttempt | None:
        """Sends an event once more to a receiver of the config; None: it has yet to arrive, and is due now. Where
        another node pushes, its last round may not be written down yet.

        Raises Refused `event-not-found`, StoreError."""

        def is_past(cursor: int) -> bool:
            return any(pusher.endpoint.name == name and pusher.is_past(cursor) for pusher in self._pushers)

        sent = await send_again(self._endpoint(name), self._context(), cursor, is_past)
        if sent is None:
            await self._wake_now(name)
        return sent

    async def test(self, name: str) -> KeptAttempt:
        """Sends a test to a receiver of the config. Raises StoreError."""
        return await send_test(self._endpoint(name), self._context())

    async def replay(self, name: str, cursor: int) -> None:
        """Sends a receiver of the config again what lies above `cursor`, in order; one that has not come so far goes
        on where it is. Raises StoreError."""
        if self._duties is not None and not self._store.is_exclusive:
            await self._replay_anywhere(self._duties, self._endpoint(name), cursor)
            return
        wanted = _Replay(self._endpoint(name), cursor)
        self._replays.append(wanted)
        self._changed.set()
        await wanted.done.wait()
        if wanted.error is not None:
            raise wanted.error

    async def _replay_anywhere(self, duties: Duties, endpoint: Endpoint, cursor: int) -> None:
        """Whichever node pushes loses its duty with what sets the cursor back: it would move its own on over what is to
        be sent again. Whoever takes the duty then begins at the new one."""

        def unit(tx: Transaction) -> None:
            depose(tx, _duty_of(endpoint), "duties")
            replay(tx, endpoint.name, cursor)

        await self._store.write(unit)
        log.info("delivery.replayed", name=endpoint.name, cursor=cursor)
        await duties.notify()

    def _endpoint(self, name: str) -> Endpoint:
        return next(endpoint for endpoint in self.endpoints if endpoint.name == name)

    async def run(self) -> None:
        """Delivers until cancelled."""
        try:
            await self._run()
        finally:
            for wanted in self._replays:
                wanted.end(StoreUnavailable("the daemon stopped before the replay began"))

    async def _run(self) -> None:
        if not self._store.is_exclusive:
            async with anyio.create_task_group() as group:
                group.start_soon(self._listen)
                group.start_soon(self._push_all)
            return
        await self._push_all()

    async def _listen(self) -> None:
        async with self._store.listen(_CHANNEL) as notices:
            async for name in notices:
                for pusher in self._pushers:
                    if pusher.endpoint.name == name:
                        pusher.wake_now()

    async def _push_all(self) -> None:
        while True:
            self._changed = anyio.Event()
            await self._rewind()
            async with anyio.create_task_group() as group:
                for endpoint in self.endpoints:
                    group.start_soon(self._push, endpoint)
                await self._changed.wait()
                group.cancel_scope.cancel()

    async def _push(self, endpoint: Endpoint) -> None:
        """Pushes to a receiver, whenever that is this node's duty."""

        async def work(store: Store) -> None:
            pusher = EndpointPusher(endpoint, replace(self._context(store), is_ours=still_held(store)))
            self._pushers = (*self._pushers, pusher)
            try:
                await _keep(pusher)
            finally:
                self._pushers = tuple(each for each in self._pushers if each is not pusher)

        await (work(self._store) if self._duties is None else self._duties.hold(_duty_of(endpoint), work))

    async def _rewind(self) -> None:
        """Sets cursors back. No pusher runs meanwhile: one would move its own on over what is to be sent again."""
        while self._replays:
            wanted = self._replays[0]
            try:
                await self._store.write(partial(replay, name=wanted.endpoint.name, cursor=wanted.cursor))
            except StoreError as error:
                wanted.end(error)
            else:
                log.info("delivery.replayed", name=wanted.endpoint.name, cursor=wanted.cursor)
                wanted.end()
            self._replays.popleft()

    def _context(self, store: Store | None = None) -> PushContext:
        assert self._settings is not None
        store = self._store if store is None else store
        return PushContext(self._settings, store, self._clock, self._chance, *self._waits, self._reread_secret)


def _duty_of(endpoint: Endpoint) -> str:
    return f"push:{endpoint.name}"


async def _keep(pusher: EndpointPusher) -> None:
    """Restarts a pusher whenever it fails. Raises StaleLease when another node pushes by now."""
    while True:
        try:
            await pusher.run()
        except StaleLease:
            raise
        except StoreError as error:
            log.error("delivery.stopped", name=pusher.endpoint.name, detail=str(error))
        except Exception as error:  # supervised: a failing receiver stops no other
            log.error("delivery.crashed", name=pusher.endpoint.name, exc_info=error)
        await anyio.sleep(_RESTART_SECONDS)
