"""What is to be done once among all nodes: pushing to each receiver, and the upkeep of the store.

A duty has a lease as a shop has, and is spread, handed over and fenced by the same rules: what is written for it is
written under its lease's epoch (`DutyStore`). Where only one process can have the store open every duty is that one's,
and costs nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import anyio
import structlog

from orchestrator.clock import Clock
from orchestrator.runtime.leases import Hold, Leases
from orchestrator.runtime.membership import Membership
from storage.changes import Change
from storage.errors import StoreError, StoreLost, store_errors
from storage.leases import fence
from storage.store import Store
from storage.transaction import Transaction

log = structlog.get_logger()

T = TypeVar("T")

Work = Callable[[Store], Awaitable[None]]
"""Does a duty until it is cancelled, with a store that writes only while the duty is this node's."""

_RELEASE_SECONDS: Final = 5.0
_AGAIN_SECONDS: Final = 1.0


class Duties:
    """The duties of one node. `names`: those that it takes its share of."""

    def __init__(self, store: Store, membership: Membership, clock: Clock) -> None:
        self._store, self._membership = store, membership
        self._leases = Leases(store, membership, clock, "duties")
        self.names: set[str] = set()

    def __repr__(self) -> str:
        return f"<Duties: {', '.join(sorted(self.names)) or 'none'}>"

    async def hold(self, name: str, work: Work) -> None:
        """Does a duty whenever it is this node's, until cancelled."""
        if self._store.is_exclusive:
            return await work(self._store)
        self.names.add(name)
        try:
            await self._membership.announce()
            while True:
                try:
                    await self._do(name, work)
                except StoreError as error:
                    log.info("duty.interrupted", duty=name, detail=str(error))
                except Exception:  # supervised: one duty's fault is not the daemon's
                    log.exception("duty.crashed", duty=name)
                await anyio.sleep(_AGAIN_SECONDS)
        finally:
            self.names.discard(name)

    async def notify(self) -> None:
        """Who has which duty has changed: every node looks at once."""
        if not self._store.is_exclusive:
            self._membership.look_in(0)
            await self._membership.notify()

    async def _do(self, name: str, work: Work) -> None:
        """Does a duty once it is this node's, until it is to be another one's. Raises StoreError."""
        await self._leases.meant(name)
        hold = await self._leases.acquire_duty(name)
        if hold is None:
            return
        log.debug("duty.begun", duty=name)
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._leases.keep, hold)
                group.start_soon(self._work, hold, work)
                await hold.moved.wait()
                group.cancel_scope.cancel()
        except ExceptionGroup as errors:
            if (interrupted := store_errors(errors)) is None:
                raise
            raise interrupted[0] from errors
        finally:
            with anyio.CancelScope(shield=True), anyio.move_on_after(_RELEASE_SECONDS), suppress(StoreError):
                await self._leases.release(hold)

    async def _work(self, hold: Hold, work: Work) -> None:
        await work(DutyStore(self._store, hold.name, hold.epoch, partial(self._leases.may_send, hold)))
        await anyio.sleep_forever()  # it is done: it stays this node's, so that no other one begins anew


def still_held(store: Store) -> Callable[[], bool]:
    """Of the store that a duty is done with: whether the duty is this node's for long enough that what leaves now
    arrives before another one begins."""
    return store.may_send if isinstance(store, DutyStore) else lambda: True


class DutyStore:
    """A store whose units are written only while a duty is this node's. `epoch`: of its lease; `may_send`: whether what
    is done for it may still leave."""

    def __init__(self, store: Store, duty: str, epoch: int, may_send: Callable[[], bool]) -> None:
        self._store, self._duty, self._epoch = store, duty, epoch
        self.may_send = may_send

    @property
    def url(self) -> str:
        """As `Store.url`."""
        return self._store.url

    @property
    def is_exclusive(self) -> bool:
        """As `Store.is_exclusive`."""
        return self._store.is_exclusive

    @property
    def state_directory(self) -> Path:
        """As `Store.state_directory`."""
        return self._store.state_directory

    async def write(self, unit: Callable[[Transaction], T]) -> T:
        """As `Store.write`. Raises StaleLease, and does nothing, when another node has the duty by now."""
        return await self._store.write(self._fenced(unit))

    async def write_bulk(self, unit: Callable[[Transaction], T]) -> T:
        """As `Store.write_bulk`. Raises StaleLease as `write`."""
        return await self._store.write_bulk(self._fenced(unit))

    async def write_first(self, unit: Callable[[Transaction], T]) -> T:
        """As `Store.write_first`. Raises StaleLease as `write`."""
        return await self._store.write_first(self._fenced(unit))

    async def change(self, change: Change) -> bool:
        """As `Store.change`; a change is fenced by its shop."""
        return await self._store.change(change)

    async def read(self, unit: Callable[[Transaction], T]) -> T:
        """As `Store.read`."""
        return await self._store.read(unit)

    async def notify(self, channel: str, text: str) -> None:
        """As `Store.notify`."""
        await self._store.notify(channel, text)

    def listen(self, channel: str) -> AbstractAsyncContextManager[AsyncIterator[str]]:
        """As `Store.listen`."""
        return self._store.listen(channel)

    async def watch(self, every_seconds: float) -> StoreLost:
        """As `Store.watch`."""
        return await self._store.watch(every_seconds)

    def gauges(self) -> Mapping[str, float]:
        """As `Store.gauges`."""
        return self._store.gauges()

    def _fenced(self, unit: Callable[[Transaction], T]) -> Callable[[Transaction], T]:
        def fenced(tx: Transaction) -> T:
            fence(tx, self._duty, self._epoch, "duties")
            return unit(tx)

        return fenced
