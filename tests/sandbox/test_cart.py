"""Carts of simulated shops: whatever is drawn and whatever people change, the sums add up."""

from __future__ import annotations

import random
from decimal import Decimal
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.sandbox.cart import PEOPLE, Cart, Row, drawn, rounded, shares, standard

CENT = Decimal("0.01")


def cart(seed: int = 1, *, has_tax: bool = False, off: str = "5.00") -> Cart:
    return drawn(random.Random(seed), count(1).__next__, coupon=("code", Decimal(off)), has_tax=has_tax)


def check(one: Cart) -> None:
    rows = one.rows
    assert one.total == sum((row.net + row.tax for row in rows), Decimal(0))
    assert one.tax() == sum(one.taxes().values()) == one.tax("goods") + one.tax("shipping", "fee")
    assert one.net() == sum((row.full for row in rows), Decimal(0)) - one.discount
    assert one.discount_tax == sum((row.full_tax for row in rows), Decimal(0)) - one.tax()
    goods = one.of("goods")[: 1 if one.for_first else None]
    off = min(one.coupon[1], sum((row.price * row.quantity for row in goods), Decimal(0)))
    assert sum((row.discount for row in rows), Decimal(0)) == off
    assert one.total == rounded(one.total) >= one.kept == one.total - sum(one.refunds, Decimal(0))
    if any(row.has_tax for row in rows):
        assert one.total == sum((row.price * row.quantity for row in rows), Decimal(0)) - off


@given(st.integers(), st.booleans(), st.integers(0, 100_000), st.integers(1, 99), st.integers(1, 9_999))
def test_a_cart_adds_up_in_any_currency(seed: int, has_tax: bool, off: int, quantity: int, rate: int) -> None:
    one = cart(seed, has_tax=has_tax, off=str(off * CENT))
    check(one)
    check(one.converted("JPY", Decimal(rate) / 1000))
    one.set_quantity(quantity)
    check(one)
    one.refund(one.total / 3 // CENT * CENT or None)
    check(one)
    other = one.converted("PLN", Decimal(rate) / 1000)
    assert (other.currency, one.currency) == ("PLN", "EUR")
    assert [row.quantity for row in other.rows] == [row.quantity for row in one.rows]


def test_the_same_seed_draws_the_same_cart() -> None:
    assert cart(7) == cart(7)
    assert len({str(cart(seed)) for seed in range(20)}) > 10


def test_the_standard_cart_adds_up_too() -> None:
    one = standard(count(1).__next__)
    check(one)
    check(standard(count(1).__next__, has_tax=True))
    assert [(row.id, row.name, row.quantity) for row in one.of("goods")] == [(1, "Mug", 2), (2, "Shirt - M", 1)]


@given(st.decimals(0, 1000, places=2), st.lists(st.decimals(0, 1000, places=2), min_size=1, max_size=9))
def test_shares_add_up_and_are_as_large_as_their_weights(amount: Decimal, weights: list[Decimal]) -> None:
    parts, total = shares(amount, weights), sum(weights, Decimal(0))
    assert sum(parts) == (amount if total else 0)
    if total:
        assert all(abs(part - amount * weight / total) <= CENT for part, weight in zip(parts, weights, strict=True))


def test_money_is_given_back_in_parts_and_no_more_than_there_is() -> None:
    one = cart()
    assert one.refund(Decimal("1.00")) == 1
    assert one.refund() == one.total - 1
    assert one.kept == 0
    for amount in (None, CENT, Decimal("-1.00")):
        with pytest.raises(ValueError, match="cannot be given back"):
            one.refund(amount)


@pytest.mark.parametrize(("quantity", "row"), [(0, None), (-1, None), (1, 99)])
def test_a_quantity_that_cannot_be_changes_nothing(quantity: int, row: int | None) -> None:
    one, same = cart(), cart()
    with pytest.raises(ValueError, match=r"quantity|line"):
        one.set_quantity(quantity, row)
    assert one == same


def test_tax_is_on_top_of_a_price_or_in_it() -> None:
    row = Row(1, "goods", "Mug", Decimal("11.90"), Decimal(19))
    assert (row.net, row.tax) == (Decimal("11.90"), Decimal("2.26"))
    row = Row(1, "goods", "Mug", Decimal("11.90"), Decimal(19), has_tax=True)
    assert (row.net, row.tax) == (Decimal("10.00"), Decimal("1.90"))


def test_a_person_gets_another_name() -> None:
    named = PEOPLE[0].named("Grace Brewster Hopper")
    assert (named.first_name, named.last_name, named.city) == ("Grace", "Brewster Hopper", PEOPLE[0].city)
