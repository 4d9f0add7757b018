"""Foreign data ends at most its own order: whatever one order holds, the others are imported, driven and read.

What such an order is itself is either an import (what nobody decides on may be anything) or set aside, visibly.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from orchestrator.decisions.refusals import Refused
from orchestrator.operations.views.events import payload_text
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from statemachines.target import TargetRequest
from storage.payloads import get_payload
from storage.records import Rejected, TargetStatus
from storage.rejected import list_rejected
from storage.shops import get_shop
from tests.support.platforms import FIRST_STATES, SHOPS
from tests.support.shopfloor import Shopfloor, config_of, working_on
from tests.support.tampering import Path as Place
from tests.support.tampering import Spoilt, spoil, tamper

FIELDS: dict[str, tuple[Place, ...]] = {
    "selldone": (
        *(("updated_at",), ("reserved_at",), ("price",), ("status",), ("label",), ("items",), ("items", 0, "count")),
        *(("delivery_info",), ("receiver_info",), ("receiver_info", "location"), ("withdraw_at",), ("meta",), ("id",)),
        *(("basket_item_returns",), ("delivery_state",), ("items", 0, "id"), ("buyer",), ("reject_at",), ("currency",)),
    ),
    "cloudsuite": (
        *(("modified_date",), ("create_date",), ("order_date",), ("paid_amount",), ("state",), ("payment_status",)),
        *(("order_lines",), ("order_lines", 0, "quantity"), ("order_lines", 0, "id"), ("order_lines", 0, "product")),
        *(("reference",), ("description",), ("shipment_address",), ("order_lines", 0, "unit_price"), ("id",)),
        *(("order_lines", 0, "erp_line_number"), ("offline",), ("webshop",), ("erp_order_number",)),
    ),
    "xsale": (
        *(("PurchaseDate",), ("PriceNet",), ("PriceGross",), ("StatusId",), ("StatusName",), ("Items",), ("Id",)),
        *(("Items", 0, "Quantity"), ("Items", 0, "Id"), ("PaymentStatus",), ("ForeignNumber",), ("Remarks",)),
        *(("Items", 0, "OrderItemArticles"), ("BuyerId",), ("WaybillNumber",)),
    ),
    "shopify": (
        *(("updatedAt",), ("createdAt",), ("processedAt",), ("cancelledAt",), ("name",), ("note",), ("returns",)),
        *(("displayFulfillmentStatus",), ("displayFinancialStatus",), ("lineItems",), ("lineItems", "nodes"), ("id",)),
        *(("lineItems", "nodes", 0, "currentQuantity"), ("lineItems", "nodes", 0, "id"), ("fulfillmentOrders",)),
        *(("currentTotalPriceSet",), ("currentTotalPriceSet", "shopMoney", "amount"), ("fulfillments",)),
        *(("fulfillmentOrders", "nodes", 0, "lineItems"), ("customAttributes",), ("shippingAddress",)),
    ),
    "woocommerce": (
        *(("date_modified_gmt",), ("date_created_gmt",), ("date_paid_gmt",), ("status",), ("number",), ("total",)),
        *(("line_items",), ("line_items", 0, "id"), ("line_items", 0, "quantity"), ("line_items", 0, "subtotal")),
        *(("line_items", 0, "taxes"), ("tax_lines",), ("tax_lines", 0, "rate_percent"), ("fee_lines",), ("id",)),
        *(("shipping_lines",), ("coupon_lines",), ("billing",), ("shipping", "city"), ("meta_data",), ("refunds",)),
        *(("payment_method",), ("currency",), ("customer_id",), ("total_tax",)),
    ),
}

MAY_BE_ANOTHERS = {("status",), ("state",), ("webshop",), ("StatusId",), ("StatusName",), ("cancelledAt",)}
"""Members that say whether an order is the ERP's at all: one that says no is left alone."""

HOSTILE = {
    "year 1": b'"0001-01-01T00:00:00"',
    "before year 1": b'"0001-01-01T00:00:00+14:00"',
    "year 9999": b'"9999-12-31T23:59:59"',
    "after year 9999": b'"9999-12-31T23:59:59-12:00"',
    "comma": b'"1,5"',
    "large text": b'"1e9999999"',
    "larger text": b'"-1e99999999999999999999"',
    "large number": b"1e9999999",
    "small number": b"1e-9999999",
    "double's end": b"1.7976931348623157e308",
    "NaN": b"NaN",
    "infinity": b"-Infinity",
    "text of NaN": b'"sNaN"',
    "digits": b"9" * 5000,
    "text of digits": b'"' + b"9" * 5000 + b'"',
    "half an emoji": rb'"a\ud83d"',
    "name of half an emoji": rb'{"\ud83d": {"\u0000": "\udc00"}}',
    "NUL": rb'"a\u0000b"',
    "no UTF-8": b'"M\xfcller"',
    "half an emoji in bytes": b'"\xed\xa0\xbd"',
    "empty list": b"[]",
    "list": b'[[1, "a", null, {"id": []}], 5]',
    "object": b'{"id": {"id": {}}, "nodes": 5}',
    "null": b"null",
    "true": b"true",
    "negative": b"-9223372036854775809",
    "blank": b'" "',
    "deep": b"[" * 5000 + b"]" * 5000,
    "rather deep": b'{"a":' * 400 + b"1" + b"}" * 400,
    "twice": b'1, "id": "1", "id": null, "Id": []',
    "no JSON": b"undefined",
    "line break": b'"a\nb"',
}


async def rejected(floor: Shopfloor) -> list[Rejected]:
    return await floor.store.read(lambda tx: list_rejected(tx, 0, 1000))


async def looked_after(floor: Shopfloor, platform: str, bad: Mapping[str, Place], good: list[str]) -> None:
    """What has to hold after a sync: nothing of the shop is in trouble, and nothing is lost."""
    shop = await floor.store.read(lambda tx: get_shop(tx, SHOPS[platform]))
    assert shop is not None
    assert shop.last_sync_error is None
    known = {order.id for order in await floor.orders()}
    assert known.issuperset(good)
    aside = await rejected(floor)
    kept = {payload.id: payload for payload in aside}
    events = await floor.events("import.rejected")
    assert sorted(event.data["id"] for event in events) == sorted(kept), "one event each"
    for order, place in bad.items():
        is_named = any(order.encode() in each.payload for each in aside)
        is_nameless = place[-1:] in (("id",), ("Id",)) and any(each.payload for each in aside)
        assert order in known or is_named or is_nameless or place in MAY_BE_ANOTHERS, f"{order} is lost: {place}"
    for order in known:
        payload = await floor.store.read(partial(get_payload, shop=SHOPS[platform], order=order))
        shown = json.loads(payload_text(payload))
        json.dumps(shown, ensure_ascii=False).encode()


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("platform", FIELDS)
async def test_whatever_one_order_holds_its_neighbours_are_imported_and_driven(
    platform: str, hostile: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = Sandbox(SandboxSettings(orders=len(FIELDS[platform]) + 2))
    async with sandbox.running():
        ids = sandbox.platforms[platform].order_ids()
        places = dict(zip(ids[1:], FIELDS[platform], strict=False))
        spoilt = {order: [Spoilt(place, HOSTILE[hostile])] for order, place in places.items()}
        tamper(monkeypatch, lambda body: spoil(body, spoilt))
        good = [ids[0], ids[-1]]
        shop = SHOPS[platform]
        async with working_on(sandbox, config_of(sandbox, tmp_path, platform=platform), tmp_path) as floor:
            report = await floor.commands.sync(shop, 60)
            assert report is not None
            await looked_after(floor, platform, places, good)
            for order in spoilt:
                request = TargetRequest(FIRST_STATES[platform])
                for ask in (
                    floor.commands.refresh(shop, order),
                    floor.commands.preview(shop, order, request),
                    floor.commands.submit(shop, order, request),
                ):
                    with suppress(Refused):  # never anything else
                        await ask
            assert (await floor.reach(good[-1], FIRST_STATES[platform], shop)).status is TargetStatus.REACHED
            again = await floor.commands.sync(shop, 60)
            assert again is not None
            assert again.rejected == 0, "the same is reported once"
            await looked_after(floor, platform, places, good)
