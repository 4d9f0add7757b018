"""What a platform answers to a read, as the API's refusals."""

from __future__ import annotations

import math

from orchestrator.decisions.problems import Help
from orchestrator.decisions.refusals import Refused
from orchestrator.operations.closed_shop import ACCESS_REMEDY, why_closed
from orchestrator.platforms.failures import AccessDenied, NotFound, PlatformFailure, Transient, Unreadable
from orchestrator.platforms.json_text import is_whole
from orchestrator.runtime.calls import NotAdmitted
from orchestrator.runtime.worker import ShopWorker
from storage.order_search import OrderFilter, list_orders
from storage.records import Order
from storage.shops import get_shop
from storage.store import Store
from storage.transaction import Transaction

_RETRY_SECONDS = 60  # every 503 says when to come again, also where the platform does not


class platform_refusals:  # noqa: N801 - reads as a block
    """Turns what the platform answers to a read inside the block into the API's refusals. `order`: which one was read,
    None for the list."""

    def __init__(self, store: Store, worker: ShopWorker, order: str | None) -> None:
        self._store, self._worker, self._shop, self._order = store, worker, worker.name, order

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        match error:
            case NotFound():
                raise await self._not_found() from None
            case Transient(retry_after_seconds=seconds):
                after = math.ceil(seconds) if seconds else _RETRY_SECONDS
                raise Refused("platform-unreachable", error.detail, retry_after_seconds=after) from None
            case NotAdmitted():
                raise await self._closed() from None
            case AccessDenied():
                detail = f"the platform refuses our credentials for shop {self._shop}: {error.detail}; {ACCESS_REMEDY}"
                extra = Help(paused_by="access_denied")
                raise Refused("platform-unreachable", detail, retry_after_seconds=_RETRY_SECONDS, extra=extra) from None
            case Unreadable(payload=payload) if self._order is None or not is_whole(payload):
                # Not an invalid order, but no answer of the API at all: a page for people, half a body.
                detail = f"what the platform answers cannot be read: {error.detail}"
                raise Refused("platform-unreachable", detail, retry_after_seconds=_RETRY_SECONDS) from None
            case Unreadable():
                detail = f"what the platform shows of the order cannot be read: {error.detail}"
                raise Refused("not-allowed", detail, extra={"reason": error.detail}) from None
            case PlatformFailure():
                raise Refused("platform-unreachable", error.detail, retry_after_seconds=_RETRY_SECONDS) from None
            case _:
                return

    async def _closed(self) -> Refused:
        shop = await self._store.read(lambda tx: get_shop(tx, self._shop))
        detail = f"shop {self._shop} is not asked now: {why_closed(self._worker.admission, shop)}"
        extra = Help() if shop is None or shop.paused_by is None else Help(paused_by=shop.paused_by)
        return Refused("platform-unreachable", detail, retry_after_seconds=30, extra=extra)

    async def _not_found(self) -> Refused:
        """People know orders by their reference, which may stand where the id belongs."""
        name = self._order or ""

        def unit(tx: Transaction) -> list[Order]:
            spelt = (name, name.removeprefix("#"), f"#{name}")
            return [
                found
                for each in spelt
                if each
                for found in list_orders(tx, 0, 1, OrderFilter(self._shop, reference=each))
            ]

        known = await self._store.read(unit)
        detail = f"shop {self._shop} has no order {name}"
        if other := next((found for found in known if found.id != name), None):
            detail += f"; the order with the reference {other.reference} has the id {other.id}"
        return Refused("order-not-found", detail)
