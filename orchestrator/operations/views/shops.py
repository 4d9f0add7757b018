"""Shops as the outside sees them, and why nothing of one goes on."""

from __future__ import annotations

from orchestrator.clock import far_rfc3339, optional_rfc3339, rfc3339
from orchestrator.operations import documents
from orchestrator.runtime.reports import RateLimitFacts, ShopFacts, SyncReport, WebhookHealth
from storage.records import Shop, Wait
from storage.takeovers import Takeover


def shop_view(facts: ShopFacts, shop: Shop | None, now_ms: int) -> documents.Shop:
    """A configured shop; `shop` is its row, None before its first start."""
    return {
        "name": facts.name,
        "platform": facts.platform,
        "chaining": facts.chaining,
        "configured": True,
        "held": facts.is_leased,
        "holder": facts.holder,
        "holder_silent": facts.is_holder_silent,
        "takeover": _takeover_view(facts.takeover),
        "paused": shop is not None and shop.paused_at is not None,
        "paused_at": optional_rfc3339(shop.paused_at) if shop is not None else None,
        "paused_by": shop.paused_by if shop is not None else None,
        "paused_reason": shop.paused_reason if shop is not None else None,
        "wait": wait_view(shop_wait(shop, now_ms)),
        "circuit": shop.circuit if shop is not None else "closed",
        "last_sync_at": optional_rfc3339(shop.last_sync_at) if shop is not None else None,
        "last_sync_error": shop.last_sync_error if shop is not None else None,
        "next_sync_at": optional_rfc3339(_next_sync(facts, shop)),
        "as_of": optional_rfc3339(facts.as_of),
        "import_since": far_rfc3339(facts.import_since),
        "skipped": shop.skipped if shop is not None else 0,
        "rejected": shop.rejected if shop is not None else 0,
        "rate_limit": _rate_limit_view(facts.rate_limit),
        "webhooks": _webhooks_view(facts.webhooks),
    }


def _next_sync(facts: ShopFacts, shop: Shop | None) -> int | None:
    """None where the sync that was announced has ended meanwhile: the row is newer than what the worker's node said."""
    last = None if shop is None else shop.last_sync_at
    is_over = facts.next_sync_at is not None and last is not None and facts.next_sync_at <= last
    return None if is_over else facts.next_sync_at


def _takeover_view(takeover: Takeover | None) -> documents.Takeover | None:
    """How a shop came to its node."""
    if takeover is None:
        return None
    return {
        "at": rfc3339(takeover.taken_at),
        "from": takeover.before,
        "why": takeover.why,
        "idle_since": optional_rfc3339(takeover.idle_since),
    }


def left_shop_view(shop: Shop) -> documents.Shop:
    """A shop that is not in the config any more, as far as its row says."""
    return {
        "name": shop.name,
        "platform": shop.platform,
        "chaining": "auto",
        "configured": False,
        "held": False,
        "holder": None,
        "holder_silent": False,
        "takeover": None,
        "paused": shop.paused_at is not None,
        "paused_at": optional_rfc3339(shop.paused_at),
        "paused_by": shop.paused_by,
        "paused_reason": shop.paused_reason,
        "wait": wait_view(not_configured(shop.name)),
        "circuit": shop.circuit,
        "last_sync_at": optional_rfc3339(shop.last_sync_at),
        "last_sync_error": shop.last_sync_error,
        "next_sync_at": None,
        "as_of": None,
        "import_since": None,
        "skipped": shop.skipped,
        "rejected": shop.rejected,
        "rate_limit": None,
        "webhooks": None,
    }


def shop_wait(shop: Shop | None, now_ms: int) -> Wait | None:
    """Why nothing of a shop goes on right now: its pause, else a wait that ends by itself; None when it works."""
    if shop is None:
        return None
    if shop.paused_at is not None:
        reason = "paused" if shop.paused_by == "person" else shop.paused_by or "paused"
        return Wait(reason, None, shop.paused_reason or "")
    if shop.wait_reason is not None and shop.wait_until is not None and shop.wait_until > now_ms:
        return Wait(shop.wait_reason, shop.wait_until, shop.wait_detail or "")
    return None


def not_configured(shop: str) -> Wait:
    """Why the targets of a shop that is not in the config stand still."""
    detail = f"shop {shop} is not in the config: put it back there, or cancel its orders' targets"
    return Wait("not_configured", None, detail)


def wait_view(wait: Wait | None) -> documents.Wait | None:
    """What an order waits for."""
    return None if wait is None else {"reason": wait.reason, "until": far_rfc3339(wait.until), "detail": wait.detail}


def _rate_limit_view(facts: RateLimitFacts) -> documents.RateLimit:
    """What a shop may ask of its platform, and what the platform said last is left."""
    window, reported = facts.limits.window, facts.reported
    return {
        "rate_per_second": facts.limits.rate_per_second,
        "burst": facts.limits.burst,
        "concurrency": facts.limits.concurrency,
        "window": None if window is None else {"calls": window.calls, "seconds": window.seconds},
        "available": None if facts.available is None else round(facts.available, 1),
        "limit": None if reported is None else reported.limit,
        "remaining": None if reported is None else reported.remaining,
        "unit": None if reported is None else reported.unit,
        "reset_at": None if reported is None else optional_rfc3339(reported.reset_at),
        "reported_at": None if reported is None else rfc3339(reported.reported_at),
    }


def _webhooks_view(health: WebhookHealth | None) -> documents.WebhooksOfShop | None:
    """What is known of the webhooks that a platform should send; null where they are not checked."""
    if health is None:
        return None
    return {"checked_at": rfc3339(health.checked_at), "missing": dict(health.missing), "error": health.error}


def sync_view(shop: str, report: SyncReport) -> documents.SyncFound:
    """What a sync found."""
    return {
        "shop": shop,
        "imported": report.imported,
        "updated": report.updated,
        "drifted": report.drifted,
        "rejected": report.rejected,
        "seen": report.seen,
        "skipped": report.skipped,
    }
