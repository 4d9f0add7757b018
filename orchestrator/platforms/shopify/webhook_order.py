"""An order as a webhook's body has it, for when Shopify does not show it (facts: shopify.md §3). Pure.

A body knows less than a read: no fulfilment orders, no holds. So it stands in for a read only until there is one: a
webhook can be quicker than Shopify's own reads, an app without the scope `read_all_orders` sees no order older than 60
days (shopify.dev, access scopes), and while Shopify is down or denies access the webhooks still come.
"""

from __future__ import annotations

from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, TypeAdapter, ValidationError

from orchestrator.platforms.client import OrderSnapshot
from orchestrator.platforms.shopify.content import APART
from orchestrator.platforms.shopify.payment import payment_of
from orchestrator.platforms.shopify.webhook_content import webhook_content
from orchestrator.platforms.shopify.webhooks import id_of_gid, updated_at_ms, whole_id
from orchestrator.platforms.shopify.wire import LIVE, age_of
from statemachines.shopify.facts import parcels
from statemachines.target import Json

_STATES = {
    None: "UNFULFILLED",
    "pending": "UNFULFILLED",
    "restocked": "UNFULFILLED",
    "partial": "PARTIALLY_FULFILLED",
    "fulfilled": "FULFILLED",
}
_ARRIVED = frozenset({"delivered", "picked_up"})


class _Body(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)


class _Line(_Body):
    id: int | str
    admin_graphql_api_id: str | None = None
    quantity: int
    current_quantity: int | None = None
    requires_shipping: bool | None = None
    gift_card: bool | None = None


class _Fulfillment(_Body):
    id: int | str
    admin_graphql_api_id: str | None = None
    status: str | None = None
    shipment_status: str | None = None
    tracking_numbers: list[str] = []
    tracking_urls: list[str] = []
    line_items: list[_Line] = []


class _Terms(_Body):
    payment_terms_type: str | None = None


class _Order(_Body):
    id: int | str
    admin_graphql_api_id: str | None = None
    name: str | None = None
    created_at: AwareDatetime | None = None
    processed_at: AwareDatetime | None = None
    closed_at: AwareDatetime | None = None
    cancelled_at: AwareDatetime | None = None
    financial_status: str | None = None
    fulfillment_status: str | None = None
    payment_terms: _Terms | None = None
    line_items: list[_Line] = []
    fulfillments: list[_Fulfillment] = []


_ORDER: TypeAdapter[_Order] = TypeAdapter(_Order)


def order_in_webhook(body: Json, payload: bytes) -> OrderSnapshot | None:
    """The order that a body of `orders/*` is; None where it is invalid. A subscription may leave fields out
    (`includeFields`), so all but the id may be missing. `payload`: the body's bytes. It is provisional: a
    body has no digest that a read's could be compared with."""
    try:
        order = _ORDER.validate_python(body)
    except ValidationError:
        return None
    found = _number(order, "Order")
    if found is None:
        return None
    fulfillments = [_fulfillment_fact(each) for each in order.fulfillments]
    facts: dict[str, Json] = {
        "lines": _lines_of(order.line_items),
        "fulfillment_orders": [],
        "fulfillments": list(fulfillments),
    }
    if uncarried := _uncarried(order.line_items):
        facts["uncarried"] = uncarried
    terms = order.payment_terms.payment_terms_type if order.payment_terms is not None else None
    payment = payment_of((order.financial_status or "").upper(), (terms or "").upper())
    return OrderSnapshot(
        id=found,
        reference=order.name,
        state=_state_of(order, facts),
        payment=payment,
        facts=facts,
        payload=payload,
        content_hash="",
        platform_updated_at=updated_at_ms(body),
        age=age_of(
            order.created_at,
            order.processed_at,
            is_over=order.closed_at is not None or order.cancelled_at is not None,
        ),
        content=webhook_content(body, is_on_account=payment == "invoice"),
        apart=APART,
        is_provisional=True,
    )


def _state_of(order: _Order, facts: dict[str, Json]) -> str:
    if order.cancelled_at is not None:
        return "CANCELLED"
    status = order.fulfillment_status
    state = _STATES.get(status, (status or "").upper())
    sent = parcels(facts)
    return "DELIVERED" if state == "FULFILLED" and sent and all(each["is_delivered"] for each in sent) else state


def _uncarried(lines: list[_Line]) -> list[str]:
    """Gift cards, tips and what else no carrier takes."""
    found = [(each, _number(each, "LineItem")) for each in lines if each.requires_shipping is False or each.gift_card]
    return [line for _, line in found if line]


def _fulfillment_fact(fulfillment: _Fulfillment) -> dict[str, Json]:
    """As a read would show it (`wire`)."""
    return {
        "id": _number(fulfillment, "Fulfillment"),
        "is_live": (fulfillment.status or "").upper() in LIVE,
        "is_delivered": fulfillment.shipment_status in _ARRIVED,
        "codes": [each for each in fulfillment.tracking_numbers if each],
        "urls": [each for each in fulfillment.tracking_urls if each],
        "lines": {line: each.quantity for each in fulfillment.line_items if (line := _number(each, "LineItem"))},
    }


def _lines_of(lines: list[_Line]) -> dict[str, Json]:
    return {
        line: each.quantity if each.current_quantity is None else each.current_quantity
        for each in lines
        if (line := _number(each, "LineItem"))
    }


def _number(thing: Any, kind: str) -> str | None:
    """A gid wins over the number beside it, which may have gone through a float."""
    return id_of_gid(thing.admin_graphql_api_id, kind) or whole_id(thing.id)
