"""Says in the log, at level error, that an order waits for a person: once each time that it is blocked.

The feed has the event; whoever watches the log alone must not miss it. The event is read after its commit, in a task of
its own, so that no unit of work waits for it: what is not said yet when the daemon ends is said before.
"""

from __future__ import annotations

from collections import deque
from typing import Final

import anyio
import structlog

from orchestrator.operations.remedies import remedy
from storage.errors import StoreError
from storage.events import list_events
from storage.store import Store
from storage.transaction import Published

log = structlog.get_logger()

_TYPE = "order.blocked"
_LAST_SECONDS: Final = 2.0


class BlockedLog:
    """`note` is called with what was committed, `run` lasts until it is cancelled."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._cursors: deque[int] = deque()
        self._wake = anyio.Event()

    def note(self, published: list[Published]) -> None:
        """Notes the orders that were blocked."""
        cursors = [event.cursor for event in published if event.type == _TYPE]
        if cursors:
            self._cursors += cursors
            self._wake.set()

    async def run(self) -> None:
        """Logs them, in the order of the feed."""
        try:
            while True:
                await self._wake.wait()
                self._wake = anyio.Event()
                await self._log_noted()
        finally:
            with anyio.move_on_after(_LAST_SECONDS, shield=True):
                await self._log_noted()

    async def _log_noted(self) -> None:
        while self._cursors:
            await self._log(self._cursors[0])
            self._cursors.popleft()

    async def _log(self, cursor: int) -> None:
        try:
            found = await self._store.read(lambda tx: list_events(tx, cursor - 1, 1))
        except StoreError as error:
            log.error(_TYPE, cursor=cursor, detail=str(error))
            return
        for event in found:
            problem, shop, order = event.data.get("problem") or {}, event.shop or "", event.order or ""
            fields = {name: problem.get(name) for name in ("type", "step", "detail")}
            log.error(_TYPE, shop=shop, order=order, **fields, remedy=remedy(str(problem.get("type")), shop, order))
