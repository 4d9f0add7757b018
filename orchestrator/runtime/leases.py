"""Which shops are this node's: a lease each, renewed while its worker runs and released at the end.

On a store that only one node can open a lease is taken from any holder and never ends. Elsewhere it ends by itself when
its node dies; a node that cannot renew in time releases its shop, for it cannot know whether it still holds the lease.
That is decided by the time since the last renewal was *begun*, on the monotonic clock. Nodes compare ends by their wall
clocks: a node that is ahead by a term takes shops too early, and the fence rejects its writes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import anyio
import structlog

from orchestrator.clock import Clock, rfc3339
from storage.errors import StaleLease, StoreUnavailable
from storage.leases import Term, acquire, holder_of, release, renew
from storage.records import Shop
from storage.store import Store
from storage.transaction import Transaction

log = structlog.get_logger()

T = TypeVar("T")

TERM_SECONDS = 15.0
"""How long a node that died keeps its shops."""

_RELEASED = "given_up"  # the channel of the names of shops
_RENEWALS = 3  # in a term: two may fail


class Leases:
    """The leases of one node. `node` names it, the same in no other process."""

    def __init__(self, store: Store, node: str, clock: Clock, term_seconds: float = TERM_SECONDS) -> None:
        self._store, self._node, self._clock = store, node, clock
        self._seconds = term_seconds
        self.pause_seconds = term_seconds / _RENEWALS
        """How long to wait before a lease is renewed, or a shop that another node has is asked for again."""

    async def acquire(self, name: str, platform: str, first: Callable[[Transaction], T]) -> tuple[Shop, T] | None:
        """Takes a shop, and does `first` in the same transaction; None when another node has it."""

        def unit(tx: Transaction) -> tuple[Shop, T] | None:
            shop = acquire(tx, name, platform, self._node, self._term())
            return None if shop is None else (shop, first(tx))

        return await self._store.write(unit)

    async def log_wait(self, name: str) -> None:
        """Logs who has a shop that this node waits for, and until when unless it renews."""
        holder, until_ms = await self._store.read(lambda tx: holder_of(tx, name))
        log.warning(
            "shop.lease_awaited",
            shop=name,
            holder=holder,
            until=None if until_ms is None else rfc3339(until_ms),
            detail="another daemon has the shop's lease: nothing is done for it here until that ends or is released",
        )

    async def freed(self, name: str) -> None:
        """Returns when a shop of another node may be free: its lease was released, or `pause_seconds` are over."""
        with anyio.move_on_after(self.pause_seconds):
            async with self._store.listen(_RELEASED) as notices:
                async for shop in notices:
                    if shop == name:
                        return

    async def keep(self, name: str, epoch: int) -> None:
        """Renews a lease until it is cancelled; returns at once where a lease has no end. Raises StaleLease when
        another node has the shop, or may have it."""
        if self._store.is_exclusive:
            return
        good_until = self._clock.monotonic() + self._seconds
        while True:
            await anyio.sleep(self.pause_seconds)
            began = self._clock.monotonic()
            with anyio.move_on_after(max(0.0, good_until - began)):
                if await self._has_renewed(name, epoch):
                    good_until = began + self._seconds
            if self._clock.monotonic() >= good_until:
                raise StaleLease(name)

    async def release(self, name: str, epoch: int) -> None:
        """Releases a shop, and notifies the nodes that wait for it. Raises StoreUnavailable."""
        await self._store.write(lambda tx: release(tx, name, epoch))
        if not self._store.is_exclusive:
            await self._store.notify(_RELEASED, name)

    async def _has_renewed(self, name: str, epoch: int) -> bool:
        term = self._term()
        assert term is not None
        try:
            await self._store.write(lambda tx: renew(tx, name, epoch, term.until_ms))
        except StoreUnavailable:
            return False
        return True

    def _term(self) -> Term | None:
        if self._store.is_exclusive:
            return None
        now_ms = self._clock.now_ms()
        return Term(now_ms, now_ms + int(self._seconds * 1000))
