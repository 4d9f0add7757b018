"""What Shopify's answers about orders mean: from JSON to snapshots and rows of lists. Pure (shopify.md §4-§6).

The text of the order node is kept as the payload. Ids are cut out of gids as text and stay text.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pydantic import TypeAdapter, ValidationError

from orchestrator.platforms.client import Age, OrderSnapshot
from orchestrator.platforms.content import digest
from orchestrator.platforms.fields import (
    FIRST_YEAR,
    LAST_YEAR,
    InvalidOrder,
    object_of,
    of_one_order,
    payload_of,
    shown,
)
from orchestrator.platforms.shopify.content import APART, content_of, returns_of
from orchestrator.platforms.shopify.nodes import (
    NO_RETURN,
    FulfillmentNode,
    FulfillmentOrderNode,
    LineItemNode,
    OrderNode,
    ReturnNode,
    RowNode,
)
from orchestrator.platforms.shopify.payment import payment_of
from orchestrator.platforms.shopify.webhooks import id_of_gid
from statemachines.shopify.facts import ERP_NUMBER, parcels, remaining
from statemachines.shopify.returns import is_all_back
from statemachines.target import Json

_SYNONYMS = {"OPEN": "UNFULFILLED", "RESTOCKED": "UNFULFILLED", "PENDING_FULFILLMENT": "IN_PROGRESS"}
"""Deprecated names of display states (shopify.md §4)."""
_DECLINED = "REQUEST_DECLINED"
"""A fulfilment service said no to some of the goods (Admin schema): they are the merchant's to ship, and which of them
its fulfilment orders show."""
_SHIPS_MORE = frozenset({"UNFULFILLED", "IN_PROGRESS", "PARTIALLY_FULFILLED", "ON_HOLD", "SCHEDULED"})
"""States of orders that have goods to ship: what came back of another parcel does not end them."""
LIVE = frozenset({"SUCCESS", "OPEN", "PENDING"})
ARRIVED = frozenset({"DELIVERED", "PICKED_UP"})


_ORDER = TypeAdapter(OrderNode)
_ROW = TypeAdapter(RowNode)


@dataclass(frozen=True, slots=True)
class Row:
    """One order of a list, too thin to be an import: who it is, when it changed (Unix milliseconds), how old it is."""

    id: str
    updated_at: int
    is_cancelled: bool
    age: Age


@of_one_order
def read_row(node: Json) -> Row:
    """A row of the list of orders. Raises InvalidOrder."""
    try:
        row = _ROW.validate_python(object_of(node))
    except ValidationError as error:
        raise InvalidOrder(_words(error)) from None
    return Row(number(row.id, "Order"), _change_ms(row.updated_at), row.cancelled_at is not None, _age(row))


@of_one_order
def read_order(node: Json, text: str, now_ms: int) -> OrderSnapshot:
    """An order as the machine sees it; `text` is the node's own. Raises InvalidOrder."""
    try:
        order = _ORDER.validate_python(object_of(node))
    except ValidationError as error:
        raise InvalidOrder(_words(error)) from None
    _all_shown(order)
    facts: dict[str, Json] = {
        "lines": {number(each.id, "LineItem"): each.current_quantity for each in order.line_items.nodes},
        "fulfillment_orders": [_order_fact(each) for each in order.fulfillment_orders.nodes],
        "fulfillments": [_fulfillment_fact(each) for each in _by_age(order.fulfillments)],
    }
    terms = order.payment_terms.payment_terms_type if order.payment_terms is not None else None
    payment = payment_of(order.display_financial_status, terms)
    content = content_of(object_of(node), is_on_account=payment == "invoice")
    if uncarried := [number(each.id, "LineItem") for each in order.line_items.nodes if not _is_carried(each)]:
        facts["uncarried"] = uncarried
    if order.returns is not None:
        facts["returns"] = [_return_fact(each) for each in order.returns.nodes]
        content["returns"] = returns_of(facts["returns"])
    if order.metafield is not None:
        facts[ERP_NUMBER] = order.metafield.value
    if order.return_status != NO_RETURN:
        facts["return_status"] = order.return_status
    state = _state_of(order, facts)
    if not facts["fulfillment_orders"] and state in _SHIPS_MORE:
        facts["age_seconds"] = max(0, now_ms - _ms(order.created_at)) // 1000
    return OrderSnapshot(
        id=number(order.id, "Order"),
        reference=order.name,
        state=state,
        payment=payment,
        facts=facts,
        payload=payload_of(text),
        content_hash=digest(content, APART),
        platform_updated_at=_change_ms(order.updated_at),
        age=_age(order),
        content=content,
        apart=APART,
    )


def _age(order: OrderNode | RowNode) -> Age:
    """As `age_of`."""
    is_over = order.closed_at is not None or order.cancelled_at is not None
    return age_of(order.created_at, order.processed_at, is_over=is_over)


def age_of(created: datetime | None, processed: datetime | None, *, is_over: bool) -> Age:
    """How old an order is: made when it was processed, where that is before Shopify got it. An order that was brought
    over from another system is as old as it was there, though Shopify made it yesterday. `is_over`: archived or
    cancelled."""
    made = [_ms(at) for at in (created, processed) if at is not None and FIRST_YEAR <= at.year <= LAST_YEAR]
    return Age(min(made, default=None), is_over=is_over)


def number(gid: str, kind: str) -> str:
    """The number of a gid as text. Raises InvalidOrder for the id of anything else."""
    found = id_of_gid(gid, kind)
    if found is None:
        raise InvalidOrder(f"invalid id of {kind}: {shown(gid)}")
    return found


def _state_of(order: OrderNode, facts: dict[str, Json]) -> str:
    """The display status, and what it does not give: cancelled, returned, delivered (shopify.md §6)."""
    if order.cancelled_at is not None:
        return "CANCELLED"
    status = _SYNONYMS.get(order.display_fulfillment_status, order.display_fulfillment_status)
    live = [each for each in order.fulfillments if each.status in LIVE]
    if status == _DECLINED:
        status = "PARTIALLY_FULFILLED" if live else "UNFULFILLED"
    sent = parcels(facts)
    if status in _SHIPS_MORE and sent and facts.get("uncarried") and not remaining(facts):
        status = "FULFILLED"  # what is left is a gift card or a tip, for which nothing waits
    if status not in _SHIPS_MORE and _is_all_back(order, facts):
        return "RETURNED"
    if status != "FULFILLED":
        return status
    return "DELIVERED" if sent and all(each["is_delivered"] for each in sent) else "FULFILLED"


def _is_carried(line: LineItemNode) -> bool:
    """Whether a carrier takes it: no gift card and no tip."""
    return line.requires_shipping and not line.is_gift_card


def _is_all_back(order: OrderNode, facts: dict[str, Json]) -> bool:
    """Whether everything came back. `returnStatus` says that *some* items were returned, so where the app may not read
    the returns themselves the order has to be without any quantity as well."""
    goods = {number(each.id, "LineItem") for each in order.line_items.nodes if _is_carried(each)}
    if order.returns is not None:
        return is_all_back(facts, goods)
    return order.return_status == "RETURNED" and not any(facts["lines"][line] for line in goods)


def _has_arrived(fulfillment: FulfillmentNode) -> bool:
    return fulfillment.display_status in ARRIVED or fulfillment.delivered_at is not None


def _by_age(fulfillments: list[FulfillmentNode]) -> list[FulfillmentNode]:
    return sorted(fulfillments, key=lambda each: (each.created_at, len(each.id), each.id))


def _order_fact(order: FulfillmentOrderNode) -> dict[str, Json]:
    location = order.assigned_location.location
    return {
        "id": number(order.id, "FulfillmentOrder"),
        "status": order.status,
        "location": number(location.id, "Location") if location is not None else order.assigned_location.name,
        "method": order.delivery_method.method_type if order.delivery_method is not None else None,
        "request": order.request_status,
        "is_service": location is not None and location.is_fulfillment_service,
        "actions": sorted(each.action for each in order.supported_actions),
        "hold": order.fulfillment_holds[0].reason if order.fulfillment_holds else None,
        "fulfill_at": _ms(order.fulfill_at) if order.fulfill_at is not None else None,
        "lines": {
            number(each.id, "FulfillmentOrderLineItem"): [
                number(each.line_item.id, "LineItem"),
                each.remaining_quantity,
            ]
            for each in order.line_items.nodes
        },
    }


def _fulfillment_fact(fulfillment: FulfillmentNode) -> dict[str, Json]:
    lines: dict[str, int] = {}
    for each in fulfillment.fulfillment_line_items.nodes:
        line = number(each.line_item.id, "LineItem")
        lines[line] = lines.get(line, 0) + (each.quantity or 0)
    return {
        "id": number(fulfillment.id, "Fulfillment"),
        "is_live": fulfillment.status in LIVE,
        "is_delivered": _has_arrived(fulfillment),
        "codes": [each.number for each in fulfillment.tracking_info if each.number],
        "urls": [each.url for each in fulfillment.tracking_info if each.url],
        "carriers": list(dict.fromkeys(each.company for each in fulfillment.tracking_info if each.company)),
        "tracking": [[each.number, each.url] for each in fulfillment.tracking_info if each.number or each.url],
        "lines": lines,
    }


def _return_fact(each: ReturnNode) -> dict[str, Json]:
    """As `statemachines.shopify.returns` reads it: quantities by order line, in the sequence in which they show."""
    asked: dict[str, int] = {}
    processed: dict[str, int] = {}
    for row in each.return_line_items.nodes:
        if row.fulfillment_line_item is None:
            continue
        line = number(row.fulfillment_line_item.line_item.id, "LineItem")
        asked[line] = asked.get(line, 0) + row.quantity
        processed[line] = processed.get(line, 0) + row.processed_quantity
    return {
        "id": number(each.id, "Return"),
        "state": each.status,
        "lines": [{"id": line, "quantity": quantity} for line, quantity in asked.items()],
        "processed": {line: quantity for line, quantity in processed.items() if quantity},
        "exchange": sum(row.unprocessed_quantity for row in each.exchange_line_items.nodes),
    }


MOST_FULFILLMENTS = 100
"""How many fulfilments order.graphql asks for."""


def _all_shown(order: OrderNode) -> None:
    """Half an order would be shipped wrongly, so one that is not whole after all of its pages (`pages`) is set
    aside for a person."""
    pages = [order.line_items.page_info, order.fulfillment_orders.page_info]
    pages += [each.page_info for each in (order.shipping_lines, order.discount_applications) if each is not None]
    pages += [each.line_items.page_info for each in order.fulfillment_orders.nodes]
    pages += [each.fulfillment_line_items.page_info for each in order.fulfillments]
    if order.returns is not None:
        pages.append(order.returns.page_info)
        for row in order.returns.nodes:
            pages += [row.return_line_items.page_info, row.exchange_line_items.page_info]
    if any(page.has_next_page for page in pages):
        raise InvalidOrder("a list of it says that there is more and not where that begins")
    if len(order.fulfillments) >= MOST_FULFILLMENTS:  # a plain list: nothing says whether there are more
        raise InvalidOrder(f"it has {MOST_FULFILLMENTS} fulfilments or more, and one read shows no more")


def _ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _change_ms(at: datetime) -> int:
    """A change time, by which the next sync asks. Raises InvalidOrder for one that nobody can go on from."""
    if not FIRST_YEAR <= at.year <= LAST_YEAR:
        raise InvalidOrder(f"updatedAt is not a date between {FIRST_YEAR} and {LAST_YEAR}: {at.isoformat()}")
    return _ms(at)


def _words(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    value = first["input"]
    suffix = "" if isinstance(value, dict | list) else f", not {shown(value)}"  # an object of it may be a buyer
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}{suffix}"
