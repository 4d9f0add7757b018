"""Where an order says what: names that nobody documents, by paths that a merchant may change."""

from __future__ import annotations

import json
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import TypeAdapter, ValidationError

from orchestrator.platforms.completion import completed
from orchestrator.platforms.field_map import NAMES, FieldMap
from orchestrator.registry import PLATFORMS
from orchestrator.testing.stage import staged

AMSTERDAM = FieldMap(
    {
        "ordered_at": "made.at",
        "totals.total": "sums.incl",
        "buyer.email": "mail",
        "buyer.guest": "is_guest",
        "test": "is_guest",
        "lines.sku": "code",
        "lines.parts.quantity": "pieces",
    },
    ZoneInfo("Europe/Amsterdam"),
)


def test_paths_lead_into_objects_and_values_are_read_by_what_they_are() -> None:
    order = {"made": {"at": "2026-07-01T12:00:00"}, "sums": {"incl": "12.50"}, "mail": "a@b.example", "is_guest": True}
    assert AMSTERDAM.of(order) == {
        "ordered_at": "2026-07-01T10:00:00Z",
        "totals": {"total": "12.50"},
        "buyer": {"email": "a@b.example", "guest": True},
        "test": True,
    }


def test_what_is_not_there_is_left_out_and_what_is_empty_is_null() -> None:
    assert AMSTERDAM.of({}) == {}
    assert AMSTERDAM.of({"made": "today", "sums": [1]}) == {}
    assert AMSTERDAM.of({"mail": "", "sums": {"incl": None}}) == {"buyer": {"email": None}, "totals": {"total": None}}


@pytest.mark.parametrize("value", [{"a": 1}, [7], "x"])
def test_what_cannot_be_read_is_left_out(value: Any) -> None:
    assert AMSTERDAM.of({"sums": {"incl": value}, "is_guest": value, "made": {"at": value}}) == {}


def test_each_scope_has_its_own() -> None:
    assert AMSTERDAM.of({"code": 7, "mail": "x"}, "lines") == {"sku": "7"}
    assert AMSTERDAM.of({"pieces": "1.50"}, "lines.parts") == {"quantity": "1.50"}


MAPS: dict[str, tuple[dict[str, str], list[tuple[str, str]]]] = {
    "cloudsuite": (
        {"totals.total": "total_excl", "payment.method": "payment_method", "lines.note": "description"},
        [("payment", "method")],
    ),
    "xsale": ({"delivery.code": "ShipmentStatus", "language": "Currency", "lines.sku": "OfferId"}, []),
}


@pytest.mark.parametrize("platform", MAPS)
async def test_a_merchants_paths_fill_the_content_beside_those_that_are_assumed(platform: str) -> None:
    fields, members = MAPS[platform]
    async with staged(platform, options={"fields": fields}) as stage:
        content: Any = completed(json.loads(json.dumps((await stage.client.read(stage.order)).content)))
    for group, member in members:
        assert content[group][member] is not None
    assert content["currency"]
    line = content["lines"][0]
    if platform == "cloudsuite":
        assert content["balanced"] is True, "the lines' sum is the total that the merchant named"
        assert line["note"] == line["name"]
    else:
        assert (content["language"], line["sku"]) == (content["currency"], line["product_id"])
        assert "/delivery/code" not in content["gaps"], "it is there, and null"


@pytest.mark.parametrize("platform", MAPS)
def test_a_name_that_content_does_not_have_is_refused(platform: str) -> None:
    annotation: Any = PLATFORMS[platform].options.model_fields["fields"].annotation
    check = TypeAdapter(annotation)
    for name in ("currency", "buyer.email", "lines.unit_price.net", "totals.total"):
        check.validate_python({name: "X"})
    for name in ("buyer", "lines", "payment.status", "attributes", "parcels.numbers", "Currency", ""):
        with pytest.raises(ValidationError, match=r"buyer\.email"):
            check.validate_python({name: "X"})


@pytest.mark.parametrize("name", ["lines.id", "lines.quantity"])
def test_what_cloudsuites_steps_name_lines_by_stands_where_it_is_documented(name: str) -> None:
    """Content would give ids under which no parcel is taken."""
    annotation: Any = PLATFORMS["cloudsuite"].options.model_fields["fields"].annotation
    with pytest.raises(ValidationError, match="documents where it stands"):
        TypeAdapter(annotation).validate_python({name: "X"})


def test_every_single_value_of_an_order_and_of_its_lines_may_be_given_a_path() -> None:
    assert {
        "ordered_on",
        "ship_to.city",
        "delivery.cost.gross",
        "payment.due",
        "lines.gtin",
        "lines.parts.sku",
    } <= NAMES
