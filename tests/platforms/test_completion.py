"""What the outside is given of an order's content: whole, with its gaps, its sums and its hash."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from orchestrator.platforms.completion import completed, leaves
from orchestrator.platforms.content import price
from orchestrator.platforms.content_document import CompleteContent

SHAPE = TypeAdapter(CompleteContent)


def line(**changes: Any) -> dict[str, Any]:
    return {"id": "1", "quantity": "2", "unit_price": price(gross="10.00")} | changes


def content(**changes: Any) -> dict[str, Any]:
    """An order of two pieces of 10.00 with tax, 1.00 off, delivered for 4.90."""
    totals = {"discount": "1.00", "delivery": "4.90", "tax": "3.81", "total": "23.90"}
    return {"numbers": {"order": "1"}, "lines": [line()], "totals": totals} | changes


def test_what_is_not_given_is_null_and_a_gap() -> None:
    whole = completed({})
    SHAPE.validate_python(whole)
    assert whole["bill_to"] is None
    assert whole["lines"] is None
    assert whole["buyer"]["email"] is None
    assert {"/bill_to", "/lines", "/buyer/email", "/ship_to/city", "/totals/total", "/cancelled/at"} <= set(
        whole["gaps"]
    )
    assert whole["balanced"] is None
    assert whole["derived"] == []


def test_what_is_given_as_empty_is_null_or_empty_and_no_gap() -> None:
    whole = completed({"bill_to": None, "ship_to": None, "lines": None, "buyer": {"email": None}, "cancelled": None})
    SHAPE.validate_python(whole)
    assert (whole["bill_to"], whole["lines"], whole["buyer"]["email"]) == (None, [], None)
    assert set(whole["ship_to"].values()) == {None}
    assert not [each for each in whole["gaps"] if each.startswith(("/bill_to", "/ship_to", "/lines", "/cancelled"))]
    assert "/buyer/email" not in whole["gaps"]
    assert "/buyer/name" in whole["gaps"]


def test_a_gap_of_all_elements_is_one_pointer_and_else_each_is_named() -> None:
    whole = completed({"lines": [{"sku": "A", "gtin": "1"}, {"gtin": None}, {"sku": None}]})
    assert "/lines/*/name" in whole["gaps"]
    assert {"/lines/1/sku", "/lines/2/gtin"} <= set(whole["gaps"])
    assert not {"/lines/*/sku", "/lines/*/gtin", "/lines/2/sku", "/lines/1/gtin"} & set(whole["gaps"])


def test_a_price_has_one_basis_and_all_others_are_gaps() -> None:
    whole = completed({"lines": [line(unit_price=price(net="1"))], "delivery": {"cost": price()}})
    assert {"/lines/*/unit_price/gross", "/lines/*/unit_price/stated"} <= set(whole["gaps"])
    assert {f"/delivery/cost/{basis}" for basis in ("net", "gross", "stated")} <= set(whole["gaps"])


@pytest.mark.parametrize(
    "wrong",
    [
        {"payment": {"status": "settled"}},
        {"lines": "none"},
        {"lines": [7]},
        {"currency": 7},
        {"test": "no"},
        {"bill_to": []},
        {"totals": {"total": {"amount": "1"}}},
        {"parcels": [{"numbers": [None]}]},
    ],
)
def test_what_no_platform_may_say_is_not_given(wrong: dict[str, Any]) -> None:
    SHAPE.validate_python(completed(wrong))


def test_members_beyond_the_shape_stay() -> None:
    assert completed({"tags": ["a"], "buyer": {"user": "7"}})["buyer"]["user"] == "7"  # type: ignore[typeddict-item]


def test_derived_names_what_is_there_alone() -> None:
    named = ["/lines/*/discount", "/discounts/*/amount", "/totals/tax", 7]
    whole = completed(content(derived=named, discounts=[]))
    assert whole["derived"] == ["/lines/*/amount", "/totals/lines", "/totals/tax"]


# -- sums --------------------------------------------------------------------------------------------------------------


def test_the_lines_sum_is_computed_with_the_platforms_digits() -> None:
    whole = completed(content())
    assert whole["totals"]["lines"] == "20.00"
    assert "/totals/lines" in whole["derived"]
    assert "/totals/lines" not in whole["gaps"]
    assert completed({"lines": [line(quantity=None)]})["totals"]["lines"] is None


TOTALS = content()["totals"]
NET = line(unit_price=price(net="10.00"))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"totals": TOTALS | {"total": "23.9"}}, True),
        ({"totals": TOTALS | {"total": "23.91"}}, False),
        ({"totals": TOTALS | {"total": None}}, None),
        ({"totals": {}}, None),
        ({"derived": ["/totals/total"]}, None),
        ({"lines": [NET]}, False),
        ({"lines": [NET], "totals": TOTALS | {"total": "27.71"}}, True),
        ({"lines": [line(unit_price=price(stated="10.00"))]}, True),
        ({"lines": [line(unit_price=price(stated="10.00"))], "totals": TOTALS | {"total": "27.71"}}, True),
        ({"totals": TOTALS | {"lines": "20"}}, True),
        ({"totals": TOTALS | {"lines": "21"}}, False),
        ({"totals": TOTALS | {"refunded": "3.90", "total": "20.00"}}, True),
        ({"totals": {"total": "20.00"}}, True),
        ({"totals": {"total": "24.90"}, "delivery": {"cost": price(gross="4.90")}}, True),
        ({"totals": {"total": "17.00"}, "lines": [line(discount=price(gross="3"))]}, True),
        ({"lines": [NET, {"id": "2"}], "totals": TOTALS | {"lines": "20.00", "total": "27.71"}}, True),
        ({"lines": [NET, {"id": "2"}], "totals": TOTALS | {"lines": "20.00"}}, False),
        ({"lines": []}, False),
        ({"totals": TOTALS | {"total": "no number"}}, False),
    ],
)
def test_the_parts_are_held_against_the_platforms_own_total(changes: dict[str, Any], expected: bool | None) -> None:
    assert completed(content(**changes))["balanced"] is expected


# -- the hash ----------------------------------------------------------------------------------------------------------

VALUES = st.none() | st.sampled_from(["", "1", "1.0", "x"])
PRICES = st.fixed_dictionaries({}, optional=dict.fromkeys(("net", "gross", "stated"), VALUES))
LINES = st.lists(
    st.fixed_dictionaries({"id": VALUES}, optional={"sku": VALUES, "quantity": VALUES, "unit_price": PRICES}),
    max_size=3,
)
CONTENTS = st.fixed_dictionaries(
    {},
    optional={
        "numbers": st.none() | st.dictionaries(st.sampled_from(["order", "erp"]), VALUES),
        "bill_to": st.none() | st.dictionaries(st.sampled_from(["city", "name"]), VALUES),
        "lines": st.none() | LINES,
        "totals": st.dictionaries(st.sampled_from(["total", "tax"]), VALUES),
        "tags": st.lists(VALUES, max_size=2),
        "derived": st.lists(st.sampled_from(["/totals/total", "/lines/*/sku"])),
    },
)


@given(CONTENTS, CONTENTS)
def test_the_hash_is_another_one_when_and_only_when_anything_else_is(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    mine, its = dict(completed(one)), dict(completed(other))
    hashes = (mine.pop("hash"), its.pop("hash"))
    assert (hashes[0] == hashes[1]) is (json.dumps(mine, sort_keys=True) == json.dumps(its, sort_keys=True))


@given(CONTENTS)
def test_every_content_is_completed_and_none_is_changed(given_: dict[str, Any]) -> None:
    before = copy.deepcopy(given_)
    whole = completed(given_)
    SHAPE.validate_python(whole)
    assert given_ == before
    assert completed(json.loads(json.dumps(given_))) == whole


@given(CONTENTS)
def test_every_gap_leads_to_nulls_alone(given_: dict[str, Any]) -> None:
    whole: dict[str, Any] = dict(completed(given_))
    for pointer in whole["gaps"]:
        found: list[Any] = [whole]
        for name in pointer.split("/")[1:]:
            if name == "*":
                found = [each for value in found for each in value]
            else:
                found = [value[int(name)] if isinstance(value, list) else value[name] for value in found]
        assert found
        assert set(found) == {None}


def test_every_member_of_the_contract_is_in_the_shape() -> None:
    names = {"/".join(path) for path in leaves()}
    assert {
        "ordered_on",
        "numbers/source",
        "delivery/cost/stated",
        "lines/*/unit_price/net",
        "lines/*/tax/*/rate",
    } <= names
    assert {"parcels/*/lines/*/quantity", "returns/*/refund", "cancelled/by", "attributes", "bill_to/id"} <= names
