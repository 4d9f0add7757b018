"""What a failed call means for the whole shop, and the one alarm for refused credentials."""

from __future__ import annotations

import structlog

from orchestrator.clock import Clock
from orchestrator.platforms.failures import AccessDenied, NotSent, PlatformFailure, Transient
from orchestrator.runtime.admission import Admission
from orchestrator.runtime.shop_store import ShopStore
from storage.events import append_event
from storage.shops import get_shop, pause_shop
from storage.transaction import Transaction

log = structlog.get_logger()


async def pause_for_access(store: ShopStore, admission: Admission, clock: Clock, shop: str, detail: str) -> None:
    """Pauses admission at once and keeps the pause as a row; a shop that is paused already stays as it is."""

    def unit(tx: Transaction) -> tuple[bool, bool]:
        now = clock.now_ms()
        is_new = pause_shop(tx, shop, "access_denied", detail, now)
        if is_new:
            append_event(tx, now, "shop.access_denied", shop=shop, data={"detail": detail})
        row = get_shop(tx, shop)
        return is_new, row is not None and row.paused_at is not None

    admission.set_paused(True)
    is_new, is_paused = await store.write(unit)
    admission.set_paused(is_paused)  # a person may have resumed the shop meanwhile: the row decides
    if is_new:
        remedy = f"check its credentials and address in the config and send SIGHUP, or `fulfilld resume {shop}`"
        log.error("shop.access_denied", shop=shop, detail=detail, remedy=remedy)


async def report_failure(
    store: ShopStore, admission: Admission, clock: Clock, shop: str, failure: PlatformFailure
) -> bool:
    """Reports a failed call to the admission; returns whether the failure costs its order an attempt."""
    match failure:
        case NotSent():
            admission.not_sent()
            return False
        case Transient(retry_after_seconds=seconds) if seconds is not None:
            admission.throttled(seconds, failure.detail)
            return False
        case Transient(wait=None, is_refused_read=False):
            return admission.failed(failure.detail)
        case AccessDenied():
            admission.abandoned()
            await pause_for_access(store, admission, clock, shop, failure.detail)
            return False
        case _:
            admission.succeeded()
            return True
