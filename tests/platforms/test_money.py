"""What an order costs, as each simulated platform has it and as its content shows it: the same to the last digit, or
the content says what it was not given."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from orchestrator.platforms.completion import completed
from orchestrator.platforms.selldone.content import content_of
from orchestrator.registry import BUILT_IN
from orchestrator.sandbox.selldone.shop import SelldoneOptions
from orchestrator.testing.stage import Stage, staged

NAMES = sorted(BUILT_IN)
SUMS = ("lines", "discount", "delivery", "tax", "total", "refunded")
FULL = {"discount": "3.00", "line_discount": "2.00", "shipping": "4.90"}
CURRENCIES: Mapping[str, dict[str, Any]] = {
    "EUR": FULL,
    "PLN": {**FULL, "shipping": "17.99"},
    "JPY": {"discount": "301", "line_discount": "200", "shipping": "790"},
    "KWD": {"discount": "1.001", "line_discount": "0.668", "shipping": "1.635"},
}
CARTS: Mapping[str, dict[str, Any]] = {
    "two tax rates": {},
    "tax in prices": {"tax_included": True, **FULL},
    "tax on top": {"tax_included": False, **FULL},
    "a discount of the order": {"discount": "5.01"},
    "a discount of a line": {"line_discount": "2.00"},
    "shipping": {"shipping": "4.90"},
    "pickup": {"pickup": True},
    **{f"all of it in {currency}": {"currency": currency, **each} for currency, each in CURRENCIES.items()},
}
EDITS: Mapping[str, list[tuple[str, dict[str, Any]]]] = {
    "more of a line": [("edit_line", {"quantity": 5})],
    "fewer of a line": [("edit_line", {"quantity": 1})],
    "a new line": [("add_line", {"sku": "SHIRT-M", "quantity": 2})],
    "a line less": [("remove_line", {})],
    "a line less, another one more": [
        ("remove_line", {}),
        ("add_line", {"sku": "LAMP"}),
        ("edit_line", {"quantity": 3}),
    ],
}
FIXED_TAX = {"cloudsuite": False, "xsale": True}
"""Where prices are always without tax, or with it."""
HIDDEN: Mapping[str, frozenset[str]] = {
    "cloudsuite": frozenset(SUMS) - {"lines"},
    "xsale": frozenset({"discount", "delivery", "refunded"}),
    "selldone": frozenset({"refunded"}),
}
"""The sums that a platform does not give (its page)."""
DISCOUNTS_BY_LINE = frozenset({"shopify", "woocommerce"})
"""Where each line has its part of all discounts, and its tax."""


def digits(currency: str) -> int:
    return {"JPY": 0, "KWD": 3}.get(currency, 2)


async def bought(stage: Stage, cart: dict[str, Any]) -> str:
    """The id of a new order of these goods."""
    return str(stage.operate("add", cart=cart)["order"])


async def seen(stage: Stage, order: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What it costs by the platform's own arithmetic, and its content."""
    money = stage.operate("money", order=order)["money"]
    return money, dict(completed((await stage.client.read(order)).content))


def offered() -> list[Any]:
    """Each cart on each platform that has such prices."""
    pairs = [(platform, name) for platform in NAMES for name in CARTS]
    fixed = {pair: FIXED_TAX.get(pair[0], CARTS[pair[1]].get("tax_included")) for pair in pairs}
    taken = [pair for pair in pairs if fixed[pair] in (None, CARTS[pair[1]].get("tax_included", fixed[pair]))]
    return [pytest.param(platform, CARTS[name], id=f"{platform}-{name}") for platform, name in taken]


def check(platform: str, money: Mapping[str, Any], content: Mapping[str, Any]) -> None:
    """Content says what the platform's own arithmetic says, or that it was not given that."""
    totals, gaps = content["totals"], set(content["gaps"])
    assert content["currency"] == money["currency"]
    for name in SUMS:
        if name in HIDDEN.get(platform, ()):
            assert (totals[name], f"/totals/{name}" in gaps) == (None, True), name
        else:
            assert Decimal(totals[name] or "NaN") == Decimal(money[name]), name
    for amount in [*totals.values(), *amounts_of(content)]:
        assert amount is None or -Decimal(amount).normalize().as_tuple().exponent <= digits(money["currency"])  # type: ignore[operator]
    basis = "gross" if money["tax_included"] else "net"
    lines = content["lines"]
    goods = sum(Decimal(each["unit_price"][basis]) * Decimal(each["quantity"]) for each in lines)
    assert goods == Decimal(money["lines"])
    if (own := content["totals"]["total"]) is None or "/totals/total" in content["derived"]:
        assert content["balanced"] is None
    else:
        is_whole = all(
            not Decimal(money[name]) for name in ("discount", "delivery") if name in HIDDEN.get(platform, ())
        )
        assert (content["balanced"], Decimal(own)) == (is_whole, Decimal(money["total"]))
    taxes = [each["tax"] for each in lines if Decimal(each["quantity"])]
    if platform in DISCOUNTS_BY_LINE:
        check_lines(money, content, basis)
    if Decimal(money["tax"]) and platform in ("selldone", "cloudsuite", "xsale"):
        assert taxes == [None] * len(taxes), "an order has tax, and no line gives its own"
        assert "/lines/*/tax" in gaps


def check_lines(money: Mapping[str, Any], content: Mapping[str, Any], basis: str) -> None:
    """The amounts of lines, which are booked, and their taxes are those of what is left of the order."""
    amounts = [Decimal(each["amount"][basis]) for each in content["lines"]]
    assert min(amounts) >= 0
    assert sum(amounts) == Decimal(money["lines"]) - Decimal(money["discount"])
    taxes = [each["amount"] for line in content["lines"] for each in line["tax"]]
    taxes += [each["amount"] for each in content["delivery"]["tax"]]
    assert sum(map(Decimal, taxes)) == Decimal(money["tax"])


def amounts_of(content: Mapping[str, Any]) -> list[str | None]:
    prices = [content["delivery"]["cost"], *(each["amount"] for each in content["discounts"] or ())]
    prices += [line["discount"] for line in content["lines"]]
    if "/lines/*/unit_price" not in content["derived"]:  # half a cent each where two cost an odd sum
        prices += [line["unit_price"] for line in content["lines"]]
    return [amount for price in prices for amount in price.values()]


@pytest.mark.parametrize(("platform", "cart"), offered())
async def test_what_an_order_costs_is_what_its_content_says(platform: str, cart: dict[str, Any]) -> None:
    async with staged(platform) as stage:
        money, content = await seen(stage, await bought(stage, cart))
        check(platform, money, content)
        assert content["delivery"]["method"] in (None, "pickup" if cart.get("pickup") else "shipping")
        if content["delivery"]["method"] is None:
            assert "/delivery/method" in content["gaps"]


@pytest.mark.parametrize("platform", NAMES)
@pytest.mark.parametrize("edits", EDITS.values(), ids=EDITS)
async def test_what_staff_change_of_an_order_changes_what_it_costs(
    platform: str, edits: list[tuple[str, dict[str, Any]]]
) -> None:
    async with staged(platform) as stage:
        order = await bought(stage, {"line_discount": "1.00", "discount": "2.00", "shipping": "4.90"})
        before, _ = await seen(stage, order)
        for action, change in edits:
            stage.operate(action, order=order, **change)
        after, content = await seen(stage, order)
        assert after["total"] != before["total"]
        check(platform, after, content)


@pytest.mark.parametrize("platform", sorted(DISCOUNTS_BY_LINE))
@pytest.mark.parametrize("currency", CURRENCIES)
async def test_a_line_has_its_amount_also_where_one_piece_has_no_price_that_can_be_written(
    platform: str, currency: str
) -> None:
    cart = {"currency": currency, "tax_included": True, **CURRENCIES[currency]}
    async with staged(platform) as stage:
        order = await bought(stage, cart)
        stage.operate("add_line", order=order, sku="LAMP", quantity=3)
        money, content = await seen(stage, order)
        check_lines(money, content, "gross" if money["tax_included"] else "net")
        assert not any(f"/lines/{n}/amount/net" in content["gaps"] for n in ("*", 0, 1, 2))


@pytest.mark.parametrize("platform", NAMES)
@pytest.mark.parametrize("is_gross", [False, True])
async def test_a_cancelled_order_costs_what_its_lines_come_to(platform: str, is_gross: bool) -> None:
    prices = {} if platform in FIXED_TAX else {"tax_included": is_gross}
    async with staged(platform) as stage:
        order = await bought(stage, {**FULL, **prices})
        stage.operate("cancel", order=order)
        money, content = await seen(stage, order)
        if platform == "shopify":
            assert Decimal(money["total"]) == 0, "all goods are taken out of it"
        check(platform, money, content)


@pytest.mark.parametrize("platform", ["shopify", "woocommerce"])
async def test_money_that_was_given_back_in_parts_is_taken_off(platform: str) -> None:
    async with staged(platform) as stage:
        order = await bought(stage, FULL)
        for amount in ("1.23", "0.77"):
            stage.operate("refund", order=order, amount=amount)
        money, content = await seen(stage, order)
        check(platform, money, content)
        assert Decimal(content["totals"]["refunded"]) == 2
        assert content["payment"]["status"] == "partly_refunded"


@pytest.mark.parametrize("reading", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("discount", ["2.00", "2.01"], ids=["of each piece", "of an offer"])
async def test_a_selldone_line_is_read_as_its_amounts_add_up(reading: bool, discount: str) -> None:
    simulated = {"selldone": SelldoneOptions(is_price_after_discount=reading)}
    async with staged("selldone", simulated=simulated) as stage:
        order = await bought(stage, {"line_discount": discount, "discount": "3.00", "tax_included": True})
        money, content = await seen(stage, order)
        assert Decimal(content["totals"]["total"]) == Decimal(money["total"])
        assert Decimal(content["totals"]["lines"]) - Decimal(content["totals"]["discount"]) == (
            Decimal(money["lines"]) - Decimal(money["discount"])
        )


OWN_PATHS = {
    "cloudsuite": {
        "totals.total": "total",
        "totals.tax": "tax",
        "delivery.cost.net": "delivery",
        "totals.discount": "discount",
    },
    "xsale": {"delivery.cost.gross": "delivery", "totals.discount": "discount"},
}


@pytest.mark.parametrize(("platform", "paths"), OWN_PATHS.items())
async def test_what_a_shop_shows_beyond_the_facts_is_found_by_paths(platform: str, paths: dict[str, str]) -> None:
    async with staged(platform, options={"fields": {name: f"Own_{each}" for name, each in paths.items()}}) as stage:
        for each in paths.values():
            stage.operate("show", member=f"Own_{each}", sum=each)
        for cart in CURRENCIES.items():
            order = await bought(stage, {"currency": cart[0], **cart[1]})
            money, content = await seen(stage, order)
            assert content["balanced"] is True
            assert Decimal(content["totals"]["total"]) == Decimal(money["total"])


async def test_a_shopify_order_is_shown_in_the_shops_own_currency() -> None:
    async with staged("shopify") as stage:
        order = str(stage.operate("add", cart={"currency": "USD", **FULL}, buyer_currency="JPY")["order"])
        money, content = await seen(stage, order)
        check("shopify", money, content)
        assert content["currency"] == "USD"


async def test_a_line_that_costs_half_a_cent_more_is_rounded_as_the_shop_does() -> None:
    options = {"fields": {"totals.total": "total_excl"}}
    async with staged("cloudsuite", orders=40, options=options) as stage:
        snapshots = await stage.snapshots()
        contents = [completed(each.content) for each in snapshots.values()]
        sums = [Decimal(each["totals"]["lines"] or "NaN") for each in contents]
        assert any(each != round(each, 2) for each in sums), "none of them is 2.5 pieces of 3.95 each"
        assert [each["balanced"] for each in contents] == [True] * 40
        uneven = {
            "totals": {"total": "9.86"},
            "currency": "EUR",
            "lines": [{"quantity": "2.5", "unit_price": {"net": "3.95"}}],
        }
        assert completed(uneven)["balanced"] is False


def test_a_selldone_line_of_half_a_cent_is_read_too() -> None:
    line = {"id": 1, "price": Decimal("3.95"), "count": Decimal("2.5"), "dis": 0, "offer_amount": 0, "cross_dis": 0}
    order = {"currency": "EUR", "price": Decimal("9.88"), "items": [line], "tax_included": True}
    content = completed(content_of(order))
    assert content["lines"] is not None
    assert content["lines"][0]["unit_price"]["gross"] == "3.95"
    assert content["lines"][0]["discount"]["gross"] == "0"


async def test_a_part_that_comes_back_is_shown_with_what_is_left_to_pay() -> None:
    async with staged("shopify") as stage:
        order = await bought(stage, {"shipping": "4.90", "tax_included": True})
        stage.operate("fulfill", order=order)
        before, content = await seen(stage, order)
        mugs = content["lines"][0]["id"]
        made = stage.operate("open_return", order=order, lines=[{"id": mugs, "quantity": 1}])
        stage.operate("process_return", order=order, **{"return": made["return"]})
        after, content = await seen(stage, order)
        assert Decimal(after["total"]) == Decimal(before["total"]) - Decimal("12.50")
        check("shopify", after, content)
        assert [each["lines"] for each in content["returns"]] == [[{"id": mugs, "quantity": "1"}]]


async def test_a_selldone_buyer_sends_one_of_two_back() -> None:
    async with staged("selldone") as stage:
        order = await bought(stage, FULL)
        stage.operate("move", order=order, state="SentOrder")
        request = stage.operate("request_return", order=order, count=1)["return"]
        stage.operate("answer_return", order=order, state="Accepted", **{"return": request})
        money, content = await seen(stage, order)
        check("selldone", money, content)
        (returned,) = content["returns"]
        assert (returned["state"], [each["quantity"] for each in returned["lines"]]) == ("Accepted", ["1"])
        assert "/returns/*/refund" in content["gaps"], "what the buyer got back is not shown"


async def test_a_word_of_the_shops_own_for_a_shipment_is_no_despatch_of_all() -> None:
    async with staged("cloudsuite") as stage:
        order = await bought(stage, {})
        stage.operate("move", order=order, state="processing")
        stage.operate("ship", order=order, shipment_state="partially_sent")
        assert (await stage.client.read(order)).state == "processing"
        stage.operate("ship", order=order)
        assert (await stage.client.read(order)).state == "sent"


async def test_how_far_an_xsale_order_is_paid_is_what_its_word_means() -> None:
    async with staged("xsale") as stage:
        order = await bought(stage, {"shipping": "4.90"})
        for word, status in (("Niedopłacone", "partly_paid"), ("Opłacone", "paid"), ("Nieopłacone", "unpaid")):
            stage.operate("set_payment", order=order, payment_status=word)
            _, content = await seen(stage, order)
            assert (content["payment"]["status"], content["payment"]["raw"]) == (status, word)
