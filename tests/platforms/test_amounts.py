"""What a line comes to, and what delivery costs without its tax, are computed once, for every ERP."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from orchestrator.platforms.completion import completed
from orchestrator.registry import BUILT_IN
from orchestrator.testing.stage import staged

NOTHING = dict.fromkeys(("net", "gross", "stated"))


def price(**given: str) -> dict[str, Any]:
    return NOTHING | given


def tax(amount: str | None, rate: str | None = "0.19") -> dict[str, Any]:
    return {"name": "VAT", "rate": rate, "amount": amount}


def line(**changes: Any) -> dict[str, Any]:
    return {"id": "1", "quantity": "3", "unit_price": {"gross": "10.00"}, "discount": {"gross": "5.00"}, **changes}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"tax": [tax("3.99")]}, price(net="21.01", gross="25.00")),
        ({"tax": [tax("3.00"), tax("0.99")]}, price(net="21.01", gross="25.00")),
        ({"tax": []}, price(net="25.00", gross="25.00")),
        ({"tax": [tax(None)]}, price(gross="25.00")),
        ({}, price(gross="25.00")),
        ({"discount": {}}, price(gross="30.00")),
        (
            {"unit_price": {"net": "10.00"}, "discount": {"net": "1"}, "tax": [tax("5.51")]},
            price(net="29.00", gross="34.51"),
        ),
        ({"unit_price": {"net": "10", "gross": "12.3"}, "discount": {}}, price(net="30", gross="36.9")),
        ({"unit_price": {"stated": "10.00"}, "discount": {"stated": "0"}, "tax": [tax("1")]}, price(stated="30.00")),
        ({"unit_price": {}}, price()),
        ({"unit_price": {}, "amount": {"net": "25.00"}}, price(net="25.00")),
        ({"unit_price": {}, "amount": {"net": "25.00"}, "tax": [tax("4.75")]}, price(net="25.00", gross="29.75")),
        ({"amount": {"gross": "25.01"}, "quantity": None}, price(gross="25.01")),
        ({"quantity": None}, price()),
        ({"quantity": "2.5", "unit_price": {"net": "12.5"}, "discount": {}}, price(net="31.25")),
    ],
)
def test_a_line_comes_to_its_quantity_at_its_price_less_its_discount(changes: Any, expected: Any) -> None:
    whole = completed({"lines": [line(**changes)]})
    assert whole["lines"] is not None
    assert whole["lines"][0]["amount"] == expected
    given = changes.get("amount", {})
    computed = [basis for basis, amount in expected.items() if amount is not None and basis not in given]
    pointers = {f"/lines/*/amount/{basis}" if given else "/lines/*/amount" for basis in computed}
    assert {each for each in whole["derived"] if "/amount" in each} == pointers
    missing = {f"/lines/*/amount/{basis}" for basis, amount in expected.items() if amount is None}
    assert {gap for gap in whole["gaps"] if "amount" in gap and "tax" not in gap} == missing


def test_a_gap_of_one_line_is_named_by_its_place() -> None:
    whole = completed({"lines": [line(tax=[tax("3.99")]), line(id="2")]})
    assert "/lines/1/amount/net" in whole["gaps"]
    assert {"/lines/0/amount/net", "/lines/*/amount/net", "/lines/*/amount/gross"}.isdisjoint(whole["gaps"])


@pytest.mark.parametrize(
    ("totals", "cost", "taxes", "expected"),
    [
        ({"tax": "4.94"}, {"gross": "5.95"}, [tax("3.99")], ([tax("0.95", None)], price(net="5.00", gross="5.95"))),
        ({"tax": "4.94"}, {"net": "5.00"}, [tax("3.99")], ([tax("0.95", None)], price(net="5.00", gross="5.95"))),
        ({"tax": "3.99"}, {"gross": "5.95"}, [tax("3.99")], ([], price(net="5.95", gross="5.95"))),
        ({"tax": "3.98"}, {"gross": "5.95"}, [tax("3.99")], (None, price(gross="5.95"))),
        ({"tax": "4.00"}, {"gross": "0.00"}, [tax("3.99")], (None, price(gross="0.00"))),
        ({"tax": "9.99"}, {"gross": "5.95"}, [tax("3.99")], (None, price(gross="5.95"))),
        ({"tax": "4.94"}, {"gross": "5.95"}, None, (None, price(gross="5.95"))),
        ({}, {"gross": "5.95"}, [tax("3.99")], (None, price(gross="5.95"))),
        ({"tax": "4.94"}, {}, [tax("3.99")], (None, price())),
    ],
)
def test_the_tax_of_the_delivery_is_what_the_lines_leave(totals: Any, cost: Any, taxes: Any, expected: Any) -> None:
    given = line() if taxes is None else line(tax=taxes)
    whole = completed({"lines": [given], "totals": totals, "delivery": {"cost": cost}})
    found, costs = expected
    names = None if found is None else [{**each, "name": None} for each in found]
    assert (whole["delivery"]["tax"], whole["delivery"]["cost"]) == (names, costs)
    assert ("/delivery/tax" in whole["derived"]) is (names is not None)
    assert ("/delivery/tax" in whole["gaps"]) is (names is None)


def test_a_tax_of_delivery_that_is_given_stays() -> None:
    whole = completed({"lines": [line()], "delivery": {"cost": {"net": "5"}, "tax": [tax("0.95")]}})
    assert whole["delivery"]["tax"] == [tax("0.95")]
    assert whole["delivery"]["cost"] == price(net="5", gross="5.95")
    assert "/delivery/tax" not in whole["derived"]


@pytest.mark.parametrize("platform", BUILT_IN)
async def test_what_is_booked_adds_up_to_the_total(platform: str) -> None:
    """Net lines and delivery, with the taxes, less at most the discounts of the order."""
    async with staged(platform, orders=12) as stage:
        for order in await stage.snapshots():
            whole = completed((await stage.client.read(order)).content)
            assert whole["lines"] is not None
            totals, cost = whole["totals"], whole["delivery"]["cost"]
            if totals["total"] is None or totals["tax"] is None:
                continue
            nets = [each["amount"]["net"] for each in whole["lines"]]
            if None in nets or (cost["net"] is None and totals["delivery"] is not None):
                continue
            booked = sum((Decimal(each or 0) for each in (*nets, cost["net"], totals["tax"])), Decimal(0))
            cents = Decimal("0.01") * len(nets)
            assert -cents <= booked - Decimal(totals["total"]) <= Decimal(totals["discount"] or 0) + cents
