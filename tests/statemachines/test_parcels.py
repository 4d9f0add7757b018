"""What a target about a parcel comes to, as machines plan and record it. Pure."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statemachines.machine import RECORD, OrderState, Plan, PlatformMachine, Refusal
from statemachines.narrowing import Whole
from statemachines.parcel import RecordedParcel
from statemachines.selldone import MACHINE as SELLDONE
from statemachines.shopify.machine import MACHINE as SHOPIFY
from statemachines.target import TargetRequest
from statemachines.woocommerce import build
from tests.support.made_up import MadeUpMachine

LINES = {"1": "2", "2": "1.5"}


class Counting(MadeUpMachine):
    """A platform without parts whose orders show their lines."""

    def whole(self, current: OrderState) -> Whole:
        return Whole(current.facts.get("lines"))


MACHINE = Counting()
WOOCOMMERCE = build({})
UNKNOWN = MadeUpMachine()
"""The same, whose orders show no lines."""


def order(state: str = "processing", *parcels: RecordedParcel, lines: dict[str, Any] | None = None) -> OrderState:
    return OrderState(state, state, "paid", {"lines": LINES if lines is None else lines}, parcels)


def target(state: str = "shipped", **parcel: Any) -> TargetRequest:
    return TargetRequest.from_json({"state": state, "parcel": parcel})


def steps(machine: PlatformMachine, current: OrderState, request: TargetRequest) -> list[str]:
    plan = machine.plan(current, request)
    assert isinstance(plan, Plan), plan
    return [step.step for step in plan.steps]


def reason(machine: PlatformMachine, current: OrderState, request: TargetRequest) -> str:
    refusal = machine.plan(current, request)
    assert isinstance(refusal, Refusal)
    assert refusal.slug == "not-allowed"
    assert refusal.reason == refusal.detail
    return refusal.detail


def after(machine: PlatformMachine, current: OrderState, *requests: TargetRequest) -> OrderState:
    """The order once each target is reached."""
    for request in requests:
        plan = machine.plan(current, request)
        assert isinstance(plan, Plan), plan
        current = machine.expected(current, plan, request)
    return current


def test_a_part_is_recorded_and_the_rest_sends_the_order() -> None:
    part = target(number="B-1", lines=[{"id": "1", "quantity": 1}, {"id": "2"}])
    assert steps(MACHINE, order(), part) == [RECORD]
    then = after(MACHINE, order(), part)
    assert then.state == "processing"
    assert [(each["number"], each["lines"], each["closes"]) for each in then.parcels] == [
        ("B-1", {"1": "1", "2": "1.5"}, False)
    ]
    assert steps(MACHINE, then, target(number="B-2", lines=["1"])) == [RECORD, "pack", "complete"]
    assert steps(MACHINE, then, target(number="B-2")) == [RECORD, "pack", "complete"]


@pytest.mark.parametrize("quantity", [1, 1.0, "1", "1.0"])
@pytest.mark.parametrize("line", ["1", 1])
def test_ids_and_quantities_are_taken_in_each_form(line: Any, quantity: Any) -> None:
    then = after(MACHINE, order(), target(number="B-1", lines=[{"id": line, "quantity": quantity}]))
    assert then.parcels[0]["lines"] == {"1": "1"}


def test_the_last_one_sends_the_order_as_it_is() -> None:
    assert steps(MACHINE, order(), target(number="B-1", lines=["1"], last=True)) == [RECORD, "pack", "complete"]


def test_the_order_goes_out_with_the_tracking_of_its_parcels() -> None:
    first = target(number="B-1", tracking=["T1"], lines=["1"])
    then = after(MACHINE, order(), first)
    closing = target(number="B-2", tracking=["T2", "T3"], carrier="DHL", url="https://t.example/2", lines=["2"])
    assert steps(MACHINE, then, closing) == [RECORD, "track", "pack", "complete"]
    own = MACHINE.own_request(then, closing)
    assert [each.to_json() for each in own.trackings] == [
        {"code": "T2", "carrier": "DHL", "url": "https://t.example/2"},
        {"code": "T3", "carrier": "DHL"},
    ]
    assert MACHINE.own_request(then, own) == own, "what is in the platform's fields already stays"


def test_a_number_that_is_known_changes_nothing() -> None:
    first = target(number="B-1", tracking=["T1"], lines=["1"])
    then = after(MACHINE, order(), first, target(number="B-2", lines=["2"]))
    assert then.state == "completed"
    for again in (first, target(number="B-1"), target(tracking=["T1"]), target(number="B-2", last=True)):
        assert steps(MACHINE, then, again) == []
        assert after(MACHINE, then, again) == then


def test_a_parcel_that_closed_an_order_sends_it_when_that_was_dropped() -> None:
    first, second = target(number="B-1", lines=["1"]), target(number="B-2", lines=["2"])
    then = after(MACHINE, order(), first)
    dropped = replace(then, parcels=MACHINE.recorded(then, second))
    assert steps(MACHINE, dropped, second) == ["pack", "complete"]
    assert steps(MACHINE, dropped, first) == []


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([{"id": "1", "quantity": 2}], "parcel B-2 holds 2 of line 1, and 1 of the order's 2 is open"),
        ([{"id": "2"}], "parcel B-2 holds all of line 2, and 0 of the order's 1.5 is open"),
        ([{"id": "9"}], "items 9 are not in this order, it has 1, 2"),
        ([{"id": "1"}, "1"], "item 1 is named twice"),
    ],
)
def test_more_than_is_open_is_refused_with_the_numbers(lines: list[Any], words: str) -> None:
    then = after(MACHINE, order(), target(number="B-1", lines=[{"id": "1", "quantity": 1}, {"id": "2"}]))
    assert words in reason(MACHINE, then, target(number="B-2", lines=lines))


def test_an_order_that_cannot_be_shipped_says_that_first() -> None:
    refusal = MACHINE.plan(order("cancelled"), target(number="B-1", lines=["9"]))
    assert isinstance(refusal, Refusal)
    assert refusal.slug == "unreachable"
    withdrawn = replace(order(), facts={"lines": LINES, "withdrawn": {"at": None, "reason": None}})
    assert "withdrew" in reason(MACHINE, withdrawn, target(number="B-1", lines=["1"]))


def test_lines_that_are_not_known_close_an_order_by_the_last_parcel_alone() -> None:
    bare = OrderState("processing", "processing", "paid")
    assert steps(UNKNOWN, bare, target(number="B-1", lines=["1"])) == [RECORD]
    assert steps(UNKNOWN, bare, target(number="B-1")) == [RECORD, "pack", "complete"]
    assert steps(UNKNOWN, bare, target(number="B-1", lines=["1"], last=True)) == [RECORD, "pack", "complete"]


def test_a_line_of_unknown_quantity_is_left_until_all_of_it_is_in_a_parcel() -> None:
    current = order(lines={"1": None})
    some = target(number="B-1", lines=[{"id": "1", "quantity": 5}])
    assert steps(MACHINE, current, some) == [RECORD]
    assert steps(MACHINE, after(MACHINE, current, some), target(number="B-2", lines=["1"])) == [
        RECORD,
        "pack",
        "complete",
    ]


def test_what_arrived_is_recorded_until_all_of_the_order_did() -> None:
    selldone = OrderState("PreparingOrder", "PreparingOrder", "paid", {"items": ["1", "2"], "counts": LINES})
    first, second = target(number="B-1", tracking=["T1"], lines=["1"]), target(number="B-2", lines=["2"])
    part = after(SELLDONE, selldone, first)
    assert steps(SELLDONE, part, target("delivered", number="B-1")) == [RECORD], "its order is not even sent"
    sent = after(SELLDONE, part, second)
    assert sent.state == "SentOrder"
    assert steps(SELLDONE, sent, target("delivered", number="B-1")) == [RECORD]
    assert steps(SELLDONE, sent, TargetRequest.from_json({"state": "delivered", "tracking": {"code": "T1"}})) == [
        RECORD
    ]
    one = after(SELLDONE, sent, target("delivered", number="B-1"))
    assert steps(SELLDONE, one, target("delivered", number="B-1")) == []
    assert steps(SELLDONE, one, target("delivered", number="B-2")) == [RECORD, "deliver"]
    assert "it has B-1 (T1), B-2" in reason(SELLDONE, sent, target("delivered", number="B-3"))
    assert steps(SELLDONE, sent, TargetRequest("delivered")) == ["deliver"], "the whole order, as ever"


def test_where_nothing_is_recorded_no_parcel_arrives() -> None:
    sent = OrderState("SentOrder", "SentOrder", "paid", {"items": ["1"], "counts": {"1": "1"}})
    assert "none is recorded" in reason(SELLDONE, sent, target("delivered", number="B-1"))


def test_one_word_says_which_is_meant_where_shipped_and_delivered_are_one_state() -> None:
    then = after(MACHINE, order(), target(number="B-1", lines=["1"]), target("completed", number="B-2"))
    assert (then.state, len(then.parcels)) == ("completed", 2)
    then = after(MACHINE, then, target("delivered", number="B-2"))
    assert [each["is_delivered"] for each in then.parcels] == [False, True]


@pytest.mark.parametrize("state", ["new", "packed", "attention"])
def test_a_parcel_leads_to_no_other_state(state: str) -> None:
    assert "leaves with shipped and arrives with delivered" in reason(MACHINE, order(), target(state, number="B-1"))


def test_the_machines_say_what_becomes_of_a_parcel() -> None:
    assert SELLDONE.describe()["parcels"] == {"shipped": "recorded", "delivered": "recorded"}
    assert SHOPIFY.describe()["parcels"] == {"shipped": "parts", "delivered": "parts"}


boxes = st.lists(
    st.tuples(
        st.sampled_from(["B-1", "B-2", "B-3", "B-4"]),
        st.dictionaries(st.sampled_from(["1", "2"]), st.sampled_from(["0.5", "1", "1.5", "2"]), max_size=2),
        st.booleans(),
    ),
    max_size=8,
)


@given(boxes)
def test_the_order_is_sent_once_and_only_when_all_of_it_left_or_the_last_one_was_reported(
    told: list[tuple[str, dict[str, str], bool]],
) -> None:
    current, sent = order(), 0
    for number, held, is_last in told:
        lines = [{"id": line, "quantity": count} for line, count in held.items()] or None
        request = target(number=number, lines=lines, last=is_last)
        before, plan = current, MACHINE.plan(current, request)
        if isinstance(plan, Refusal):
            continue
        current = MACHINE.expected(current, plan, request)
        is_new = len(current.parcels) > len(before.parcels)
        assert is_new is (number not in [each["number"] for each in before.parcels]), "a number is recorded once"
        goes_out = any(step.step == "complete" for step in plan.steps)
        gone = {
            line: sum((Decimal(each["lines"].get(line) or 0) for each in current.parcels), Decimal(0)) for line in LINES
        }
        is_all = all(gone[line] == Decimal(count) for line, count in LINES.items())
        assert all(gone[line] <= Decimal(count) for line, count in LINES.items()), "no line holds more than it has"
        assert goes_out is (is_new and before.state != "completed" and (is_all or is_last))
        sent += goes_out
    assert sent <= 1
    assert (current.state == "completed") is (sent == 1)


def test_what_the_platform_has_no_use_for_is_not_brought_again() -> None:
    closing = target(number="B-1", tracking=["T1", "T2"])
    assert steps(MACHINE, order(), closing) == [RECORD, "track", "pack", "complete"]
    then = closing.without(["tracking", "tracking[1]"])
    assert steps(MACHINE, order(), then) == [RECORD, "pack", "complete"]
    assert MACHINE.own_request(order(), then).trackings == ()
    assert MACHINE.recorded(order(), then)[0]["tracking"] == ["T1", "T2"], "it is kept all the same"


@pytest.mark.parametrize("state", ["shipped", "delivered"])
@pytest.mark.parametrize(
    ("machine", "start", "codes"),
    [
        (WOOCOMMERCE, order(lines={"1": "3"}), ["T1", "T2"]),
        (SELLDONE, OrderState("CheckQueue", "CheckQueue", "paid", {"items": ["1"], "counts": {"1": 3}}), ["T2"]),
        (MACHINE, order(lines={"1": "3"}), ["T2"]),
    ],
)
def test_an_order_that_is_sent_under_no_parcel_goes_out_with_the_codes_of_its_parcels(
    machine: PlatformMachine, start: OrderState, codes: list[str], state: str
) -> None:
    part = [{"id": "1", "quantity": 1}]
    then = after(machine, start, *(target(number=f"B-{n}", tracking=[f"T{n}"], lines=part) for n in (1, 2)))
    assert len(then.parcels) == 2
    whole = TargetRequest(state)
    assert [each.code for each in machine.own_request(then, whole).trackings] == codes
    plan = machine.plan(then, whole)
    assert isinstance(plan, Plan)
    assert [each.step for each in plan.steps if "track" in each.step] != []
    assert plan.unused == ()
    sent = after(machine, then, whole)
    assert steps(machine, sent, whole) == []
    assert machine.own_request(sent, whole).trackings == (), "the buyer has them"
    assert machine.own_request(then, TargetRequest("preparing")).trackings == ()


def test_codes_of_parcels_go_beside_the_targets_own_where_there_is_room() -> None:
    part, own = [{"id": "1", "quantity": 1}], TargetRequest.from_json({"state": "shipped", "tracking": {"code": "T9"}})
    for machine, codes in ((WOOCOMMERCE, ["T9", "T1"]), (MACHINE, ["T9"])):
        then = after(machine, order(lines={"1": "3"}), target(number="B-1", tracking=["T1"], lines=part))
        assert [each.code for each in machine.own_request(then, own).trackings] == codes
        assert [each.step for each in machine.plan(then, own).steps if "track" in each.step] != []  # type: ignore[union-attr]


def test_a_code_of_a_part_does_not_send_the_whole_order_without_its_parcel() -> None:
    then = after(MACHINE, order(), target(number="B-1", tracking=["T1"], lines=["1"]))
    again = TargetRequest.from_json({"state": "shipped", "tracking": {"code": "T1"}})
    assert steps(MACHINE, then, again) == []
    assert steps(MACHINE, then, replace(again, state="preparing")) == ["track", "pack"]
    other = TargetRequest.from_json({"state": "shipped", "tracking": {"code": "T7"}})
    assert steps(MACHINE, then, other) == ["track", "pack", "complete"], "which means the whole order"
    sent = after(MACHINE, then, target(number="B-2", tracking=["T2"]))
    assert steps(MACHINE, sent, again) == []
