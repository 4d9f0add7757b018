"""Refusals of the outside's requests: one small class, mapped to RFC 9457 problems at the API's edge."""

from __future__ import annotations

from collections.abc import Mapping

from statemachines.target import Json

STATUS_OF = {
    "invalid-target": 422,
    "invalid-request": 422,
    "unknown-state": 422,
    "reason-required": 422,
    "idempotency-key-reused": 422,
    "unreachable": 409,
    "not-allowed": 409,
    "not-adjacent": 409,
    "not-blocked": 409,
    "not-held": 409,
    "already-finished": 409,
    "cursor-ahead": 409,
    "order-not-found": 404,
    "target-not-found": 404,
    "shop-not-found": 404,
    "rejected-not-found": 404,
    "delivery-not-found": 404,
    "consumer-not-found": 404,
    "platform-not-found": 404,
    "platform-unreachable": 503,
    "draining": 503,
    "overloaded": 503,
}
"""HTTP status by problem slug: every refusal that the daemon can answer with."""

TITLES = {
    "invalid-target": "The target is not valid",
    "invalid-request": "The request is not valid",
    "unknown-state": "This shop's machine knows no such state",
    "reason-required": "A reason is required",
    "idempotency-key-reused": "The idempotency key was used with another body",
    "unreachable": "The target cannot be reached",
    "not-allowed": "The order may not go there",
    "not-adjacent": "The target is more than one step away",
    "not-blocked": "The order is not blocked",
    "not-held": "The order is not held",
    "cursor-ahead": "The feed has not come that far, or is another one",
    "already-finished": "The target has ended already",
    "order-not-found": "No such order",
    "target-not-found": "No such target",
    "shop-not-found": "No such shop",
    "rejected-not-found": "No such rejected payload",
    "delivery-not-found": "No such receiver",
    "consumer-not-found": "No such consumer",
    "platform-not-found": "No such platform",
    "platform-unreachable": "The platform cannot be asked",
    "draining": "The daemon is shutting down",
    "overloaded": "The daemon cannot take this right now",
}


class Refused(Exception):
    """A request that is not carried out. `slug` is stable; `extra` joins the problem (`allowed`, …)."""

    def __init__(
        self,
        slug: str,
        detail: str,
        *,
        retry_after_seconds: int | None = None,
        extra: Mapping[str, Json] | None = None,
    ) -> None:
        super().__init__(detail)
        self.slug = slug
        self.status = STATUS_OF[slug]
        self.title = TITLES[slug]
        self.detail = detail
        self.retry_after_seconds = retry_after_seconds if retry_after_seconds or self.status != 503 else 5
        self.extra = dict(extra or {})

    def problem(self) -> dict[str, Json]:
        """The RFC 9457 problem object."""
        return {"type": self.slug, "title": self.title, "status": self.status, "detail": self.detail, **self.extra}
