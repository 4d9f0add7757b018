"""Orders and their targets as the outside sees them.

A queued order of a shop that stands still is shown as waiting, with the shop's reason, so that pausing a shop does not
have to write to ten thousand orders.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, cast

from orchestrator.clock import far_rfc3339, optional_rfc3339, rfc3339
from orchestrator.decisions.draft import recorded_parcels
from orchestrator.decisions.problems import problem_of
from orchestrator.operations import documents
from orchestrator.operations.views.shops import not_configured, shop_wait, wait_view
from orchestrator.platforms.content_document import PaymentStatus
from statemachines.machine import OrderState, Plan, PlatformMachine
from statemachines.parcel import RecordedParcel
from statemachines.withdrawal import withdrawal_of
from storage.records import HELD_UP, Order, Problem, Shop, Situation, Target, TargetStatus


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
        "withdrawn_at": None if withdrawal is None else far_rfc3339(withdrawal.at),  # the platform need not say when
        "attempts": order.attempts,
        "next_attempt_at": far_rfc3339(next_attempt_at),
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


def needy_view(order: Order) -> documents.NeedyOrder:
    """An order that needs a person: what blocks it, else what the ERP asks for, as a problem too."""
    problem = order.problem
    if problem is None and order.attention_at is not None:
        problem = problem_of("attention", order.attention_reason or "it gave no reason", None, order.attention_at)
    attention = attention_view(order)
    return {"shop": order.shop, "order": order.id, "problem": problem_view(problem), "attention": attention}


def attention_view(order: Order) -> documents.AskedAttention | None:
    """What the ERP asks for a person about; None while it asks for nobody."""
    if order.attention_at is None:
        return None
    return {"reason": order.attention_reason, "since": rfc3339(order.attention_at)}


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


def plan_view(plan: Plan) -> documents.Preview:
    """The answer to a dry run: nothing of the plan is done."""
    steps: list[documents.PlanEntry] = [
        {"step": s.step, "from": s.source, "to": s.to, "status": "next"} for s in plan.steps
    ]
    return {"state": plan.state, "milestone": plan.milestone, "plan": steps, "unused": list(plan.unused)}


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


def _order_state(order: Order) -> OrderState:
    return OrderState(order.state, order.platform_state, order.payment, order.facts)
