"""The state of a shop's admission as its row keeps it: people see it there, and a restart respects it."""

from __future__ import annotations

from collections.abc import Callable

from orchestrator.runtime.driver import ShopServices
from orchestrator.runtime.wakeups import Wakeup
from storage.records import Shop
from storage.shops import save_admission
from storage.transaction import Transaction

_LONGEST_RETRY_AFTER_SECONDS = 3600.0  # no client takes more for an answer


class AdmissionRow:
    """Of one shop. `run` lasts until it is cancelled; `changed` wakes it when the admission changed."""

    def __init__(self, services: ShopServices, changed: Wakeup) -> None:
        self._services, self._admission, self._changed = services, services.admission, changed
        self._saved: tuple[object, ...] = ()

    async def take_over(self, shop: Shop) -> None:
        """Restores the admission from the row. A reason that has run out since is removed from the row, too.

        Raises StoreUnavailable.
        """
        reason, seconds = shop.wait_reason, 0.0
        if shop.wait_until is not None:
            seconds = (shop.wait_until - self._services.clock.now_ms()) / 1000
            if seconds > self._longest_seconds(reason):
                seconds = 0.0  # our clock has been set back since
        self._admission.restore(reason, seconds, shop.wait_detail, is_paused=shop.paused_at is not None)
        await self._services.store.write(self._unit())

    async def run(self) -> None:
        """Writes the state when it changes. Raises StoreUnavailable."""
        while True:
            await self._changed.wait()
            reason = self._admission.reason()
            state = (self._admission.circuit, reason and reason[0], reason and reason[2])
            if state == self._saved and reason is None:
                continue
            self._saved = state
            self._services.metrics.circuit_changed(self._services.policy.shop, self._admission.circuit)
            await self._services.store.write(self._unit())

    def _unit(self) -> Callable[[Transaction], None]:
        """Writes the state as it is now. The unit runs on the store's thread, which must not read the admission."""
        circuit, reason = self._admission.circuit, self._admission.reason()
        kind, seconds, detail = (None, None, None) if reason is None else reason
        until = None if seconds is None else self._services.clock.now_ms() + int(seconds * 1000)
        return lambda tx: save_admission(tx, self._services.policy.shop, circuit, kind, until, detail)

    def _longest_seconds(self, reason: str | None) -> float:
        return self._admission.limits.cooldown_seconds if reason == "circuit" else _LONGEST_RETRY_AFTER_SECONDS
