"""What mutations take: ids, lines of parcels, and tracking."""

from __future__ import annotations

from collections.abc import Sequence

from statemachines.shopify.parcels import Parcel
from statemachines.target import Json


def lines_input(parcel: Parcel) -> list[Json]:
    """A parcel's lines, by fulfilment order."""
    by_order: dict[str, list[Json]] = {}
    for each in parcel.portions:
        line = {"id": gid("FulfillmentOrderLineItem", each.fulfillment_order_line), "quantity": each.quantity}
        by_order.setdefault(each.fulfillment_order, []).append(line)
    return [
        {"fulfillmentOrderId": gid("FulfillmentOrder", order), "fulfillmentOrderLineItems": lines}
        for order, lines in by_order.items()
    ]


def tracking_input(pairs: Sequence[tuple[str | None, str | None]], carrier: str | None) -> dict[str, Json]:
    """Numbers with their links: `number` and `url` of one, else lists, in which links stand by the place of their
    number; so numbers without a link come behind those that have one."""
    sorted_pairs = sorted(pairs, key=lambda pair: (pair[0] is None, pair[1] is None))
    if len(sorted_pairs) > 1:
        numbers, urls = [code for code, _ in sorted_pairs if code], [url for _, url in sorted_pairs if url]
        named: dict[str, Json] = {"numbers": numbers, "urls": urls}
    else:
        code, url = next(iter(sorted_pairs), (None, None))
        named = {"number": code, "url": url}
    return {name: value for name, value in {**named, "company": carrier}.items() if value}


def gid(kind: str, number: str) -> str:
    """An id as Shopify's GraphQL has it."""
    return f"gid://shopify/{kind}/{number}"
