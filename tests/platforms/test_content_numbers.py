"""Amounts in content: the platform's own digits, exact, without an exponent."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.intake.notifications import order_in_webhook
from orchestrator.platforms.content import NOTHING_APART, decimal, digest, is_same_amount, sum_of
from orchestrator.platforms.selldone.delivery import merged_text
from statemachines.numbers import decimal_of, written


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("1E+3", "1000"),
        (Decimal("1E+3"), "1000"),
        ("1e-05", "0.00001"),
        (Decimal("1e-05"), "0.00001"),
        ("12.50", "12.50"),
        (Decimal("-0.00"), "0.00"),
        ("-0", "0"),
        ("-3.10", "-3.10"),
        ("1,5", None),
        ("NaN", None),
        ("1_000", None),
        (True, None),
    ],
)
def test_an_amount_is_written_as_a_plain_decimal(value: Any, shown: str | None) -> None:
    assert decimal(value) == shown


@given(
    st.decimals(allow_nan=True, allow_infinity=True)
    | st.integers()
    | st.booleans()
    | st.from_regex(r" ?[+-]?[0-9]{0,30}\.?[0-9]{0,30}([eE][+-]?[0-9]{1,4})? ?", fullmatch=True)
    | st.text(max_size=6)
)
def test_an_amount_is_written_as_what_it_is_read_as(value: Any) -> None:
    number = decimal_of(value)
    assert decimal(value) == (None if number is None else written(number))


def test_large_amounts_are_added_and_compared_to_the_last_digit() -> None:
    large = "1234567890123456789012345678901.10"
    assert sum_of(large, "0.01") == "1234567890123456789012345678901.11"
    assert not is_same_amount(large, "1234567890123456789012345678901.11")
    one, other = ({"totals": {"total": each}} for each in (large, "1234567890123456789012345678901.11"))
    assert digest(one, NOTHING_APART) != digest(other, NOTHING_APART)
    assert digest(one, NOTHING_APART) == digest({"totals": {"total": f"{large}0"}}, NOTHING_APART)


def test_an_amount_that_a_webhook_writes_as_a_number_keeps_its_digits() -> None:
    body = {"id": 1, "total_outstanding": "T", "total_price": "U", "financial_status": "paid", "test": 1.5}
    payload = json.dumps(body).replace('"T"', "12.30").replace('"U"', "1e-05").encode()
    snapshot = order_in_webhook("shopify", payload)
    assert snapshot is not None
    assert snapshot.content["payment"]["due"] == "12.30"
    assert snapshot.content["totals"]["total"] == "0.00001"
    assert json.dumps([snapshot.content, snapshot.facts])


def test_numbers_of_delivery_info_go_out_without_an_exponent() -> None:
    payload = '{"delivery_info": {"weight": 1e-05, "volume": {"width": 12.30, "height": 1E+3}}}'
    sent = merged_text(payload, {"distance": 0.00001, "volume": {"length": 1e22}})
    assert json.loads(sent, parse_float=str, parse_int=str) == {
        "weight": "0.00001",
        "volume": {"width": "12.30", "height": "1000", "length": "10000000000000000000000"},
        "distance": "0.00001",
    }
