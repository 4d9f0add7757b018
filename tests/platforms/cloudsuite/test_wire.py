"""CloudSuite's JSON and XML as we read and write them."""

from __future__ import annotations

import gzip
import json
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import fromstring
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.platforms.cloudsuite.content import APART, ASSUMED, content_of
from orchestrator.platforms.cloudsuite.lines import with_erp_lines
from orchestrator.platforms.cloudsuite.replies import Verdict, says_duplicate, verdict
from orchestrator.platforms.cloudsuite.wire import Reading, read_listing, read_single
from orchestrator.platforms.cloudsuite.xml import SlipLine, confirmation, desadv
from orchestrator.platforms.content import digest
from orchestrator.platforms.failures import Unreadable
from orchestrator.platforms.field_map import FieldMap
from orchestrator.platforms.json_text import read_value
from statemachines.cloudsuite.despatch import Despatch
from statemachines.target import Tracking

SAMPLES = Path(__file__).parents[2] / "samples" / "cloudsuite"
FIELDS = FieldMap(ASSUMED, ZoneInfo("Europe/Amsterdam"))
AMSTERDAM = Reading(ZoneInfo("Europe/Amsterdam"), checks_payment=True, fields=FIELDS)
UTC_ZONE = Reading(ZoneInfo("UTC"), checks_payment=True, fields=FIELDS)
ERRORS = re.compile(r"\berror", re.IGNORECASE)


def sample(name: str) -> bytes:
    return (SAMPLES / f"{name}.json").read_bytes()


def order(**changes: Any) -> dict[str, Any]:
    return {**json.loads(sample("order_confirmed_paid_assembled")), **changes}


def snapshot(reading: Reading = AMSTERDAM, **changes: Any) -> Any:
    return read_single(json.dumps(order(**changes)).encode(), reading)


# -- reading -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "state", "payment"),
    [
        ("order_confirmed_paid_assembled", "confirmed", "paid"),
        ("order_confirmed_account_assembled", "confirmed", "invoice"),
        ("order_confirmed_unpaid_assembled", "confirmed", "unpaid"),
        ("order_done_assembled", "done", "paid"),
    ],
)
def test_every_sample_order_is_read(name: str, state: str, payment: str) -> None:
    found = read_single(sample(name), AMSTERDAM)
    assert (found.state, found.payment) == (state, payment)
    assert json.loads(found.payload) == json.loads(sample(name))
    assert found.facts["lines"]["90011"]["part"] == "124_STUK"


def test_the_sample_list_is_read_with_its_next_page() -> None:
    listing = read_listing(sample("orders_list_response"))
    assert [row.id for row in listing.rows] == ["6", "7"]
    assert listing.count == 26
    assert listing.next == "https://test.cloudsuite.io/api/order/?limit=5&offset=10"
    assert read_listing(sample("orders_list_last_page")).next is None


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({"state": "processing", "shipment_state": "sent"}, "sent"),
        ({"state": "processing", "shipment_state": "partially"}, "processing"),
        ({"state": "confirmed", "shipment_state": "sent"}, "confirmed"),
        ({"state": "confirmed", "shipment_state": "sent", "offline": True}, "sent"),
        ({"state": "done", "shipment_state": "sent"}, "done"),
        ({"state": "cancel", "shipment_state": "sent"}, "cancel"),
    ],
)
def test_the_state_is_composed_of_two_fields(changes: dict[str, Any], state: str) -> None:
    assert snapshot(**changes).state == state


@pytest.mark.parametrize(
    ("text", "reading", "at"),
    [
        ("2021-06-29T08:14:40.004312", AMSTERDAM, datetime(2021, 6, 29, 6, 14, 40, 4312, UTC)),
        ("2021-12-29T08:14:40", AMSTERDAM, datetime(2021, 12, 29, 7, 14, 40, 0, UTC)),
        ("2021-06-29T08:14:40.004312", UTC_ZONE, datetime(2021, 6, 29, 8, 14, 40, 4312, UTC)),
        ("2021-06-29T08:14:40+05:00", AMSTERDAM, datetime(2021, 6, 29, 3, 14, 40, 0, UTC)),
    ],
)
def test_dates_without_a_zone_are_local_to_the_platform(text: str, reading: Reading, at: datetime) -> None:
    assert snapshot(reading, modified_date=text).platform_updated_at == int(at.timestamp() * 1000)


def test_payments_that_are_not_checked_are_unknown_unless_they_are_settled() -> None:
    unchecked = Reading(ZoneInfo("UTC"), checks_payment=False, fields=FIELDS)
    assert snapshot(unchecked, payment_status="none").payment == "unknown"
    assert snapshot(unchecked, payment_status="account").payment == "invoice"
    assert snapshot(payment_status=None).payment == "unpaid"


def content_hash(order: dict[str, Any]) -> str:
    return digest(content_of(json.loads(json.dumps(order), parse_float=Decimal), FIELDS), APART)


def test_the_same_amount_written_in_another_way_is_no_edit() -> None:
    assert content_hash(order(paid_amount="36.30")) == content_hash(order(paid_amount=36.3))
    assert content_hash(order(paid_amount="36.30")) != content_hash(order(paid_amount=36.4))


@pytest.mark.parametrize(
    "changes",
    [
        {
            "state": "processing",
            "shipment_state": "sent",
            "erp_order_number": "E",
            "modified_date": "2030-01-01T00:00:00",
        },
        {"something_new": 1},
        {"order_lines": [{**line, "erp_line_number": 5} for line in order()["order_lines"]]},
    ],
)
def test_what_our_steps_change_and_what_nobody_knows_is_no_edit(changes: dict[str, Any]) -> None:
    assert content_hash(order(**changes)) == content_hash(order())


@pytest.mark.parametrize(
    "changes",
    [
        {"id": None},
        {"id": "12x"},
        {"state": ["confirmed"]},
        {"state": ""},
        {"modified_date": 5},
        {"modified_date": "yesterday"},
        {"order_lines": "none"},
        {"order_lines": [{"id": None}]},
        {"order_lines": [{"id": 1, "erp_line_number": 1.5}]},
    ],
)
def test_an_order_that_makes_no_sense_is_unreadable_with_its_bytes(changes: dict[str, Any]) -> None:
    body = json.dumps(order(**changes)).encode()
    with pytest.raises(Unreadable) as caught:
        read_single(body, AMSTERDAM)
    assert caught.value.payload == body


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"null", b'{"results": 5}', b'{"count": 1}', b'{"results": [', b"\xff"]
)
def test_a_list_that_makes_no_sense_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable):
        read_listing(body)


def test_a_row_that_makes_no_sense_takes_no_other_with_it() -> None:
    rows = json.loads(sample("orders_list_response"))["results"]
    listing = read_listing(json.dumps({"results": [rows[0], {"id": 9, "state": 5}, 7, rows[1]]}).encode())
    assert [row.id for row in listing.rows] == ["6", "7"]
    assert [item.id for item in listing.unreadable] == ["9", None]


# -- the body that writes ERP lines ------------------------------------------------------------------------------------


def test_a_put_body_is_the_order_with_nothing_but_the_numbers_changed() -> None:
    text = json.dumps(order(state="processing", cost_center="KST-1", total=1.10), indent=2)
    text = text.replace("1.1", "1.100").replace('"quantity": 1.0', '"quantity": 1.0000')
    body = with_erp_lines(text, {"90012": 22})
    head, _, tail = text.rpartition('"erp_line_number": null')
    assert "".join(body.split()) == "".join(f'{head}"erp_line_number": 22{tail}'.split())
    assert "1.100" in body
    assert json.loads(body)["state"] == "processing"
    assert json.loads(body)["order_lines"][0]["erp_line_number"] is None


def test_a_line_without_the_member_gets_it() -> None:
    assert json.loads(with_erp_lines('{"order_lines": [{"id": 5 }, {"id": 6, "erp_line_number": 1}]}', {"5": 7})) == {
        "order_lines": [{"id": 5, "erp_line_number": 7}, {"id": 6, "erp_line_number": 1}]
    }


@pytest.mark.parametrize("text", ['{"order_lines": [{"id": 1}]}', "{}", '{"order_lines": []}'])
def test_a_line_that_is_not_there_cannot_be_written(text: str) -> None:
    with pytest.raises(ValueError, match="order"):
        with_erp_lines(text, {"9": 1})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    extra=st.dictionaries(st.text().filter(lambda name: name != "order_lines"), JSON, max_size=4),
    lines=st.lists(
        st.dictionaries(st.text().filter(lambda n: n not in ("id", "erp_line_number")), JSON, max_size=3), max_size=4
    ),
    indent=st.sampled_from([None, 1]),
)
def test_whatever_an_order_holds_is_kept(
    extra: dict[str, Any], lines: list[dict[str, Any]], indent: int | None
) -> None:
    numbered = [{**line, "id": n} for n, line in enumerate(lines)]
    text = json.dumps({**extra, "order_lines": numbered}, indent=indent)
    body = with_erp_lines(text, {str(n): 10 * n for n in range(0, len(lines), 2)})
    expected = [{**line, **({"erp_line_number": 10 * n} if n % 2 == 0 else {})} for n, line in enumerate(numbered)]
    assert json.loads(body) == {**extra, "order_lines": expected}


# -- XML ---------------------------------------------------------------------------------------------------------------


def slip(despatch: Despatch, tracking: Tracking | None = None, **buyer: str) -> Any:
    lines = [SlipLine(11, "1.0000", "124_STUK"), SlipLine(22, "2.0000", "<&> “Ł”")]
    body = desadv(
        despatch, lines, order_number="ERP-124578", today=date(2026, 7, 1), tracking=tracking, buyer_party=buyer
    )
    assert body.startswith(b"<?xml")
    return fromstring(body)


def test_a_packing_slip_has_the_elements_of_the_facts() -> None:
    documented = json.loads(sample("desadv_fields"))["Desadv"]["DesadvHeader"]
    root = slip(
        Despatch(
            documented["DesadvNumber"],
            date.fromisoformat(documented["DesadvDate"]),
            date.fromisoformat(documented["PlannedDeliveryDate"]),
            carrier="DHL",
            tracking_code="JVGL0123456789",
        )
    )
    header = root.find("DesadvHeader")
    for name in ("DesadvNumber", "DesadvDate", "PlannedDeliveryDate"):
        assert header.findtext(name) == documented[name]
    assert header.findtext("TransportDetails/TransportModeCode") == "DHL"
    assert header.findtext("TransportDetails/MeansOfTransport/Identification") == "JVGL0123456789"
    items = root.findall("DesadvDetail/Packaging/LineItems/Item")
    assert [
        [item.findtext(name) for name in ("OrderNum", "ItemNum", "SellerItemID", "QuantityValue")] for item in items
    ] == [
        ["ERP-124578", "11", "124_STUK", "1.0000"],
        ["ERP-124578", "22", "<&> “Ł”", "2.0000"],
    ]


def test_elements_that_must_be_there_are_there_when_empty() -> None:
    root = slip(Despatch("A"))
    assert root.findtext("DesadvHeader/DesadvDate") == "2026-07-01"
    assert root.findtext("DesadvHeader/PlannedDeliveryDate") == "2026-07-01"
    assert root.findtext("DesadvHeader/TransportDetails/TransportModeCode") == ""
    assert root.findtext("DesadvHeader/TransportDetails/MeansOfTransport/Identification") == ""
    assert root.find("DesadvParty") is None


def test_the_targets_tracking_stands_in_and_the_buyer_comes_from_the_config() -> None:
    root = slip(Despatch("A", tracking_code="own"), Tracking("other", None, "UPS"), PartyID="7")
    assert root.findtext("DesadvHeader/TransportDetails/MeansOfTransport/Identification") == "own"
    assert root.findtext("DesadvHeader/TransportDetails/TransportModeCode") == "UPS"
    assert root.findtext("DesadvParty/BuyerParty/PartyID") == "7"


def test_a_confirmation_carries_the_erps_numbers_in_the_orders_own_lines() -> None:
    lines = {
        "90011": {"erp": 11, "part": "124_STUK", "quantity": "1"},
        "90012": {"erp": 22, "part": "123_KG", "quantity": "2"},
    }
    root = fromstring(confirmation(order(requested_delivery_date="2023-03-11"), "ERP-1", lines, timestamp="2026-07-01"))
    header = root.find("Request/OrderRequest/OrderRequestHeader")
    assert header is not None
    assert (header.get("type"), header.get("orderID"), header.get("orderDate")) == ("sync", "ERP-1", "2021-06-29")
    items = root.findall("Request/OrderRequest/ItemOut")
    assert [(item.get("lineNumber"), item.findtext("ItemID/SupplierPartID")) for item in items] == [
        ("11", "124_STUK"),
        ("22", "123_KG"),
    ]
    schedule = items[1].find("ScheduleLine")
    assert schedule is not None
    assert dict(schedule.items()) == {"quantity": "2", "requestedDeliveryDate": "2023-03-11"}


@pytest.mark.parametrize(
    ("documented", "sent"),
    [
        ("0.00001", "0.00001"),
        ("1e-05", "0.00001"),
        ("1E+3", "1000"),
        ("12.30", "12.30"),
        ("-0.0", "0.0"),
        ("0.12345678901234567890", "0.12345678901234567890"),
        ('"19.90"', "19.90"),
        ("7", "7"),
    ],
)
def test_a_confirmation_shows_prices_to_the_digit_and_without_an_exponent(documented: str, sent: str) -> None:
    text = json.dumps(order())
    one = order()["order_lines"][0]["unit_price"]
    whole = read_value(text.replace(f'"unit_price": {one}', f'"unit_price": {documented}', 1))
    lines = {str(line["id"]): {"erp": 1, "part": "P", "quantity": "1"} for line in whole["order_lines"]}
    root = fromstring(confirmation(whole, "ERP-1", lines, timestamp="2026-07-01"))
    assert root.findtext("Request/OrderRequest/ItemOut/ItemDetail/UnitPrice/Money") == sent


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", Verdict.DONE),
        (b'{"half": ', Verdict.INVALID),
        (b"<html xmlns='http://www.w3.org/1999/xhtml'><body>Down</body></html>", Verdict.INVALID),
        (b"<?xml version='1.0'?><h:html xmlns:h='http://www.w3.org/1999/xhtml'/>", Verdict.INVALID),
        (b"<!-- down --><html><body>Down</body></html>", Verdict.INVALID),
        (b"OK", Verdict.DONE),
        (b"<Response/>", Verdict.DONE),
        (b'<?xml version="1.0"?><cXML><Response><Status code="200" text="OK"/></Response></cXML>', Verdict.DONE),
        (b'<cXML><Response><Status code="406" text="no"/></Response></cXML>', Verdict.REFUSED),
        (b"<r xmlns='urn:x'><Error>no</Error></r>", Verdict.REFUSED),
        (b"<r>an error happened</r>", Verdict.REFUSED),
        (b"Error: no such order", Verdict.REFUSED),
        (b"sent by default, terrors aside", Verdict.DONE),
        (b"<Response><Sta", Verdict.INVALID),
        (b"<!doctype html><html></html>", Verdict.INVALID),
        (b"<html><body>Just a moment", Verdict.INVALID),
        (b"\xef\xbb\xbf<html><body>Just a moment", Verdict.INVALID),
        (b"<div>Back at noon</div>", Verdict.INVALID),
        (b"<center><h1>Maintenance</h1></center>", Verdict.INVALID),
        (b"\xef\xbb\xbf<Response>OK</Response>", Verdict.DONE),
        (gzip.compress(b"<Response/>", mtime=0), Verdict.INVALID),
        (b"OK\x00", Verdict.INVALID),
        ("<Response><Error>no</Error></Response>".encode("utf-16"), Verdict.REFUSED),
        ("<html>Back at noon</html>".encode("utf-16"), Verdict.INVALID),
        (b'{"a":' * 900 + b'"ok"' + b"}" * 900, Verdict.DONE),
        (b'<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/hostname">]><r>&x;</r>', Verdict.INVALID),
        (b'<!DOCTYPE r [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]><r>&b;</r>', Verdict.INVALID),
    ],
)
def test_an_answer_of_the_proxy_is_judged_and_never_trusted(body: bytes, said: Verdict) -> None:
    assert verdict(body, ERRORS) is said


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'<cXML><Response><Status code="200" text="OK">no errors found</Status></Response></cXML>', Verdict.DONE),
        (b'<cXML><Response><Status code="500" text="OK">done</Status></Response></cXML>', Verdict.REFUSED),
        (b"<Response><Status>200</Status><Text>failed: 0</Text></Response>", Verdict.DONE),
        (b'<Response><Status code="200"/><Errors/></Response>', Verdict.DONE),
        (b'<Response><Status code="200"/><Errors>0</Errors></Response>', Verdict.DONE),
        (b'<Response><Status code="200"/><Error>unknown user</Error></Response>', Verdict.REFUSED),
        (b"<Response><Error/></Response>", Verdict.REFUSED),
        (b'{"success": true, "message": "invalid lines: none, errors: 0"}', Verdict.DONE),
        (b'{"success": false, "message": "thanks"}', Verdict.REFUSED),
        (b'{"status": 422, "message": "thanks"}', Verdict.REFUSED),
        (b'{"status": "ok", "message": "0 errors"}', Verdict.DONE),
        (b'{"status": "error"}', Verdict.REFUSED),
        (b'{"errors": [], "failed": 0}', Verdict.DONE),
        (b'{"status": "Failure", "message": "thanks"}', Verdict.REFUSED),
        (b'{"success": "false"}', Verdict.REFUSED),
        (b'{"success": 0}', Verdict.REFUSED),
        (b'{"success": 1, "message": "0 errors"}', Verdict.DONE),
        (b'{"result": {"error": "unknown order"}}', Verdict.REFUSED),
        (b'[{"line": 10, "errors": ["unknown"]}]', Verdict.REFUSED),
        (b'{"result": {"success": false}}', Verdict.REFUSED),
        (b'{"response": {"status": 500, "text": "thanks"}}', Verdict.REFUSED),
        (b"<Response><Success>false</Success></Response>", Verdict.REFUSED),
        (b'<Response success="false">thanks</Response>', Verdict.REFUSED),
        (b"<Response><Status>failure</Status></Response>", Verdict.REFUSED),
        (b"<Response><Success>true</Success><Text>0 errors</Text></Response>", Verdict.DONE),
        (b'{"errors": ["no such line"]}', Verdict.REFUSED),
        (b'{"detail": "Error: no despatch"}', Verdict.REFUSED),
    ],
)
def test_what_an_answer_says_by_its_structure_decides_before_its_words(body: bytes, said: Verdict) -> None:
    assert verdict(body, ERRORS) is said


@pytest.mark.parametrize(
    ("status", "body", "is_duplicate"),
    [
        (409, b"", True),
        (400, b'{"DesadvNumber": ["already exists"]}', True),
        (200, b"<Response><Error>PS-1 already exists</Error></Response>", True),
        (422, b"duplicate", True),
        (403, b"user already blocked", False),
        (404, b"no such order exists", False),
        (200, b'<Response><Status code="403">user already blocked</Status></Response>', False),
        (200, b'<Response><Status code="409">no</Status></Response>', True),
        (400, b"unknown user", False),
    ],
)
def test_only_a_conflict_or_a_refusal_without_a_code_is_a_duplicate(
    status: int, body: bytes, is_duplicate: bool
) -> None:
    assert says_duplicate(status, body, re.compile(r"\b(?:already|exists|duplicate)", re.IGNORECASE)) is is_duplicate


def test_quantities_keep_their_decimals() -> None:
    from orchestrator.platforms.cloudsuite.proxy import slip_lines
    from statemachines.cloudsuite.despatch import DespatchLine

    found = snapshot(order_lines=[{**order()["order_lines"][0], "erp_line_number": 11, "quantity": 2.5}])
    assert slip_lines(Despatch("A"), found) == [SlipLine(11, "2.5000", "124_STUK")]
    asked = Despatch("A", lines=(DespatchLine(11, Decimal("0.125"), "X"),))
    assert slip_lines(asked, found) == [SlipLine(11, "0.1250", "X")]
