"""Records for storage tests: a plain one, and whatever a test changes of it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from orchestrator.testing.engine_suite.scratch import NOW
from storage.records import Intent, Order, PlanEntry, Problem, Situation, Target, TargetStatus, Wait

PLAIN_ORDER = Order.first_seen(
    shop="acme",
    platform="example",
    id="1",
    reference=None,
    state="CheckQueue",
    platform_state="CheckQueue",
    milestone="new",
    payment="paid",
    facts={},
    content_hash="h",
    platform_updated_at=None,
    observed_at=NOW,
    now=NOW,
    payment_status="paid",
)

PROBLEM = Problem("rejected", "The platform refused the step", "Płatność nie powiodła się", "confirm", NOW)

FULL_ORDER = replace(
    PLAIN_ORDER,
    id="FV/2026/10 №7",
    reference="R-7",
    state="Zaimportowano do ERP",
    platform_state="id:17",
    milestone=None,
    situation=Situation.BLOCKED,
    facts={"items": ["1", "2"], "nested": {"ä": [1, 2.5, None, True]}, "text": "'; DROP TABLE orders; --"},
    platform_updated_at=NOW - 1,
    moved_at=NOW - 2,
    due_at=NOW + 3,
    intent=Intent("t-1", "confirm", "CheckQueue", "OrderConfirm", NOW, is_uncertain=True),
    attempts=3,
    read_attempts=2,
    crashes=1,
    next_attempt_at=NOW + 4,
    wait=Wait("platform", NOW + 5, "the order is being rejected"),
    problem=PROBLEM,
    held_at=NOW - 6,
    held_reason="ask Ünal first",
    gone_at=NOW - 7,
    gone_detail="404: nie ma takiego zamówienia",
    is_provisional=True,
    parcels=[{"number": "Pączka №1", "tracking": ["T1"], "lines": {"1": "0.5", "2": None}, "last": True}],
    payment_status="authorized",
    attention_at=NOW - 8,
    attention_reason="no article “KUB”",
    returned={"1": 2, "2": "0.5"},
)
"""An order with something in every field."""

PLAIN_TARGET = Target(
    seq=0,
    id="t-1",
    shop="acme",
    order="1",
    state="OrderConfirm",
    milestone="accepted",
    status=TargetStatus.QUEUED,
    request={"state": "accepted"},
    plan=(PlanEntry("confirm", "CheckQueue", "OrderConfirm"),),
    steps_done=0,
    unused=(),
    submitted_at=NOW,
    finished_at=None,
    problem=None,
)

FULL_TARGET = replace(
    PLAIN_TARGET,
    id="t-full",
    milestone=None,
    status=TargetStatus.BLOCKED,
    request={"state": "Wysłane", "tracking": {"code": "ß-1"}, "items": ["1"]},
    plan=(PlanEntry("change_status", "Nowe", "W trakcie"), PlanEntry("change_status", "W trakcie", "Wysłane")),
    steps_done=1,
    unused=("erp_lines", "tracking.carrier"),
    finished_at=NOW + 9,
    problem=PROBLEM,
)


def order(order_id: str = "1", **fields: Any) -> Order:
    return replace(PLAIN_ORDER, id=order_id, **fields)


def target(target_id: str = "t-1", order_id: str = "1", **fields: Any) -> Target:
    return replace(PLAIN_TARGET, id=target_id, order=order_id, **fields)


def sample_payload(number: int) -> bytes:
    """An order as a platform sends it: many names, few values, and each order alike."""
    lines = [{"line_id": 100 * number + line, "quantity": 1, "discount_total": None} for line in range(4)]
    address = {"street_and_number": f"Way {number}", "postal_code": "07743", "country_code": "DE"}
    person = {"customer_name": "Anna", "customer_email": "anna@example.com", "customer_phone": "+43 1"}
    return json.dumps(
        {"id": number, **person, "shipping_address": address, "billing_address": address, "lines": lines}
    ).encode()
