"""Selldone's orders are read leniently, kept byte for byte, and digested without our own moves (selldone.md §3, §4)."""

from __future__ import annotations

import copy
import json
from decimal import Decimal
from typing import Any

import pytest

from orchestrator.platforms.client import OrderSnapshot
from orchestrator.platforms.content import digest
from orchestrator.platforms.failures import Unreadable
from orchestrator.platforms.fields import order_number
from orchestrator.platforms.selldone.content import APART, content_of
from orchestrator.platforms.selldone.wire import read_listing, read_order, read_single
from tests.platforms.selldone.shop import sample, sample_json

ORDERS = [
    "order_canceled",
    "order_checkqueue",
    "order_guest_cod",
    "order_reject_countdown",
    "order_tocustomer_documented",
]


def read(order: dict[str, Any]) -> OrderSnapshot:
    return read_order(order, json.dumps(order).encode())


def single(body: bytes) -> OrderSnapshot:
    snapshot = read_single(body)
    assert isinstance(snapshot, OrderSnapshot)
    return snapshot


@pytest.mark.parametrize("name", ORDERS)
def test_every_sample_order_is_read(name: str) -> None:
    order = sample_json(name)
    snapshot = single(sample(name))
    assert snapshot.id == str(order["id"])
    assert snapshot.state == order["delivery_state"]
    assert snapshot.facts["status"] == order["status"]
    assert snapshot.facts["items"] == [str(item["id"]) for item in order.get("items", [])]
    assert snapshot.facts["type"] == "PHYSICAL"
    assert json.loads(snapshot.payload) == order


def test_a_documented_order_shows_its_facts() -> None:
    snapshot = single(sample("order_tocustomer_documented"))
    assert snapshot.state == "ToCustomer"
    assert snapshot.payment == "paid"
    assert snapshot.facts["tracking_code"] == "1Z827WK74630"
    assert snapshot.facts["tracking_url"] == "https://example.com/track/1Z827WK74630"


def test_a_reject_countdown_shows_in_the_facts() -> None:
    facts = single(sample("order_reject_countdown")).facts
    assert (facts["reject"], facts["reject_at"]) == ("LackOfInventory", "2024-08-19T10:00:00.000000Z")


@pytest.mark.parametrize(
    ("label", "code", "reference"),
    [("PO 17", 883412, "PO 17"), (None, 883412, "883412"), (None, None, "15003"), ("  ", None, "15003"), ("", 7, "7")],
)
def test_the_reference_is_what_a_person_calls_the_order(label: str | None, code: int | None, reference: str) -> None:
    assert read({**sample_json("order_guest_cod"), "label": label, "code": code}).reference == reference


@pytest.mark.parametrize(
    ("status", "payment"),
    [
        ("Payed", "paid"),
        ("COD", "invoice"),
        ("Reserved", "unpaid"),
        ("Open", "unpaid"),
        ("Canceled", "unknown"),
        ("Pending", "unknown"),
    ],
)
def test_the_payment_follows_the_status(status: str, payment: str) -> None:
    assert read({**sample_json("order_guest_cod"), "status": status}).payment == payment


@pytest.mark.parametrize(
    "envelope", [b"%s", b'{"basket": %s}', b'{"success": true, "order":%s , "x": 1}', b"\xef\xbb\xbf%s\n"]
)
def test_a_single_order_comes_in_any_envelope_and_keeps_its_own_bytes(envelope: bytes) -> None:
    own = sample("order_checkqueue").strip()
    assert single(envelope % own).payload == own


def test_a_page_keeps_each_orders_own_bytes() -> None:
    rows = [
        b'{"id":1,"delivery_state":"CheckQueue","status":"COD","updated_at":"2024-08-17T16:29:26.000000Z","price":10.10}',
        b'{ "id" : 2, "delivery_state":"X","status":"Payed","updated_at":"2024-08-17","n":[1e2,"\\u00fc\xc3\xbc"]}',
        sample("order_checkqueue").strip(),
    ]
    listing = read_listing(b'{"orders": [' + b" ,\n".join(rows) + b'], "total": 3}')
    assert [snapshot.payload for snapshot in listing.orders] == rows
    assert listing.total == 3


def test_ids_beyond_what_a_float_holds_survive() -> None:
    order = {**sample_json("order_checkqueue"), "id": 2**53 + 1}
    order["items"][0]["id"] = 2**63 + 1
    snapshot = single(json.dumps(order).encode())
    assert snapshot.id == "9007199254740993"
    assert snapshot.facts["items"][0] == "9223372036854775809"


def test_one_unreadable_row_takes_no_other_with_it() -> None:
    good = sample("order_checkqueue").strip()
    rows = [
        good,
        b'{"id": 7, "status": ["Payed"], "delivery_state": {"name": 17}}',
        b'{"id": NaN}',
        b'"text"',
        b'{"id":"\xff"}',
        good,
    ]
    listing = read_listing(b'{"orders":[' + b",".join(rows) + b'],"total":"6"}')
    assert [snapshot.payload for snapshot in listing.orders] == [good, good]
    assert [(item.id, item.payload) for item in listing.unreadable] == [
        ("7", rows[1]),
        (None, rows[2]),
        (None, rows[3]),
        (None, rows[4]),
    ]
    assert (listing.rows, listing.total) == (6, 6)
    assert listing.ids == ("15002", "7", "15002")


def test_a_row_that_is_not_utf8_is_kept_as_it_is() -> None:
    row = sample("order_checkqueue").strip().replace(b"Jane", b"J\xe4ne")
    listing = read_listing(b'{"orders":[' + row + b"]}")
    assert [(item.id, item.error, item.payload) for item in listing.unreadable] == [("15002", "it is not UTF-8", row)]


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("id", None, "id is not a positive integer: null"),
        ("id", 1.5, "id is not a positive integer: 1.5"),
        ("id", True, "id is not a positive integer: true"),
        ("id", -1, "id is not a positive integer: -1"),
        ("id", "15002/../1", 'id is not a positive integer: "15002/../1"'),
        ("delivery_state", None, "delivery_state is not a text: null"),
        ("delivery_state", " ", 'delivery_state is not a text: " "'),
        ("status", 3, "status is not a text: 3"),
        ("updated_at", None, "updated_at is not a text: null"),
        ("updated_at", "yesterday", 'updated_at is not a date: "yesterday"'),
        ("items", {"0": {"id": 1}}, "items is not a list of objects"),
        ("items", [None], "items is not a list of objects"),
        ("items", [{"id": 1}, {"id": "x"}], 'items[1].id is not a positive integer: "x"'),
    ],
)
def test_what_we_decide_on_has_to_make_sense(field: str, value: Any, error: str) -> None:
    body = json.dumps({**sample_json("order_checkqueue"), field: value}).encode()
    with pytest.raises(Unreadable) as caught:
        single(body)
    assert error in caught.value.detail
    assert caught.value.payload == body


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("items", None),
        ("delivery_info", []),
        ("delivery_info", None),
        ("receiver_info", []),
        ("buyer", "?"),
        ("type", None),
        ("unknown", {"deep": [1]}),
        ("price", "12.50"),
        ("id", "15002"),
    ],
)
def test_everything_else_may_be_anything(field: str, value: Any) -> None:
    assert read({**sample_json("order_checkqueue"), field: value}).id == "15002"


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("2024-08-17T16:29:26.000000Z", 1_723_912_166_000),
        ("2024-08-17T16:29:26.123456Z", 1_723_912_166_123),
        ("2024-08-17 16:29:26", 1_723_912_166_000),
        ("2024-08-17T18:29:26+02:00", 1_723_912_166_000),
    ],
)
def test_updated_at_is_utc(text: str, ms: int) -> None:
    assert read({**sample_json("order_checkqueue"), "updated_at": text}).platform_updated_at == ms


def test_half_a_surrogate_pair_in_a_label_can_be_stored() -> None:
    reference = single(sample("order_guest_cod").replace(b'"label": null', b'"label": "PO \\ud800"')).reference
    assert reference == "PO \ufffd"


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"null", b"{}", b"<html>", b'{"orders": null}', b'{"orders": {}}', b'{"total": 3}', b'{"orders": [1'],
)
def test_a_list_without_orders_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable) as caught:
        read_listing(body)
    assert caught.value.payload == body


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b"{}", b"<html>", b'{"basket": []}', b'{"basket": {"id": 1}}', b'{"id": 1']
)
def test_an_answer_without_an_order_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable) as caught:
        read_single(body)
    assert caught.value.payload == body


def test_a_refusing_answer_is_given_back() -> None:
    assert read_single(sample("error_business_http200")) == sample_json("error_business_http200")
    assert read_listing(sample("error_business_http200_bool")).refusal == sample_json("error_business_http200_bool")


def content_hash(order: dict[str, Any]) -> str:
    return digest(content_of(json.loads(json.dumps(order), parse_float=Decimal)), APART)


def _moved(order: dict[str, Any]) -> None:
    order["delivery_state"] = "ToCustomer"
    order["delivery_at"] = "2024-10-31T15:32:07.000000Z"
    order["updated_at"] = "2024-10-31T15:32:07.000000Z"
    order["delivery_info"] = {**order["delivery_info"], "tracking_code": "1Z", "type": "PostFast"}
    for item in order["items"]:
        item["check"] = False
        item["updated_at"] = order["updated_at"]


def _sold_elsewhere(order: dict[str, Any]) -> None:
    order["items"][0]["product"]["quantity"] = 3
    order["items"][0]["product"]["updated_at"] = "2025-01-01T00:00:00.000000Z"


def _thinner(order: dict[str, Any]) -> None:
    for name in ("buyer", "customer", "gateway_processing"):
        del order[name]
    for item in order["items"]:
        del item["product"], item["variant"]
    order["new_key"] = 1
    order["meta"] = []


@pytest.mark.parametrize("change", [_moved, _sold_elsewhere, _thinner])
def test_the_digest_does_not_see_our_own_moves_and_what_is_no_edit(change: Any) -> None:
    order = sample_json("order_checkqueue")
    before = content_hash(order)
    changed = copy.deepcopy(order)
    change(changed)
    assert changed != order
    assert content_hash(changed) == before


def _renamed(order: dict[str, Any]) -> None:
    order["receiver_info"]["name"] = "John Roe"


def _repriced(order: dict[str, Any]) -> None:
    order["items"][0]["price"] = 10.01


def _recounted(order: dict[str, Any]) -> None:
    order["items"][0]["count"] += 1


def _shortened(order: dict[str, Any]) -> None:
    order["items"].pop()


def _cancelled(order: dict[str, Any]) -> None:
    order["status"] = "Canceled"


@pytest.mark.parametrize("change", [_renamed, _repriced, _recounted, _shortened, _cancelled])
def test_the_digest_sees_an_edit(change: Any) -> None:
    order = sample_json("order_checkqueue")
    before = content_hash(order)
    change(order)
    assert content_hash(order) != before


def test_the_digest_does_not_depend_on_the_sequence_of_keys() -> None:
    order = sample_json("order_checkqueue")
    assert content_hash(dict(reversed(order.items()))) == content_hash(order)


@pytest.mark.parametrize("text", ["", "0", "007", "-1", "1.0", "١٢", "1" * 21, "a", " 1", "1/state"])
def test_what_is_no_positive_integer_is_no_order_number(text: str) -> None:
    assert order_number(text) is None
