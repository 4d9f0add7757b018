"""What the documents that an ERP sends can ask for: each operation by its name, and which order it is about."""

from __future__ import annotations

from collections.abc import Callable

from orchestrator.sandbox.shopify import reads
from orchestrator.sandbox.shopify.goods import prepare_pickup
from orchestrator.sandbox.shopify.orders import Json, fulfillment_node, gid
from orchestrator.sandbox.shopify.reads import id_of
from orchestrator.sandbox.shopify.selection import Field
from orchestrator.sandbox.shopify.shop import ShopifyShop, number_of
from orchestrator.sandbox.shopify.subscriptions import enum_of

VERSIONS = ("2026-01", "2026-04", "2026-07", "2026-10")
SINCE = {"fulfillmentOrderReportProgress": "2026-04", "jobResult": "2026-10"}
"""The first version of what is not in every one (the schemas of dev-mcp 1.16.0)."""
STEPS = {
    "order": "read",
    "orders": "list",
    "fulfillmentOrder": "read",
    "fulfillment": "read",
    "return": "read",
    "fulfillmentOrderReportProgress": "report_progress",
    "fulfillmentOrderLineItemsPreparedForPickup": "prepare_pickup",
    "fulfillmentCreate": "fulfill",
    "fulfillmentTrackingInfoUpdate": "update_tracking",
    "fulfillmentEventCreate": "mark_delivered",
    "orderCancel": "cancel",
    "metafieldsSet": "set_erp_number",
}
"""The machine's names for what is asked for; all else is in the ledger by its own name."""


def order_of(shop: ShopifyShop, field: Field) -> int | None:
    """The order that an operation is about, for the ledger."""
    arguments = field.arguments
    match field.name:
        case "order" | "orderCancel":
            return number_of(arguments.get("id") or arguments.get("orderId"))
        case "metafieldsSet":
            return number_of((arguments.get("metafields") or [{}])[0].get("ownerId"))
        case "fulfillmentOrderReportProgress" | "fulfillmentOrder":
            found = shop.order_of_fulfillment_order(number_of(arguments.get("id")))
            return found[0].id if found else None
        case "fulfillmentOrderLineItemsPreparedForPickup":
            rows = (arguments.get("input") or {}).get("lineItemsByFulfillmentOrder") or [{}]
            found = shop.order_of_fulfillment_order(number_of(rows[0].get("fulfillmentOrderId")))
            return found[0].id if found else None
        case "fulfillmentCreate":
            groups = (arguments.get("fulfillment") or {}).get("lineItemsByFulfillmentOrder") or [{}]
            found = shop.order_of_fulfillment_order(number_of(groups[0].get("fulfillmentOrderId")))
            return found[0].id if found else None
        case "fulfillment" | "fulfillmentTrackingInfoUpdate" | "fulfillmentEventCreate":
            arguments = {**arguments, **(arguments.get("fulfillmentEvent") or {})}
            parcel = shop.order_of_fulfillment(number_of(arguments.get("id") or arguments.get("fulfillmentId")))
            return parcel[0].id if parcel else None
        case _:
            return None


def _report_progress(shop: ShopifyShop, field: Field) -> Json:
    each = shop.report_progress(id_of(field.arguments.get("id")))
    node = {"id": gid("FulfillmentOrder", each.id), "status": each.status}
    return {"fulfillmentOrder": node, "userErrors": []}


def _prepare_pickup(shop: ShopifyShop, field: Field) -> Json:
    rows = field.arguments["input"]["lineItemsByFulfillmentOrder"]
    prepare_pickup(shop, [number_of(row["fulfillmentOrderId"]) for row in rows])
    return {"userErrors": []}


def _fulfill(shop: ShopifyShop, field: Field) -> Json:
    return {"fulfillment": fulfillment_node(shop.fulfill(field.arguments["fulfillment"])), "userErrors": []}


def _update_tracking(shop: ShopifyShop, field: Field) -> Json:
    arguments = field.arguments
    made = shop.update_tracking(id_of(arguments.get("fulfillmentId")), arguments.get("trackingInfoInput"))
    return {"fulfillment": fulfillment_node(made), "userErrors": []}


def _add_event(shop: ShopifyShop, field: Field) -> Json:
    event = field.arguments["fulfillmentEvent"]
    shop.add_event(id_of(event.get("fulfillmentId")), event["status"])
    node = {"id": gid("FulfillmentEvent", shop.press.next_id()), "status": event["status"]}
    return {"fulfillmentEvent": node, "userErrors": []}


def _cancel(shop: ShopifyShop, field: Field) -> Json:
    asked = field.arguments
    refunds = bool((asked.get("refundMethod") or {}).get("originalPaymentMethodsRefund"))
    job = shop.cancel(id_of(asked.get("orderId")), asked["reason"], asked.get("staffNote"), refunds=refunds)
    payload = {"job": {"id": job, "done": False}, "orderCancelUserErrors": [], "userErrors": []}
    return {**payload, "jobResult": shop.cancel_result(job)}


def _set_metafields(shop: ShopifyShop, field: Field) -> Json:
    """All of them or none, as Shopify does."""
    asked = field.arguments["metafields"]
    shop.set_metafields(asked)
    made = [{"id": gid("Metafield", shop.press.next_id()), **each} for each in asked]
    return {"metafields": made, "userErrors": []}


def _job(shop: ShopifyShop, field: Field) -> Json:
    job = shop.jobs.get(str(field.arguments.get("id")))
    return None if job is None else {"id": field.arguments["id"], "done": job.is_done}


def _node(shop: ShopifyShop, field: Field) -> Json:
    """Of the kinds that are read by their id alone, the results of cancellations."""
    gid_text = str(field.arguments.get("id"))
    return shop.cancel_result(gid_text) if "/OrderCancelJobResult/" in gid_text else None


def _subscriptions(shop: ShopifyShop, field: Field) -> Json:
    """By age, from behind the cursor on."""
    arguments = field.arguments
    topics = [enum_of(topic) for topic in arguments.get("topics") or []]
    rows = [each for each in shop.subscriptions if each.id > int(arguments.get("after") or 0)]
    rows = [each for each in rows if not topics or each.topic in topics]
    rows = [each for each in rows if arguments.get("uri") in (None, each.address)]
    first = arguments.get("first") or 50
    page = rows[:first]
    return {
        "nodes": [each.node() for each in page],
        "pageInfo": {"hasNextPage": len(rows) > first, "endCursor": str(page[-1].id) if page else None},
    }


def _subscribe(shop: ShopifyShop, field: Field) -> Json:
    made = shop.subscribe(field.arguments["topic"], field.arguments["webhookSubscription"])
    return {"webhookSubscription": made.node(), "userErrors": []}


def _resubscribe(shop: ShopifyShop, field: Field) -> Json:
    wanted = field.arguments["webhookSubscription"]
    found = shop.subscriptions.update(id_of(field.arguments.get("id")), wanted.get("uri"), wanted.get("format"))
    return {"webhookSubscription": found.node(), "userErrors": []}


def _unsubscribe(shop: ShopifyShop, field: Field) -> Json:
    shop.subscriptions.delete(id_of(field.arguments.get("id")))
    return {"deletedWebhookSubscriptionId": field.arguments["id"], "userErrors": []}


def _about_shop(shop: ShopifyShop, field: Field) -> Json:
    del field
    return {"name": shop.domain.partition(".")[0], "myshopifyDomain": shop.domain}


def _installation(shop: ShopifyShop, field: Field) -> Json:
    del field
    return {"accessScopes": [{"handle": scope} for scope in shop.access.scopes]}


def _versions(shop: ShopifyShop, field: Field) -> Json:
    del shop, field
    return [{"handle": version, "supported": True} for version in VERSIONS]


RESOLVERS: dict[str, Callable[[ShopifyShop, Field], Json]] = {
    "order": reads.order,
    "orders": reads.orders,
    "fulfillmentOrder": reads.fulfillment_order,
    "fulfillment": reads.fulfillment,
    "return": reads.return_,
    "fulfillmentOrderReportProgress": _report_progress,
    "fulfillmentOrderLineItemsPreparedForPickup": _prepare_pickup,
    "fulfillmentCreate": _fulfill,
    "fulfillmentTrackingInfoUpdate": _update_tracking,
    "fulfillmentEventCreate": _add_event,
    "orderCancel": _cancel,
    "metafieldsSet": _set_metafields,
    "job": _job,
    "node": _node,
    "webhookSubscriptions": _subscriptions,
    "webhookSubscriptionCreate": _subscribe,
    "webhookSubscriptionUpdate": _resubscribe,
    "webhookSubscriptionDelete": _unsubscribe,
    "shop": _about_shop,
    "currentAppInstallation": _installation,
    "publicApiVersions": _versions,
}
"""What answers an operation: a shop and the field that asks for it give a value with all of its members."""
