"""A change of a Shopify order's money, goods and texts is reported once; what it takes to book an order is there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from storage.payloads import get_payload
from tests.runtime.shopify.floor import SHOP, WHOLE, change, content, floor_of, order_at, reach, shopify, updates

CHANGES: list[tuple[str, str, dict[str, Any], set[str]]] = [
    ("PAID", "set_quantity", {"quantity": 5}, {"/lines/0/quantity", "/totals/total"}),
    ("PAID", "set_quantity", {"quantity": 1}, {"/lines/0/quantity", "/totals/total"}),
    ("PAID", "set_price", {"price": "12.50"}, {"/lines/0/unit_price", "/totals/total"}),
    ("AUTHORIZED", "void", {}, {"/payment/status"}),
    ("AUTHORIZED", "expire", {}, {"/payment/status"}),
    ("PENDING", "expire", {}, {"/payment/status"}),
    ("PENDING", "pay", {}, {"/payment/status", "/payment/paid"}),
    ("PAID", "refund", {}, {"/totals/refunded", "/payment/status"}),
    ("PENDING", "set_terms", {"terms": "NET"}, {"/payment/status", "/payment/terms"}),
    ("PAID", "edit", {"receiver_name": "Somebody Else"}, {"/ship_to"}),
    ("PAID", "set_billing", {"receiver_name": "Somebody Else"}, {"/bill_to"}),
    ("PAID", "set_note", {"note": "ring twice"}, {"/note"}),
]


ASIDE = {"/payment/raw", "/payment/due", "/totals/tax", "/totals/total", "/lines/0/tax"}
"""What follows from such a change."""


@pytest.mark.parametrize("same_second", [False, True])
@pytest.mark.parametrize(("financial", "action", "fields", "expected"), CHANGES)
async def test_a_change_is_reported_once_with_what_it_is_about(
    tmp_path: Path, financial: str, action: str, fields: dict[str, Any], expected: set[str], same_second: bool
) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = (await order_at(floor, WHOLE)).id
        floor.sandbox.shopify.shop.orders[int(order)].financial = financial
        await floor.commands.refresh(SHOP, order)
        before = len(await updates(floor, order))
        change(floor, order, action, same_second=same_second, **fields)
        await floor.commands.refresh(SHOP, order)
        await floor.commands.sync(SHOP, 30)
        (changed,) = (await updates(floor, order))[before:]
        assert expected <= set(changed)
        assert set(changed) - expected <= ASIDE


async def test_each_of_two_partial_refunds_is_reported(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = (await order_at(floor, WHOLE)).id
        floor.sandbox.shopify.shop.orders[int(order)].financial = "PAID"
        await floor.commands.refresh(SHOP, order)
        before = len(await updates(floor, order))
        for _ in range(2):
            change(floor, order, "refund", amount="5.00", same_second=True)
            await floor.commands.refresh(SHOP, order)
        first, second = (await updates(floor, order))[before:]
        assert "/payment/status" in first
        assert second == ["/totals/refunded", "/totals/total"]
        assert (await content(floor, order))["totals"]["refunded"] == "10.00"


async def test_a_change_by_a_person_after_our_step_is_reported_and_what_the_step_did_is_not(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = (await order_at(floor, WHOLE)).id
        floor.sandbox.shopify.shop.orders[int(order)].financial = "PAID"
        await floor.commands.refresh(SHOP, order)
        before = len(await updates(floor, order))
        await reach(floor, order, "shipped", tracking={"code": "1Z"})
        change(floor, order, "refund")
        await floor.commands.refresh(SHOP, order)
        ((changed),) = (await updates(floor, order))[before:]
        assert not any(each.startswith("/parcels") for each in changed)
        assert "/totals/refunded" in changed
        (parcel,) = (await content(floor, order))["parcels"]
        floor.sandbox.shopify.shop.update_tracking(int(parcel["id"]), {"number": "CORRECTED"})
        await floor.commands.refresh(SHOP, order)
        assert (await updates(floor, order))[-1] == ["/parcels/0/numbers"]


async def test_an_order_is_kept_with_all_that_it_takes_to_book_it(tmp_path: Path) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = (await order_at(floor, WHOLE)).id
        shown = floor.sandbox.shopify.shop.orders[int(order)]
        shown.discount, shown.shipping, shown.financial = 1_000, 490, "PAID"
        await floor.commands.refresh(SHOP, order)
        found = await content(floor, order)
        kept = await floor.store.read(lambda tx: get_payload(tx, SHOP, order))
        payload = json.loads(kept or b"")
        assert {"billingAddress", "taxesIncluded", "currentTaxLines", "discountApplications", "test", "app"} <= set(
            payload
        )
        assert payload["transactions"][0]["gateway"] == "bogus"
        line = found["lines"][0]
        assert (line["kind"], line["unit_price"]["gross"], line["discount"]["gross"]) == ("goods", "199.00", "10.00")
        assert (line["tax"][0]["name"], line["tax"][0]["rate"]) == ("Sales tax", "0.07")
        assert line["product_id"]
        assert line["variant_id"]
        assert found["discounts"] == [
            {"code": "WELCOME", "name": None, "amount": {"net": None, "gross": "10.00", "stated": None}}
        ]
        assert found["delivery"]["cost"]["gross"] == found["totals"]["delivery"] == "4.90"
        assert found["buyer"]["id"]
        assert found["bill_to"]["country"] == "US"
        assert (found["test"], found["currency"], found["channel"]["name"]) == (False, "USD", "Online Store")


@pytest.mark.parametrize(
    ("financial", "terms", "payment", "status"),
    [
        ("PENDING", "NET", "invoice", "invoice"),
        ("PENDING", "FIXED", "invoice", "invoice"),
        ("PENDING", "FULFILLMENT", "invoice", "invoice"),
        ("PARTIALLY_PAID", "NET", "invoice", "partly_paid"),
        ("PENDING", "RECEIPT", "unpaid", "unpaid"),
        ("PENDING", "UNKNOWN", "unpaid", "unpaid"),
        ("PENDING", None, "unpaid", "unpaid"),
        ("AUTHORIZED", "NET", "unpaid", "authorized"),
        ("VOIDED", "NET", "unpaid", "voided"),
        ("PAID", "NET", "paid", "paid"),
    ],
)
async def test_terms_that_give_the_buyer_time_release_an_order(
    tmp_path: Path, financial: str, terms: str | None, payment: str, status: str
) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = (await order_at(floor, WHOLE)).id
        shown = floor.sandbox.shopify.shop.orders[int(order)]
        shown.financial, shown.terms = financial, terms
        await floor.commands.refresh(SHOP, order)
        assert (await floor.order(order, SHOP)).payment == payment
        assert (await content(floor, order))["payment"]["status"] == status


@pytest.mark.parametrize(
    ("scope", "member"),
    [("read_payment_terms", "terms"), ("read_customers", "account"), ("read_products", "goods"), ("read_returns", "")],
)
async def test_an_app_without_a_scope_gets_orders_without_that_part_and_no_change_is_reported_for_it(
    tmp_path: Path, scope: str, member: str
) -> None:
    async with floor_of(shopify(), tmp_path) as floor:
        order = (await order_at(floor, WHOLE)).id
        before = len(await updates(floor, order))
        change(floor, order, "revoke_scope", scope=scope)
        change(floor, order, "set_note", note="ring twice")
        await floor.commands.refresh(SHOP, order)
        assert (await updates(floor, order))[before:] == [["/note"]]
        found = await content(floor, order)
        expected = {
            "terms": "terms" in found["payment"],
            "account": "id" in found["buyer"],
            "goods": "product_id" in found["lines"][0],
            "": "returns" in found,
        }
        assert [name for name, is_named in expected.items() if not is_named] == [member]
        assert not (await floor.commands.sync(SHOP, 30)).rejected  # type: ignore[union-attr]
