"""Browsers' sessions that all nodes of a store know: kept in it, by digests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from orchestrator.clock import Clock
from storage.sessions import KeptSession, find_sessions, forget_session, keep_session
from storage.store import Store


class BrowserSessions:
    """Keeps them. Every method raises StoreUnavailable."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock

    async def keep(self, session: KeptSession, most: int) -> None:
        """Keeps a session; there are at most `most`, the oldest give way."""
        now = self._clock.now_ms()
        await self._store.write(lambda tx: keep_session(tx, session, now, most))

    async def known(self, digests: Sequence[str]) -> Mapping[str, KeptSession]:
        """Those of the sessions that have not been ended, by digest."""
        return {each.digest: each for each in await self._store.read(lambda tx: find_sessions(tx, digests))}

    async def forget(self, digest: str) -> None:
        """Ends a session on every node."""
        await self._store.write(lambda tx: forget_session(tx, digest))
