"""The statuses of the shop's organization as they are known now: asked for at the first call, and again when an order
shows one that is not among them (xsale.md §5)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import anyio

from orchestrator.clock import Clock
from orchestrator.platforms.base.calls import by_status
from orchestrator.platforms.failures import AccessDenied, Garbled, NotFound, PlatformFailure, Transient, Unreadable
from orchestrator.platforms.xsale.calls import OrganizationCalls
from orchestrator.platforms.xsale.statuses import StatusRef, StatusTable
from orchestrator.platforms.xsale.wire import read_rows

_PATIENCE_SECONDS = 60.0
"""How long a status that a fresh table does not have either is taken as it is, before the table is asked for again."""


class StatusDirectory:
    """The organization's statuses. `names`: those of the config, every one of which has to be there."""

    def __init__(self, calls: OrganizationCalls, names: Sequence[str], envelope: str, clock: Clock) -> None:
        self._calls = calls
        self._names = tuple(names)
        self._envelope = envelope
        self._clock = clock
        self._table: StatusTable | None = None
        self._puzzles: dict[StatusRef, float] = {}
        self._lock = anyio.Lock()

    async def table(
        self,
    ) -> StatusTable:
        """The statuses as they are known. Raises StatusMissing and every PlatformFailure of a read."""
        known = self._table
        if known is None:
            async with self._lock:
                known = self._table or await self._fetch()
        return known

    async def renewed(
        self,
    ) -> StatusTable:
        """The statuses as they are now. Raises as `table`."""
        async with self._lock:
            return await self._fetch()

    async def is_renewed_for(self, refs: Iterable[StatusRef]) -> bool:
        """Asks again because of statuses that the table does not explain; False where it has just been tried."""
        now = self._clock.monotonic()
        fresh = [ref for ref in refs if now - self._puzzles.get(ref, -_PATIENCE_SECONDS) >= _PATIENCE_SECONDS]
        if not fresh:
            return False
        await self.renewed()
        self._puzzles = {ref: at for ref, at in self._puzzles.items() if now - at < _PATIENCE_SECONDS}
        self._puzzles |= dict.fromkeys(fresh, now)
        return True

    async def _fetch(
        self,
    ) -> StatusTable:
        """Replaces the table. While the config names a status that is missing there is none: nothing may go on."""
        self._table = None
        answer = await self._calls.statuses()
        if answer.status >= 400:
            raise await self._no_statuses(by_status(answer, self._calls.caller.words(answer), is_effect=False))
        try:
            with self._calls.caller.reading(answer):
                rows = read_rows(answer.body, self._envelope)
            table = StatusTable.of(value for value, _ in rows)
        except (Garbled, Unreadable) as failure:
            raise Transient(f"statuses: {failure.detail}") from None
        except ValueError as error:
            raise Transient(f"statuses: {error}") from None
        table.require(self._names)
        self._table = table
        return table

    async def _no_statuses(self, failure: PlatformFailure) -> PlatformFailure:
        """An organization that is not found is a wrong name in the config: the account's own names are shown."""
        if not isinstance(failure, NotFound):
            return Transient(failure.detail)  # every order needs them: the shop is in trouble
        _, names = await self._calls.me()
        if self._calls.organization in names:
            return Transient(f"statuses: {failure.detail}")
        known = ", ".join(names) or "none"
        return AccessDenied(f"{self._calls.organization} is not one of the account's organizations: {known}")
