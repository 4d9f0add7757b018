"""What xSale's answers are read as: orders, statuses, envelopes, and digests of what counts (xsale.md §3, §4)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.platforms.failures import Unreadable
from orchestrator.platforms.field_map import FieldMap
from orchestrator.platforms.xsale.content import ASSUMED
from orchestrator.platforms.xsale.options import XsaleOptions
from orchestrator.platforms.xsale.statuses import StatusMissing, StatusRef, StatusTable
from orchestrator.platforms.xsale.wire import Reading, read_listing, read_rows, read_single

SAMPLES = Path(__file__).parents[2] / "samples" / "xsale"
PAYMENTS = XsaleOptions.model_fields["payments"].default
NAMES = ("Nowe", "Wysłane")
READING = Reading(FieldMap(ASSUMED), PAYMENTS, NAMES)


def sample(name: str) -> bytes:
    return (SAMPLES / f"{name}.json").read_bytes()


def sample_json(name: str) -> Any:
    return json.loads(sample(name))


TABLE = StatusTable.of(sample_json("statuses_response_assumed"))


def single(order: Any, reading: Reading = READING) -> Any:
    return read_single(json.dumps(order).encode(), reading, TABLE)[0]


def changed(**fields: Any) -> Any:
    return {**sample_json("order_assumed"), **fields}


def without(*names: str) -> Any:
    return {name: value for name, value in sample_json("order_assumed").items() if name not in names}


def test_lines_have_the_ids_that_content_gives_them() -> None:
    """A parcel names them so, wherever a merchant says that they stand."""
    paths = {**ASSUMED, "lines.id": "Position.Number", "lines.quantity": "Pieces"}
    items = [{"Id": 1, "Quantity": 5, "Position": {"Number": number}, "Pieces": 2.0} for number in (7, "B-8")]
    snapshot = single(changed(Items=items), Reading(FieldMap(paths), PAYMENTS, NAMES))
    assert snapshot.facts["lines"] == {"7": "2", "B-8": "2"}
    assert [(line["id"], line["quantity"]) for line in snapshot.content["lines"]] == [("7", "2.0"), ("B-8", "2.0")]


# -- orders ------------------------------------------------------------------------------------------------------------


def test_the_sample_list_is_read() -> None:
    body = sample("orders_list_assumed")
    listing = read_listing(body, READING, TABLE)
    assert [(snapshot.id, snapshot.state, snapshot.payment) for snapshot in listing.orders] == [
        ("40001", "Nowe", "paid"),
        ("40002", "Nowe", "unpaid"),
    ]
    assert all(snapshot.payload in body for snapshot in listing.orders), "each is kept byte for byte"
    assert listing.orders[0].reference == "ALG-40001"
    assert listing.orders[0].facts == {"statuses": {"1": "Nowe", "5": "Wysłane"}, "lines": {"400011": "1"}}
    assert (listing.names, listing.unexplained) == (("40001", "40002"), frozenset())


@pytest.mark.parametrize("name", ["order_assumed", "order_manual_assumed", "order_shipped_assumed"])
def test_the_sample_orders_are_read(name: str) -> None:
    snapshot = single(sample_json(name))
    assert snapshot.state == sample_json(name)["StatusName"]
    assert snapshot.platform_updated_at is None


@pytest.mark.parametrize(
    "status",
    [
        {"StatusId": 5, "StatusName": "Wysłane"},
        {"StatusId": "5"},
        {"StatusName": "Wysłane"},
        {"Status": {"Id": 5, "Name": "Wysłane"}},
        {"Status": {"Id": 5}},
        {"Status": {"Name": "Wysłane"}},
        {"Status": 5},
        {"Status": "Wysłane"},
    ],
)
def test_a_status_is_read_in_every_shape(status: dict[str, Any]) -> None:
    assert single({**without("StatusId", "StatusName"), **status}).state == "Wysłane"


def test_the_id_decides_when_the_name_is_an_old_one() -> None:
    snapshot, ref = read_single(json.dumps(changed(StatusId=5, StatusName="Poszło")).encode(), READING, TABLE)
    assert snapshot.state == "Wysłane"
    assert not TABLE.explains(ref)


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ({"StatusId": 99}, "status 99"),
        ({"StatusId": 99, "StatusName": "Zaginęło"}, "Zaginęło"),
        ({"StatusName": "X"}, "X"),
    ],
)
def test_an_unknown_status_is_kept_as_the_order_shows_it(status: dict[str, Any], state: str) -> None:
    snapshot, ref = read_single(json.dumps({**without("StatusId", "StatusName"), **status}).encode(), READING, TABLE)
    assert snapshot.state == state
    assert not TABLE.explains(ref)


@pytest.mark.parametrize("name", ["order", "Order", "data", "result"])
def test_a_single_order_may_be_in_an_envelope_which_is_not_kept(name: str) -> None:
    text = sample("order_assumed").decode().strip()
    snapshot, _ = read_single(f' {{"{name}" : {text} }}'.encode(), READING, TABLE)
    assert snapshot.payload == text.encode()


@pytest.mark.parametrize(
    ("word", "payment"),
    [
        ("Opłacone", "paid"),
        ("opłacone", "paid"),
        ("Nadpłacone", "paid"),
        ("Nieopłacone", "unpaid"),
        ("Niedopłacone", "unpaid"),
        ("Pobranie", "unknown"),
        (None, "unknown"),
        (3, "unknown"),
    ],
)
def test_payment_statuses_become_our_words(word: Any, payment: str) -> None:
    assert single(changed(PaymentStatus=word)).payment == payment


def test_fields_may_stand_elsewhere() -> None:
    reading = Reading(
        FieldMap({**ASSUMED, "reference": "Foreign.Number", "payment": "Payment.State"}), {"COD": "invoice"}, NAMES
    )
    snapshot = single(changed(Foreign={"Number": 17}, Payment={"State": "cod"}), reading)
    assert (snapshot.reference, snapshot.payment) == ("17", "invoice")
    assert single(changed(Foreign=[]), reading).reference == "40001"


@pytest.mark.parametrize(
    "order",
    [
        without("Id"),
        changed(Id="abc"),
        changed(Id=-1),
        changed(Id=True),
        changed(Id=1.5),
        without("StatusId", "StatusName"),
        changed(StatusId=["Nowe"], StatusName=None),
        changed(Items="none"),
        [],
        "order",
        None,
    ],
)
def test_an_order_without_what_we_decide_on_is_unreadable_and_keeps_its_bytes(order: Any) -> None:
    body = json.dumps(order).encode()
    with pytest.raises(Unreadable) as caught:
        read_single(body, READING, TABLE)
    assert caught.value.payload == body


@pytest.mark.parametrize("broken", ["NaN", '{"Id": 3, "StatusId": }', '{"Id": 3}', "17"])
def test_one_element_that_makes_no_sense_takes_no_other_with_it(broken: str) -> None:
    text = sample("order_assumed").decode().strip()
    listing = read_listing(f"[{text}, {broken}, {text}]".encode(), READING, TABLE)
    assert len(listing.orders) == 2
    (unreadable,) = listing.unreadable
    assert unreadable.payload == broken.encode()
    assert len(listing.names) == 3


# -- envelopes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Items", "items", "data", "results"])
def test_rows_are_found_in_the_usual_envelopes(name: str) -> None:
    body = f'{{"Total": 2, "{name}": {sample("orders_list_assumed").decode()}}}'.encode()
    assert len(read_listing(body, READING, TABLE).orders) == 2
    assert read_listing(f'{{"{name}": []}}'.encode(), READING, TABLE).names == ()


def test_an_order_is_no_list_of_its_items() -> None:
    with pytest.raises(Unreadable, match="one object"):
        read_listing(sample("order_assumed"), READING, TABLE)


def test_an_array_whose_elements_have_no_id_holds_no_rows() -> None:
    with pytest.raises(Unreadable, match="no rows"):
        read_rows(b'{"Items": ["a", "b"]}', "auto")


def test_an_envelope_of_the_shops_own_is_looked_into_first() -> None:
    assert [value for value, _ in read_rows(b'{"Items": [{"Id": 1}], "Rows": [{"Id": 2}]}', "Rows")] == [{"Id": 2}]


@pytest.mark.parametrize("body", [b"", b"<html>", b"[", b"[] x", b"{}", b'{"Items": {}}', b"17", b"[" * 100_000])
def test_a_list_that_makes_no_sense_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable):
        read_listing(body, READING, TABLE)


@given(st.binary(max_size=200))
def test_whatever_comes_is_read_or_unreadable(body: bytes) -> None:
    for read in (read_listing, read_single):
        kept = body
        try:
            read(body, READING, TABLE)
        except Unreadable as failure:
            kept = failure.payload
        assert kept == body


# -- what counts -------------------------------------------------------------------------------------------------------


def test_a_change_of_status_and_what_automations_make_of_it_is_no_edit() -> None:
    shipped = {"StatusId": 5, "StatusName": "Wysłane", "ShipmentStatus": "Nadana", "ModifiedAt": "2024-10-26"}
    assert single(changed(**shipped)).content_hash == single(sample_json("order_assumed")).content_hash


def test_nothing_written_in_another_way_is_no_edit() -> None:
    bare = without("Remarks", "WaybillNumber")
    assert single(bare).content_hash == single(changed(Remarks="", WaybillNumber=None)).content_hash


@pytest.mark.parametrize(
    "edit",
    [
        {"Remarks": "please ring"},
        {"PaymentStatus": "Nieopłacone"},
        {"WaybillNumber": "6200"},
        {"RecipientId": 502},
        {"Items": []},
        {"PriceGross": 199.99},
    ],
)
def test_an_edit_of_a_person_counts(edit: dict[str, Any]) -> None:
    assert single(changed(**edit)).content_hash != single(sample_json("order_assumed")).content_hash


def test_another_article_in_an_item_counts() -> None:
    order = sample_json("order_assumed")
    order["Items"][0]["OrderItemArticles"][1]["Quantity"] = 2
    assert single(order).content_hash != single(sample_json("order_assumed")).content_hash


# -- statuses ----------------------------------------------------------------------------------------------------------


def test_names_that_are_missing_or_double_are_reported_with_those_that_there_are() -> None:
    table = StatusTable.of([{"Id": 7, "Name": "Nowe"}, {"Id": 3, "Name": "Wysłane"}, {"Id": 9, "Name": "Wysłane"}])
    with pytest.raises(StatusMissing) as caught:
        table.require(("Nowe", "Nowee", "Wysłane"))
    assert caught.value.detail == (
        'the config names a status "Nowee" that there is not, did you mean "Nowe"?; '
        '"Wysłane" is the name of 2 statuses (ids 3, 9). The organization\'s statuses are: "Nowe", "Wysłane"'
    )
    assert table.id_of("Nowe") == 7


def test_a_name_with_its_accents_apart_is_the_same_status() -> None:
    table = StatusTable.of([{"Id": 1, "Name": "Do obsl\u0301ugi re\u0328cznej"}])
    assert table.ids.keys() == {"Do obsĺugi ręcznej"}


@pytest.mark.parametrize("row", [{"Id": 1}, {"Name": "Nowe"}, {"Id": "x", "Name": "Nowe"}, 17, None])
def test_a_status_without_id_or_name_makes_no_table(row: Any) -> None:
    with pytest.raises(ValueError, match="no Id or no Name"):
        StatusTable.of([row])


def test_a_status_is_explained_by_its_id_and_the_same_name() -> None:
    assert TABLE.explains(StatusRef(1, "Nowe"))
    assert TABLE.explains(StatusRef(1, None))
    assert TABLE.explains(StatusRef(None, "Nowe"))
    assert not TABLE.explains(StatusRef(1, "Wysłane"))
    assert not TABLE.explains(StatusRef(None, "nowe"))
