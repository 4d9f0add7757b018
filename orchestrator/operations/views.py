"""Records as the outside sees them: plain JSON with the API's names and times.

What is derived when it is read is derived here: a queued order of a shop that stands still is shown as waiting, with
the shop's reason, so that pausing a shop does not have to write to ten thousand orders.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Literal, cast

from orchestrator.clock import optional_rfc3339, rfc3339
from orchestrator.decisions.draft import recorded_parcels
from orchestrator.decisions.problems import problem_of
from orchestrator.operations import documents
from orchestrator.platforms.content_document import PaymentStatus
from orchestrator.platforms.json_text import servable
from orchestrator.runtime.reports import RateLimitFacts, ShopFacts, SyncReport, WebhookHealth
from statemachines.machine import OrderState, Plan, PlatformMachine
from statemachines.parcel import RecordedParcel
from statemachines.target import Json
from statemachines.withdrawal import withdrawal_of
from storage.jobs import Job
from storage.products import StoredProduct
from storage.records import HELD_UP, Event, Order, Problem, Rejected, Shop, Situation, Target, TargetStatus, Wait

_LATEST_MS = 253_402_300_799_999  # the end of the year 9999: later instants have no RFC 3339 form


def problem_view(problem: Problem | None) -> documents.RecordedProblem | None:
    """A problem as orders and targets carry it."""
    if problem is None:
        return None
    return {
        "type": problem.type,
        "title": problem.title,
        "detail": problem.detail,
        "step": problem.step,
        "since": rfc3339(problem.since),
    }


def wait_view(wait: Wait | None) -> documents.Wait | None:
    """What an order waits for."""
    return None if wait is None else {"reason": wait.reason, "until": _instant(wait.until), "detail": wait.detail}


def plan_view(plan: Plan) -> documents.Preview:
    """The answer to a dry run: nothing of the plan is done."""
    steps: list[documents.PlanEntry] = [
        {"step": s.step, "from": s.source, "to": s.to, "status": "next"} for s in plan.steps
    ]
    return {"state": plan.state, "milestone": plan.milestone, "plan": steps, "unused": list(plan.unused)}


def target_view(target: Target, situation: Situation | None) -> documents.Target:
    """A target with its plan. `now` is the step whose call is out, or in which the target is blocked: between steps, in
    backoff and while the order is held there is only a next one. `situation` is its order's, None for one not known."""
    is_out = target.status is TargetStatus.RUNNING and situation is Situation.RUNNING
    begun = target.steps_done if is_out or target.status is TargetStatus.BLOCKED else None
    steps: list[documents.PlanEntry] = []
    for index, entry in enumerate(target.plan):
        if not entry.is_taken:
            continue  # the feed and `unused` show it
        is_done, is_now = index < target.steps_done, index == begun
        status: Literal["done", "now", "next"] = "done" if is_done else "now" if is_now else "next"
        steps.append({"step": entry.step, "from": entry.source, "to": entry.to, "status": status})
    return {
        "id": target.id,
        "shop": target.shop,
        "order": target.order,
        "state": target.state,
        "milestone": target.milestone,
        "status": target.status.value,
        "plan": steps,
        "unused": list(target.unused),
        "submitted_at": rfc3339(target.submitted_at),
        "finished_at": optional_rfc3339(target.finished_at),
        "problem": problem_view(target.problem),
    }


def order_view(
    order: Order,
    targets: Iterable[Target],
    shop: Shop | None,
    machine: PlatformMachine | None,
    now_ms: int,
    *,
    is_configured: bool = True,
) -> documents.Order:
    """An order. `targets` are those to show with it, `machine` the one of its shop (None: the shop is gone);
    `is_configured`: the shop is in the config."""
    wait, situation = order.wait, order.situation
    if not is_configured and (situation in HELD_UP or situation is Situation.WAITING):
        wait, situation = not_configured(order.shop), Situation.WAITING
    elif situation in HELD_UP and (shop_waits := shop_wait(shop, now_ms)) is not None:
        wait, situation = shop_waits, Situation.WAITING
    withdrawal, next_attempt_at = withdrawal_of(order.facts), order.next_attempt_at
    if next_attempt_at is not None and next_attempt_at <= now_ms and situation is Situation.WAITING:
        next_attempt_at = None  # it would be due, were it not for what it waits for
    return {
        "shop": order.shop,
        "platform": order.platform,
        "id": order.id,
        "reference": order.reference,
        "state": order.state,
        "platform_state": order.platform_state,
        "milestone": order.milestone,
        "situation": situation.value,
        "payment": order.payment,
        "payment_status": cast("PaymentStatus", order.payment_status or "unknown"),
        "returns": _returns_view(order),
        "parcels": [_parcel_view(each) for each in recorded_parcels(order)],
        "withdrawn": withdrawal is not None,
        "withdrawn_at": None if withdrawal is None else _instant(withdrawal.at),  # the platform need not say when
        "attempts": order.attempts,
        "next_attempt_at": _instant(next_attempt_at),
        "wait": wait_view(wait),
        "problem": problem_view(order.problem or _gone(order)),
        "attention": attention_view(order),
        "held_at": optional_rfc3339(order.held_at),
        "held_reason": order.held_reason,
        "targets": [target_view(target, order.situation) for target in targets],
        "allowed": [] if machine is None or order.gone_at is not None else list(machine.allowed(_order_state(order))),
        "imported_at": rfc3339(order.imported_at),
        "updated_at": rfc3339(order.updated_at),
        "version": order.version,
    }


def attention_view(order: Order) -> documents.AskedAttention | None:
    """What the ERP asks for a person about; None while it asks for nobody."""
    if order.attention_at is None:
        return None
    return {"reason": order.attention_reason, "since": rfc3339(order.attention_at)}


def needy_view(order: Order) -> documents.NeedyOrder:
    """An order that needs a person: what blocks it, else what the ERP asks for, as a problem too."""
    problem = order.problem
    if problem is None and order.attention_at is not None:
        problem = problem_of("attention", order.attention_reason or "it gave no reason", None, order.attention_at)
    attention = attention_view(order)
    return {"shop": order.shop, "order": order.id, "problem": problem_view(problem), "attention": attention}


def _returns_view(order: Order) -> list[documents.Return]:
    """What the buyer sends back, with the platform's own status of each. Empty also where the
    platform has none, or does not show them."""
    return [
        {
            "id": each["id"],
            "state": each["state"],
            "lines": [{"id": line["id"], "quantity": line["quantity"]} for line in each["lines"]],
        }
        for each in order.facts.get("returns") or ()
    ]


def _parcel_view(parcel: RecordedParcel) -> documents.RecordedParcel:
    return {
        "number": parcel["number"],
        "carrier": parcel["carrier"],
        "tracking": parcel["tracking"],
        "url": parcel["url"],
        "location": parcel["location"],
        "lines": [{"id": line, "quantity": quantity} for line, quantity in parcel["lines"].items()],
        "last": parcel["last"],
        "recorded_at": rfc3339(parcel["recorded_at"] or 0),
        "delivered_at": optional_rfc3339(parcel["delivered_at"]),
        "returned": parcel["is_back"],
    }


def _gone(order: Order) -> Problem | None:
    """That the platform has the order no more is shown like a problem, though nothing of it waits for a person."""
    if order.gone_at is None:
        return None
    return problem_of("order-not-found", order.gone_detail or "", None, order.gone_at)


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


def left_shop_view(shop: Shop) -> documents.Shop:
    """A shop that is not in the config any more, as far as its row says."""
    return {
        "name": shop.name,
        "platform": shop.platform,
        "chaining": "auto",
        "configured": False,
        "held": False,
        "paused": shop.paused_at is not None,
        "paused_at": optional_rfc3339(shop.paused_at),
        "paused_by": shop.paused_by,
        "paused_reason": shop.paused_reason,
        "wait": wait_view(not_configured(shop.name)),
        "circuit": shop.circuit,
        "last_sync_at": optional_rfc3339(shop.last_sync_at),
        "last_sync_error": shop.last_sync_error,
        "next_sync_at": None,
        "import_since": None,
        "skipped": shop.skipped,
        "rejected": shop.rejected,
        "rate_limit": None,
        "webhooks": None,
    }


def shop_view(facts: ShopFacts, shop: Shop | None, now_ms: int) -> documents.Shop:
    """A configured shop; `shop` is its row, None before its first start."""
    return {
        "name": facts.name,
        "platform": facts.platform,
        "chaining": facts.chaining,
        "configured": True,
        "held": facts.is_leased,
        "paused": shop is not None and shop.paused_at is not None,
        "paused_at": optional_rfc3339(shop.paused_at) if shop is not None else None,
        "paused_by": shop.paused_by if shop is not None else None,
        "paused_reason": shop.paused_reason if shop is not None else None,
        "wait": wait_view(shop_wait(shop, now_ms)),
        "circuit": shop.circuit if shop is not None else "closed",
        "last_sync_at": optional_rfc3339(shop.last_sync_at) if shop is not None else None,
        "last_sync_error": shop.last_sync_error if shop is not None else None,
        "next_sync_at": optional_rfc3339(facts.next_sync_at),
        "import_since": _instant(facts.import_since),
        "skipped": shop.skipped if shop is not None else 0,
        "rejected": shop.rejected if shop is not None else 0,
        "rate_limit": _rate_limit_view(facts.rate_limit),
        "webhooks": _webhooks_view(facts.webhooks),
    }


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


def event_view(event: Event) -> documents.Event:
    """An event; instants inside its data are kept as Unix milliseconds and shown as all others."""
    return {
        "cursor": event.cursor,
        "at": rfc3339(event.at),
        "type": event.type,
        "shop": event.shop,
        "order": event.order,
        "target": event.target,
        "data": _event_data(event),
    }


def is_shown_as_kept(type_: str, data: Mapping[str, Json]) -> bool:
    """Whether an event's data is shown as it is kept, whatever else is in the event."""
    return type_ != "import.rejected" and "next_attempt_at" not in data and "problem" not in data


def _event_data(event: Event) -> dict[str, Json]:
    data = event.data
    if is_shown_as_kept(event.type, data):
        return data
    if isinstance(instant := data.get("next_attempt_at"), int):
        data = {**data, "next_attempt_at": _instant(instant)}
    if isinstance(problem := data.get("problem"), Mapping):
        data = {**data, "problem": {**problem, "since": rfc3339(event.at)}}
    if event.type == "import.rejected" and "id" in data:
        data = {**data, "id": str(data["id"])}
    return data


def rejected_view(rejected: Rejected) -> documents.RejectedPayload:
    """A payload that could not be read, as text; in base64 when it is not UTF-8."""
    encoding: Literal["utf-8", "base64"] = "utf-8"
    try:
        payload = rejected.payload.decode("utf-8")
    except UnicodeDecodeError:
        payload, encoding = base64.b64encode(rejected.payload).decode("ascii"), "base64"
    return {
        "id": str(rejected.id),
        "shop": rejected.shop,
        "source": rejected.source,
        "at": rfc3339(rejected.at),
        "error": rejected.error,
        "payload": payload,
        "payload_encoding": encoding,
    }


def product_view(product: StoredProduct) -> documents.ProductRow:
    """A product without its payload, which is joined as text."""
    return {
        "shop": product.shop,
        "id": product.id,
        "title": product.title,
        "updated_at": optional_rfc3339(product.updated_at),
    }


def payload_text(payload: bytes | None) -> str:
    """An order's payload as JSON text, as it was received.

    The platform's own text is embedded, not parsed and written again: big numbers and decimals stay what they were.
    Half a surrogate pair, on which strict readers give the whole answer up, is U+FFFD in it.
    What is not JSON becomes a string (base64 when it is not UTF-8), no payload becomes null.
    """
    if payload is None:
        return "null"
    try:
        text = payload.decode("utf-8")
    except UnicodeDecodeError:
        return json.dumps(base64.b64encode(payload).decode("ascii"))
    try:
        json.loads(text, parse_int=str, parse_float=str, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return json.dumps(text)
    return servable(text.strip())


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _order_state(order: Order) -> OrderState:
    return OrderState(order.state, order.platform_state, order.payment, order.facts)


def _instant(ms: int | None) -> str | None:
    """An instant that may lie in the future, so far that it cannot be written as a date."""
    return None if ms is None else rfc3339(min(ms, _LATEST_MS))


def job_view(job: Job) -> documents.Job:
    """A job as the outside sees it."""
    refusals = sorted(job.refusals.items(), key=lambda each: -each[1]["count"])
    wanted = {name: rfc3339(value) if name.startswith("updated_") else value for name, value in job.wanted.items()}
    return {
        "id": job.id,
        "action": cast("Literal['retry', 'skip', 'hold', 'release', 'cancel']", job.action),
        "filter": wanted,
        "status": job.status,
        "count": job.orders,
        "done": job.done,
        "refused": job.refused,
        "refusals": [
            {
                "type": type_,
                "count": each["count"],
                "detail": each["detail"],
                "shop": each["shop"],
                "order": each.get("order"),
            }
            for type_, each in refusals
        ],
        "reason": job.reason,
        "by": job.asked_by,
        "started_at": rfc3339(job.started_at),
        "ended_at": optional_rfc3339(job.ended_at),
    }
