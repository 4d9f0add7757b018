"""What differs between two looks at an order, as pointers into the newer one."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.decisions.changes import MOST_POINTERS, bounded, changed_pointers, changes_of, less
from orchestrator.platforms.client import OrderSnapshot
from orchestrator.platforms.content import NOTHING_APART, Apart
from orchestrator.testing.engine_suite.samples import order
from orchestrator.testing.engine_suite.scratch import NOW
from storage.records import Kept

CONTENT: dict[str, Any] = {
    "numbers": {"order": "#1", "buyer": None},
    "ship_to": {"name": "Jane", "city": "Łódź"},
    "bill_to": None,
    "payment": {"status": "authorized"},
    "lines": [
        {"id": "1", "sku": "1.0", "quantity": "2", "unit_price": {"net": None, "gross": None, "stated": "9.90"}},
        {"id": "2", "sku": "B", "quantity": "1", "unit_price": {"net": "1", "gross": "2", "stated": None}},
    ],
    "totals": {"total": "19.80", "refunded": "0.00"},
    "tags": ["a"],
    "cancelled": None,
    "attributes": {"gift": "yes"},
}


def edited(*changes: tuple[str, Any]) -> dict[str, Any]:
    """The content with values set at dotted paths."""
    content = copy.deepcopy(CONTENT)
    for path, value in changes:
        place: Any = content
        *way, last = path.split(".")
        for part in way:
            place = place[int(part)] if part.isdigit() else place[part]
        if last.isdigit():
            place[int(last)] = value
        else:
            place[last] = value
    return content


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([], []),
        ([("totals.total", "29.70")], ["/totals/total"]),
        ([("totals.total", "19.8")], []),
        ([("totals.refunded", "5.00")], ["/totals/refunded"]),
        ([("payment.status", "voided")], ["/payment/status"]),
        ([("lines.0.quantity", "3"), ("totals.total", "29.70")], ["/lines/0/quantity", "/totals/total"]),
        ([("lines.1.unit_price.gross", "3")], ["/lines/1/unit_price"]),
        ([("lines.0.sku", "1.00")], ["/lines/0/sku"]),
        ([("ship_to.city", "Lodz"), ("ship_to.name", "John")], ["/ship_to"]),
        ([("ship_to", None)], ["/ship_to"]),
        ([("bill_to", {"name": "Jane"})], ["/bill_to"]),
        ([("cancelled", {"at": None})], ["/cancelled"]),
        ([("tags", ["a", "b"])], ["/tags"]),
        ([("tags", [])], ["/tags"]),
        ([("attributes", {"gift": "yes", "a/b~c": "1"})], ["/attributes/a~1b~0c"]),
        ([("attributes", {})], ["/attributes/gift"]),
        ([("numbers.buyer", "PO")], ["/numbers/buyer"]),
    ],
)
def test_a_difference_is_named_where_it_is(changes: list[tuple[str, Any]], expected: list[str]) -> None:
    assert changed_pointers(CONTENT, edited(*changes)) == expected


def test_lines_are_matched_by_their_ids() -> None:
    first, second = CONTENT["lines"]
    third = {**second, "id": "3"}
    assert changed_pointers(CONTENT, edited(("lines", [second, first]))) == []
    assert changed_pointers(CONTENT, edited(("lines", [second]))) == ["/lines"]
    assert changed_pointers(CONTENT, edited(("lines", [third, first, second]))) == ["/lines/0"]
    assert changed_pointers(CONTENT, edited(("lines", [{**second, "quantity": "9"}, third]))) == [
        "/lines",
        "/lines/0/quantity",
        "/lines/1",
    ]


def test_what_only_one_of_two_snapshots_has_is_no_change() -> None:
    """An older version kept fewer members, a webhook has fewer than a read."""
    thin = {name: CONTENT[name] for name in ("payment", "totals")} | {"lines": [{"id": "1", "quantity": "2"}]}
    second = CONTENT["lines"][1:]
    assert changed_pointers(thin, edited(("lines", CONTENT["lines"][:1]))) == []
    assert changed_pointers(edited(("lines", CONTENT["lines"][:1])), thin) == []
    assert changed_pointers(thin, edited(("lines", second))) == ["/lines", "/lines/0"]


MEMBERS = st.sampled_from(["a", "b", "quantity", "x/y", "m~n", "total"])
LEAVES = st.none() | st.booleans() | st.sampled_from(["", "1", "1.0", "2", "x"])
ROWS = st.lists(
    st.fixed_dictionaries({"id": st.sampled_from("1234"), "quantity": st.sampled_from(["1", "2"])}),
    max_size=4,
    unique_by=lambda row: row["id"],
)
CONTENTS = st.dictionaries(
    MEMBERS, LEAVES | st.dictionaries(MEMBERS, LEAVES, max_size=3), max_size=4
) | st.fixed_dictionaries({"lines": ROWS, "totals": st.dictionaries(MEMBERS, LEAVES, max_size=2)})


def parts_of(pointer: str) -> list[str]:
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]


def taken_back(before: dict[str, Any], after: dict[str, Any], found: list[str]) -> dict[str, Any]:
    """The newer content with what the pointers name as it was before."""
    content = copy.deepcopy(after)
    lines = {line["id"]: line for line in before.get("lines", [])}
    dropped: set[int] = set()
    for parts in map(parts_of, found):
        match parts:
            case ["lines"]:
                shown = {line["id"] for line in after["lines"]}
                content["lines"] += [line for id_, line in lines.items() if id_ not in shown]
            case ["lines", index]:
                dropped.add(int(index))
            case ["lines", index, name]:
                line = content["lines"][int(index)]
                line[name] = lines[line["id"]][name]
            case [name]:
                content[name] = before[name]
            case [name, inner]:
                content[name][inner] = before[name][inner]
    if dropped:
        content["lines"] = [line for index, line in enumerate(content["lines"]) if index not in dropped]
    return content


@given(CONTENTS)
def test_the_same_is_no_change(content: dict[str, Any]) -> None:
    assert changed_pointers(content, copy.deepcopy(content)) == []


@given(CONTENTS, CONTENTS)
def test_taking_back_what_the_pointers_name_leaves_no_difference_and_none_is_too_many(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    found = changed_pointers(before, after)
    assert found == sorted(set(found))
    assert changed_pointers(before, taken_back(before, after, found)) == []
    for pointer in found:
        rest = [each for each in found if each != pointer]
        assert changed_pointers(before, taken_back(before, after, rest)) != []


@given(st.integers(0, 400), st.integers(0, 400))
def test_an_event_carries_no_more_pointers_than_anyone_reads(lines: int, members: int) -> None:
    pointers = sorted(
        [f"/lines/{n}/quantity" for n in range(lines)]
        + [f"/lines/{n}/unit_price" for n in range(lines)]
        + [f"/attributes/{n}" for n in range(members)]
    )
    kept = bounded(pointers)
    assert len(kept) <= MOST_POINTERS
    assert all(any(each == expected or each.startswith(f"{expected}/") for expected in kept) for each in pointers)
    if len(pointers) <= MOST_POINTERS:
        assert kept == pointers


def test_what_stands_apart_is_left_out() -> None:
    found = ["/lines/0/quantity", "/lines/0/sku", "/parcels", "/parcels/1/numbers", "/parcelsize"]
    assert less(found, ["/lines/*/sku", "/parcels"]) == ["/lines/0/quantity", "/parcelsize"]


# -- two looks ---------------------------------------------------------------------------------------------------------


def look(content: dict[str, Any], updated_at: int | None = None, apart: Apart = NOTHING_APART) -> OrderSnapshot:
    return OrderSnapshot("1", None, "CheckQueue", "paid", {}, b"{}", "h", updated_at, content=content, apart=apart)


KEPT = Kept({"parcels": [], "totals": {"total": "5"}, "cancelled": None}, NOW - 10, NOW - 10)
OURS = Apart(steps=("/parcels",), cancel=("/cancelled", "/totals"), beside=("/totals/tax",))
SHIPPED = {"parcels": [{"id": "9"}], "totals": {"total": "5"}, "cancelled": None}
CANCELLED = {"parcels": [], "totals": {"total": "0"}, "cancelled": {"at": None}}


def test_what_our_own_step_did_is_no_change_and_the_same_by_a_person_is() -> None:
    seen = look(SHIPPED, apart=OURS)
    assert changes_of(order(moved_at=NOW - 5), KEPT, seen, is_cancelled=False) == []
    assert changes_of(order(moved_at=NOW - 15), KEPT, seen, is_cancelled=False) == ["/parcels/0"]


def test_our_own_cancellation_is_no_change_and_a_persons_is() -> None:
    seen = look(CANCELLED, apart=OURS)
    assert changes_of(order(moved_at=NOW - 5), KEPT, seen, is_cancelled=True) == []
    assert changes_of(order(), KEPT, seen, is_cancelled=False) == ["/cancelled", "/totals/total"]


def test_money_that_goes_back_after_our_cancellation_was_seen_is_a_change() -> None:
    kept = Kept(CANCELLED, NOW - 3, NOW - 3)
    refunded = {**CANCELLED, "totals": {"total": "-5"}}
    assert changes_of(order(moved_at=NOW - 5), kept, look(refunded, apart=OURS), is_cancelled=True) == ["/totals/total"]


def test_an_order_of_an_older_version_is_reported_as_a_whole_when_its_change_time_moved_and_else_not_at_all() -> None:
    old = Kept(None, None, NOW - 10)
    before = order(platform_updated_at=NOW - 20)
    assert changes_of(before, old, look(SHIPPED, NOW - 20), is_cancelled=False) == []
    assert changes_of(before, old, look(SHIPPED, NOW - 2), is_cancelled=False) == [""]
    ours = order(platform_updated_at=NOW - 20, moved_at=NOW - 5)
    assert changes_of(ours, old, look(SHIPPED, NOW - 2), is_cancelled=False) == [], "a step of ours moved it"
    assert changes_of(order(), old, look(SHIPPED), is_cancelled=False) == [], "no change time to go by"
