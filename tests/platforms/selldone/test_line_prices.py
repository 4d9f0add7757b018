"""What a Selldone item's amounts mean: the reading under which the items add up to the order's price."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.platforms.completion import completed
from orchestrator.platforms.currencies import payable
from orchestrator.platforms.selldone.content import content_of
from orchestrator.platforms.selldone.line_prices import line_discounts
from statemachines.numbers import decimal_of
from tests.platforms.selldone.shop import sample


def shown(price: Any, *items: dict[str, Any], **changes: Any) -> Any:
    """The whole content of an order of these items."""
    found = [{"id": n, "count": 1, "dis": 0, "offer_amount": 0, "cross_dis": 0, **item} for n, item in enumerate(items)]
    order = {**json.loads(sample("order_checkqueue")), "price": price, "items": found, **changes}
    return completed(content_of(json.loads(json.dumps(order), parse_float=Decimal)))


def line(content: Any, place: int = 0) -> tuple[Any, Any]:
    return content["lines"][place]["unit_price"], content["lines"][place]["discount"]


STATED = {"net": None, "gross": None}


def test_without_discounts_there_is_one_reading() -> None:
    content = shown(21.0, {"price": 10.5, "count": 2})
    assert line(content) == (STATED | {"stated": "10.5"}, STATED | {"stated": "0"})
    assert (content["totals"]["lines"], content["totals"]["discount"]) == ("21.0", "0")


def test_the_price_is_after_the_products_discount_where_that_adds_up() -> None:
    content = shown(20, {"price": 10, "count": 2, "dis": 3})
    assert line(content) == (STATED | {"stated": "10"}, STATED | {"stated": "0"})


def test_the_price_is_before_the_products_discount_where_that_adds_up() -> None:
    content = shown(14, {"price": 10, "count": 2, "dis": 3}, discount=1)
    assert line(content) == (STATED | {"stated": "10"}, STATED | {"stated": "6"})
    totals = content["totals"]
    assert (totals["lines"], totals["discount"]) == ("20", "7"), "before all discounts, and all of them"
    assert {"/totals/lines", "/totals/discount", "/lines/*/discount", "/totals/total"} <= set(content["derived"])
    assert Decimal(totals["total"]) == 14 - 1 + Decimal(totals["delivery"])


def test_offers_and_cross_selling_are_of_the_whole_item() -> None:
    content = shown(24, {"price": 10, "count": 3, "offer_amount": 4, "cross_dis": 2})
    assert line(content)[1] == STATED | {"stated": "6"}


@pytest.mark.parametrize(
    ("price", "items"),
    [
        (19, [{"price": 10, "count": 2, "dis": 3}]),  # neither
        (20, [{"price": 10, "dis": 3}, {"price": 10, "dis": -3}]),  # both, and they differ
        (None, [{"price": 10}]),
        (10, [{"price": "ten"}]),
        (10, [{"price": 10, "offer_amount": []}]),
    ],
)
@pytest.mark.parametrize("tax_included", [True, False, None])
def test_where_no_reading_adds_up_the_price_has_no_basis_and_no_discount_is_given(
    price: Any, items: list[dict[str, Any]], tax_included: bool | None
) -> None:
    content = shown(price, *items, tax_included=tax_included)
    unit_price, discount = line(content)
    assert (unit_price["net"], unit_price["gross"]) == (None, None)
    assert set(discount.values()) == {None}
    assert "/lines/*/discount/stated" in content["gaps"]


@pytest.mark.parametrize(("tax_included", "basis"), [(True, "gross"), (False, "net"), (None, "stated")])
def test_the_basis_is_the_orders(tax_included: bool | None, basis: str) -> None:
    unit_price, discount = line(shown(7, {"price": 10, "dis": 3}, tax_included=tax_included))
    assert (unit_price[basis], discount[basis]) == ("10", "3")


def test_selldone_gives_no_total_so_nothing_is_held_against_it() -> None:
    assert shown(99, {"price": 10})["balanced"] is None


small = st.sampled_from([None, 0, 1, 2, Decimal("0.5"), "1.005", "x"])
AMOUNTS = ("price", "count", "dis", "offer_amount", "cross_dis")
items = st.lists(st.fixed_dictionaries(dict.fromkeys(AMOUNTS, small)))  # in any order


@given(items, st.sampled_from([None, 0, 1, 2, 3, Decimal("2.5"), "x"]), st.sampled_from([None, "EUR", "JPY"]))
def test_discounts_are_known_where_one_reading_adds_up_or_all_that_do_are_the_same(
    lines: list[dict[str, Any]], price: Any, currency: Any
) -> None:
    def amount(line: dict[str, Any], name: str) -> Decimal | None:
        return Decimal(0) if line[name] is None and name not in ("price", "count") else decimal_of(line[name])

    read = [found for line in lines if None not in (found := [amount(line, name) for name in AMOUNTS])]
    goods = decimal_of(price)
    fitting: list[list[Decimal]] = []
    if goods is not None and len(read) == len(lines):
        for factor in (Decimal(0), Decimal(1)):
            less = [factor * unit * count + offer + cross for _, count, unit, offer, cross in read]  # type: ignore[operator]
            exact = [each[0] * each[1] - off for each, off in zip(read, less, strict=True)]  # type: ignore[operator]
            if goods in (sum(exact), sum(payable(each, currency) for each in exact)):
                fitting.append(less)
    known = len({tuple(each) for each in fitting}) == 1
    assert line_discounts(lines, price, currency) == (fitting[0] if known else None)
