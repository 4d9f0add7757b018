"""Parcels of content: the platform's own and those that targets reported, each once and with who reported it."""

from __future__ import annotations

from typing import Any

from orchestrator.decisions.content_parcels import as_shown, with_recorded
from orchestrator.platforms.completion import completed
from statemachines.parcel import RecordedParcel, TargetParcel
from statemachines.parcels import recorded


def reported(number: str, lines: dict[str, str | None], **members: Any) -> RecordedParcel:
    return recorded(TargetParcel(number=number, **members), lines, closes=False)


def parcels(given: Any, *reports: RecordedParcel) -> Any:
    return with_recorded({"parcels": given}, reports)["parcels"]


def test_a_platform_that_gives_none_shows_what_was_reported_and_nothing_else() -> None:
    assert with_recorded({"note": None}, ()) == {"note": None}
    whole = completed(with_recorded({}, [reported("B-1", {"1": "2", "2": None}, tracking=("T1",))]))
    assert whole["parcels"] == [
        {
            "id": None,
            "number": "B-1",
            "numbers": ["T1"],
            "carrier": None,
            "url": None,
            "shipped_at": None,
            "delivered_at": None,
            "lines": [{"id": "1", "quantity": "2"}, {"id": "2", "quantity": None}],
            "reported_by": ["erp"],
        }
    ]
    assert "/parcels" not in whole["gaps"]
    assert {"/parcels/*/carrier", "/parcels/*/shipped_at", "/parcels/0/lines/1/quantity"} <= set(whole["gaps"])


def test_a_parcel_that_both_show_is_one_and_keeps_what_the_platform_says() -> None:
    given = [
        {"id": "9", "number": "#1-F1", "numbers": ["T1"], "carrier": "UPS", "lines": [{"id": "1", "quantity": "1"}]}
    ]
    found = parcels(given, reported("B-1", {"1": "2"}, tracking=("T1", "T2"), carrier="DHL", url="https://t.example/"))
    assert found == [
        {
            "id": "9",
            "number": "B-1",
            "numbers": ["T1"],
            "carrier": "UPS",
            "url": "https://t.example/",
            "lines": [{"id": "1", "quantity": "1"}],
            "reported_by": ["platform", "erp"],
        }
    ]


def test_one_code_of_all_that_left_joins_its_parcel_and_the_others_stand_for_themselves() -> None:
    found = parcels(
        [{"numbers": ["T2"], "url": None}],
        reported("B-1", {"1": "1"}, tracking=("T1",)),
        reported("B-2", {"2": "1"}, tracking=("T2",)),
    )
    assert [(each["number"], each["reported_by"]) for each in found] == [
        ("B-2", ["platform", "erp"]),
        ("B-1", ["erp"]),
    ]


def test_codes_that_a_platform_shows_one_by_one_are_one_parcel() -> None:
    given = [
        {"id": "9", "numbers": ["T2"], "carrier": None},
        {"id": "8", "numbers": ["T1"], "carrier": "UPS"},
        {"id": "7", "numbers": ["T9"], "carrier": None},
    ]
    found = parcels(given, reported("B-1", {"1": "1"}, tracking=("T1", "T2", "T3"), carrier="DHL"))
    assert [(each["id"], each["numbers"], each["carrier"], each.get("lines")) for each in found] == [
        ("9", ["T1", "T2", "T3"], "DHL", [{"id": "1", "quantity": "1"}]),
        ("7", ["T9"], None, None),
    ]


def test_pointers_lead_to_where_a_parcel_is_shown() -> None:
    content = {"parcels": [{"id": each, "numbers": [f"T{each}"]} for each in "4321"]}
    report = reported("B-1", {"1": "1"}, tracking=("T2", "T3"))
    found = ["", "/note", "/parcels/0/url", "/parcels/1", "/parcels/2/numbers", "/parcels/3"]
    shown = with_recorded(content, [report])["parcels"]
    assert [each["id"] for each in shown] == ["4", "3", "1"]
    moved = ["", "/note", "/parcels/0/url", "/parcels/1", "/parcels/1/numbers", "/parcels/2"]
    assert as_shown(found, content, [report]) == moved
    assert as_shown(found, content, []) == found
    assert as_shown(["/parcels", "/parcelsize"], content, [report]) == ["/parcels", "/parcelsize"]


def test_without_codes_the_same_goods_are_the_same_parcel_once() -> None:
    given = [{"id": n, "numbers": [], "lines": [{"id": "1", "quantity": "1.0"}]} for n in ("8", "9")]
    found = parcels(given, *(reported(f"B-{n}", {"1": "1"}) for n in range(3)))
    assert [(each.get("id"), each["number"]) for each in found] == [("8", "B-0"), ("9", "B-1"), (None, "B-2")]


def test_the_hash_follows_what_was_reported() -> None:
    before = completed(with_recorded({}, [reported("B-1", {"1": "1"})]))["hash"]
    assert before == completed(with_recorded({}, [reported("B-1", {"1": "1"})]))["hash"]
    assert before != completed(with_recorded({}, [reported("B-1", {"1": "2"})]))["hash"]
