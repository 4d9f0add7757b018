"""Selldone's JSON as we read it: pages of orders and single orders (selldone.md §3, §4).

An order is kept as the very bytes that came. So a page is not parsed as one value: its `orders` array is walked element
by element, each read where it stands, and the text from its first to its last character is its payload. Money and ids
pass through no float on the way into the store, and one element that is invalid takes no other with it.

Reading is lenient but for what we decide on: `id`, `delivery_state`, `status`, `updated_at`, `items[].id`.
"""

from __future__ import annotations

from orchestrator.platforms.base.listing import Listing, listing_of
from orchestrator.platforms.client import Age, OrderSnapshot
from orchestrator.platforms.content import digest, text
from orchestrator.platforms.failures import Unreadable
from orchestrator.platforms.fields import (
    InvalidOrder,
    id_of,
    instant_ms,
    object_of,
    of_one_order,
    optional_ms,
    payload_of,
    quantity,
    required_text,
)
from orchestrator.platforms.json_text import decoded, member_text, members, read_value
from orchestrator.platforms.selldone.content import APART, content_of
from orchestrator.platforms.selldone.delivery import paths_of
from orchestrator.platforms.selldone.returns import returns_fact
from orchestrator.platforms.selldone.withdrawal import withdrawal_fact
from statemachines.target import Json
from statemachines.withdrawal import WITHDRAWN

PAYMENT = {"Payed": "paid", "COD": "invoice", "Reserved": "unpaid", "Open": "unpaid"}
"""Our word for a payment status; every other one is `unknown` (selldone.md §5.1)."""
RELEASED = frozenset({"Payed", "COD"})
"""Statuses of the orders that the ERP is handed (selldone.md §5.1)."""


def read_listing(body: bytes) -> Listing:
    """The orders of a list's answer. Raises Unreadable if the answer as a whole is invalid or has no `orders`."""
    try:
        answer, rows = members(decoded(body), "orders")
    except ValueError as error:
        raise Unreadable(f"the list cannot be read: {error}", body) from error
    if answer.get("error"):
        return Listing((), refusal=answer)
    if rows is None:
        raise Unreadable("the list has no orders", body)
    return listing_of(rows, read_order, answer.get("total"))


def read_single(body: bytes) -> OrderSnapshot | dict[str, Json]:
    """The order of a single order's answer: bare, in `basket` or in `order` (selldone.md §10).

    The payload is the order's own text without the envelope. An answer whose `error` is truthy is given back as its
    members. Raises Unreadable if it is invalid.
    """
    whole = decoded(body)
    try:
        answer = read_value(whole)
        if not isinstance(answer, dict):
            raise InvalidOrder("it is not a JSON object")
        if "delivery_state" in answer:
            return read_order(answer, payload_of(whole.strip()))
        if answer.get("error"):
            return answer
        for name in ("basket", "order"):
            if isinstance(answer.get(name), dict):
                return read_order(answer[name], payload_of(member_text(whole, name)))
        raise InvalidOrder("it holds no order")
    except ValueError as error:
        raise Unreadable(f"the order cannot be read: {error}", body) from error


@of_one_order
def read_order(value: Json, payload: bytes) -> OrderSnapshot:
    """One order, read from its parsed JSON; `payload` are its bytes. Raises InvalidOrder.

    `reference` is what a person calls the order: its label, else a guest's code, else its id.
    """
    order = object_of(value)
    order_id = id_of(order.get("id"), "id")
    status = required_text(order.get("status"), "status")
    content = content_of(order)
    info = order.get("delivery_info")
    tracking = info if isinstance(info, dict) else {}
    facts: dict[str, Json] = {
        "status": status,
        "reject": text(order.get("reject")),
        "reject_at": text(order.get("reject_at")),
        "items": _item_ids(order.get("items")),
        "counts": _item_counts(order.get("items")),
        "delivery_info": paths_of(info),
        "tracking_code": text(tracking.get("tracking_code")),
        "tracking_url": text(tracking.get("tracking_url")),
        "type": text(order.get("type")),
    }
    if (withdrawn := withdrawal_fact(order)) is not None:
        facts[WITHDRAWN] = withdrawn
    if (returns := returns_fact(order)) is not None:
        facts["returns"] = returns
    return OrderSnapshot(
        id=order_id,
        reference=text(order.get("label")) or text(order.get("code")) or order_id,
        state=required_text(order.get("delivery_state"), "delivery_state"),
        payment=PAYMENT.get(status, "unknown"),
        facts=facts,
        payload=payload,
        content_hash=digest(content, APART),
        platform_updated_at=instant_ms(order.get("updated_at"), "updated_at"),
        is_released=status in RELEASED and facts["type"] in (None, "PHYSICAL"),  # the list has no others (§1, §3)
        content=content,
        apart=APART,
        age=_age(order, status),
    )


def _age(order: dict[str, Json], status: str) -> Age:
    """An order is made when it is checked out, not when its basket was begun (selldone.md §4); canceled and received
    orders are over (§5.2)."""
    ordered_at = optional_ms(order.get("reserved_at"))
    if ordered_at is None:
        ordered_at = optional_ms(order.get("created_at"))
    return Age(ordered_at, is_over=status == "Canceled" or order.get("delivery_state") == "ToCustomer")


def _item_ids(items: Json) -> list[str]:
    if items is None:
        return []
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise InvalidOrder("items is not a list of objects")
    return [id_of(item.get("id"), f"items[{n}].id") for n, item in enumerate(items)]


def _item_counts(items: Json) -> dict[str, Json]:
    """How many of each item, as text, since a count may be fractional (selldone.md §4.2); None where none is given."""
    return {str(item["id"]): quantity(item.get("count")) for item in items or ()}
