"""Vendure's machine: what is next of an order, told from its lines and fulfilments alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.plugin.machine import Json, OrderState, Refusal, TargetParcel, TargetRequest, Tracking
from platform_vendure import build
from platform_vendure.parcels import counts_of, parcels_of, state_after

MACHINE = build({})
LINES = {"1": 2, "2": 3}


def parcel(name: str, state: str = "Pending", code: str = "", **lines: int) -> dict[str, Json]:
    return {"id": name, "state": state, "code": code, "lines": {line[1:]: count for line, count in lines.items()}}


def order(state: str = "PaymentSettled", *parcels: Json, lines: Mapping[str, int] = LINES) -> OrderState:
    return OrderState(state, state, "paid", {"lines": dict(lines), "parcels": list(parcels)})


def ask(state: str = "shipped", code: str | None = None, **fields: Any) -> TargetRequest:
    tracking = None if code is None else Tracking(code)
    return TargetRequest(state, tracking=tracking, **fields)


def steps(current: OrderState, request: TargetRequest) -> list[tuple[str, str]]:
    plan = MACHINE.plan(current, request)
    assert not isinstance(plan, Refusal), plan.detail
    return [(step.step, step.to) for step in plan.steps]


def refused(current: OrderState, request: TargetRequest) -> str:
    plan = MACHINE.plan(current, request)
    assert isinstance(plan, Refusal)
    return plan.detail


def item(line: str, quantity: int | None = None) -> Json:
    return line if quantity is None else {"id": line, "quantity": quantity}


WALK = [("fulfill", "PaymentSettled"), ("mark_shipped", "Shipped"), ("mark_delivered", "Delivered")]


def test_a_whole_order_is_packed_shipped_and_delivered() -> None:
    assert steps(order(), ask("shipped", "T-1")) == WALK[:2]
    assert steps(order(), ask("delivered")) == WALK


def test_the_machine_goes_on_by_its_own_facts() -> None:
    current, request, made = order(), ask("delivered", "T-1"), []
    while (plan := steps(current, request)) != []:
        made.append(plan[0])
        current = MACHINE.after(current, plan[0][0], request, None, {})
    assert made == WALK
    assert current.state == "Delivered"


def test_a_fulfilment_that_was_made_is_taken_up() -> None:
    packed = order("PaymentSettled", parcel("9", code="T-1", _1=2, _2=3))
    assert steps(packed, ask("shipped", "T-1")) == WALK[1:2]
    assert steps(packed, ask("shipped")) == WALK[1:2]


@pytest.mark.parametrize("code", [None, "T-1"])
def test_items_make_a_parcel_of_their_own(code: str | None) -> None:
    request = ask("shipped", code, items=(item("1", 1),))
    assert steps(order(), request) == [("fulfill", "PaymentSettled"), ("mark_shipped", "PartiallyShipped")]


@pytest.mark.parametrize("code", [None, "T-1"])
def test_the_same_part_again_is_reached(code: str | None) -> None:
    current, request = order(), ask("shipped", code, items=(item("1", 1),))
    for name in ("fulfill", "mark_shipped"):
        current = MACHINE.after(current, name, request, None, {})
    assert (current.state, steps(current, request)) == ("PartiallyShipped", [])
    seen = MACHINE.merged_facts(current, order("PartiallyShipped", parcel("", "Shipped", code or "", _1=1)))
    assert steps(replace(current, facts=seen), request) == []


def test_another_key_is_another_parcel_of_the_same_goods() -> None:
    first = ask("shipped", items=(item("1", 1),), key="a")
    shipped = order("PartiallyShipped", parcel("9", "Shipped", _1=1))
    shipped = replace(shipped, facts={**shipped.facts, "made": {'["a", null]': ["9"]}})
    assert steps(shipped, first) == []
    assert steps(shipped, replace(first, key="b"))[0] == ("fulfill", "PartiallyShipped")


def test_the_last_part_ships_the_order() -> None:
    current = order("PartiallyShipped", parcel("9", "Shipped", "T-1", _1=2))
    assert steps(current, ask("shipped", "T-2")) == [("fulfill", "PartiallyShipped"), ("mark_shipped", "Shipped")]
    assert steps(current, ask("shipped", "T-1")) == [], "a known code selects its parcel"


def test_what_is_left_of_a_partly_delivered_order_is_shipped() -> None:
    current = order("PartiallyDelivered", parcel("9", "Delivered", "T-1", _1=2))
    expected = [("fulfill", "PartiallyDelivered"), ("mark_shipped", "PartiallyDelivered")]
    assert steps(current, ask("shipped", "T-2")) == expected
    assert steps(current, ask("delivered")) == [*expected, ("mark_delivered", "Delivered")]


def test_a_known_code_delivers_its_parcel_alone() -> None:
    boxes = parcel("8", "Shipped", "T-1", _1=2), parcel("9", "Shipped", "T-2", _2=3)
    assert steps(order("Shipped", *boxes), ask("delivered", "T-2")) == [("mark_delivered", "PartiallyDelivered")]
    assert len(steps(order("Shipped", *boxes), ask("delivered"))) == 2


def test_a_code_of_no_parcel_delivers_nothing() -> None:
    shipped = order("Shipped", parcel("9", "Shipped", "T-1", _1=2, _2=3))
    assert "no parcel of this order has the tracking code T-9" in refused(shipped, ask("delivered", "T-9"))


def test_items_that_the_order_cannot_give_are_refused() -> None:
    part = order("PartiallyShipped", parcel("9", "Shipped", "T-1", _1=1))
    assert "1, 2" in refused(part, ask(items=(item("7"),)))
    assert "2 of item 1 are asked for and 1 are left" in refused(part, ask("shipped", "T-2", items=(item("1", 2),)))
    assert "whole number" in refused(part, ask(items=({"id": "1", "quantity": "1.5"},)))


def test_items_of_a_delivery_select_whole_parcels() -> None:
    together = order("Shipped", parcel("9", "Shipped", "T-1", _1=2, _2=3))
    assert "in a parcel with others" in refused(together, ask("delivered", items=(item("1"),)))
    assert "in a parcel with others" in refused(together, ask("delivered", "T-1", items=(item("1"),)))
    assert steps(together, ask("delivered", items=(item("1", 2), item("2")))) == WALK[2:]
    apart = order("Shipped", parcel("8", "Shipped", _1=2), parcel("9", "Shipped", _2=3))
    assert steps(apart, ask("delivered", items=(item("2"),))) == [("mark_delivered", "PartiallyDelivered")]
    assert len(steps(order(), ask("delivered", items=(item("1"),)))) == 3


def test_a_cancelled_line_is_not_waited_for() -> None:
    current = order("PaymentSettled", parcel("9", "Pending", "T-1", _1=2), lines={"1": 2, "2": 0})
    assert steps(current, ask("shipped")) == [("mark_shipped", "Shipped")]


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ("ArrangingPayment", "payment"),
        ("PaymentAuthorized", "payment"),
        ("Modifying", "platform"),
        ("ArrangingAdditionalPayment", "platform"),
    ],
)
def test_an_order_that_is_not_paid_or_being_changed_waits(state: str, reason: str) -> None:
    wait = MACHINE.wait(order(state), ask("shipped"))
    assert wait is not None
    assert wait.reason == reason
    assert MACHINE.wait(order(state), ask("accepted")) is None
    assert steps(order(state), ask("shipped"))[1:] == WALK[:2]


def test_a_paid_or_authorized_order_is_cancelled_and_a_shipped_one_is_not() -> None:
    for state in ("PaymentAuthorized", "PaymentSettled"):
        assert steps(order(state), ask("cancelled")) == [("cancel", "Cancelled")]
    assert steps(order("PaymentSettled", parcel("9", _1=2)), ask("cancelled")) == [("cancel", "Cancelled")]
    assert "take it back" in refused(order("PaymentSettled", parcel("9", "Shipped", _1=2)), ask("cancelled"))
    refused(order("Shipped", parcel("9", "Shipped", _1=2, _2=3)), ask("cancelled"))


def test_a_cancellation_waits_for_the_end_of_a_modification() -> None:
    assert steps(order("Modifying"), ask("cancelled")) == [
        ("finish_modification", "PaymentSettled"),
        ("cancel", "Cancelled"),
    ]


def test_reads_prove_what_each_step_did() -> None:
    request = ask("delivered", "T-1")
    states = [
        order(),
        order("PaymentSettled", parcel("9", "Pending", "T-1", _1=2, _2=3)),
        order("Shipped", parcel("9", "Shipped", "T-1", _1=2, _2=3)),
        order("Delivered", parcel("9", "Delivered", "T-1", _1=2, _2=3)),
    ]
    for (name, _), before, after in zip(WALK, states, states[1:], strict=False):
        assert MACHINE.is_done(name, before, after, request) is True
        assert MACHINE.is_done(name, before, before, request) is False


def test_somebody_elses_fulfilment_proves_nothing() -> None:
    other = order("PaymentSettled", parcel("9", "Pending", "theirs", _1=2, _2=3))
    assert MACHINE.is_done("fulfill", order(), other, ask("shipped", "T-1")) is False


def test_accepted_is_our_record_alone() -> None:
    assert steps(order(), ask("accepted")) == [("record", "PaymentSettled")]


def test_tracking_that_the_order_carries_is_not_named_as_unused() -> None:
    packed = order("PaymentSettled", parcel("9", code="T-1", _1=2, _2=3))
    plan = MACHINE.plan(packed, TargetRequest("shipped", tracking=Tracking("T-1", carrier="DHL")))
    assert not isinstance(plan, Refusal)
    assert plan.unused == ()


def test_a_link_stands_in_for_a_code() -> None:
    link = TargetRequest("shipped", tracking=Tracking(url="https://x.example/1"))
    shipped = MACHINE.after(order(), "fulfill", link, None, {})
    assert shipped.facts["parcels"][0]["code"] == "https://x.example/1"


def box(number: str, *tracking: str, **fields: Any) -> TargetRequest:
    return TargetRequest("shipped", parcel=TargetParcel(number, tracking=tracking, **fields))


@pytest.mark.parametrize("codes", [(), ("T-1", "T-2")])
def test_a_parcel_leaves_by_itself_and_once(codes: tuple[str, ...]) -> None:
    current, request = order(), box("B-1", *codes, lines=({"id": "1", "quantity": 1},))
    for name in ("fulfill", "mark_shipped"):
        assert steps(current, request)[0][0] == name
        current = MACHINE.moved(current, name, MACHINE.own_request(current, request), None, {})
    assert current.state == "PartiallyShipped"
    assert [each["number"] for each in current.parcels] == ["B-1"]
    assert steps(current, request) == []
    assert steps(current, box("B-2", lines=({"id": "1", "quantity": 1},)))[0] == ("fulfill", "PartiallyShipped")
    assert [name for name, _ in steps(current, box("B-3"))] == ["fulfill", "mark_shipped"], "all that is left"


def test_strict_shops_take_one_state_at_a_time() -> None:
    assert not isinstance(MACHINE.plan(order(), ask("shipped"), "strict"), Refusal)
    plan = MACHINE.plan(order(), ask("delivered"), "strict")
    assert isinstance(plan, Refusal)
    assert plan.slug == "not-adjacent"


@pytest.mark.parametrize("items", [(), ({"id": "1", "quantity": "0.5"},), ("1", "1"), ({"id": "1", "quantity": "x"},)])
@pytest.mark.parametrize("state", ["new", "accepted", "shipped", "delivered", "cancelled", "attention"])
def test_items_that_are_none_raise_nothing(state: str, items: tuple[Json, ...]) -> None:
    for current in (order(), order("Modifying"), order("Shipped", parcel("9", "Shipped", "T-1", _1=2, _2=3))):
        plan = MACHINE.plan(current, ask(state, "T-1", items=items))
        assert isinstance(plan, Refusal) is (state in ("shipped", "delivered", "cancelled"))
        assert MACHINE.is_done("fulfill", current, order(), ask(state, items=items)) is False


_COUNTS = st.dictionaries(st.sampled_from(["1", "2", "3"]), st.integers(1, 3), min_size=1)
_PARCELS = st.lists(
    st.tuples(st.sampled_from(["Pending", "Shipped", "Delivered"]), st.sampled_from(["", "T-1", "T-2"]), _COUNTS),
    max_size=3,
)
_ITEMS = st.none() | st.lists(
    st.tuples(st.sampled_from(["1", "2", "3"]), st.none() | st.integers(1, 3)), min_size=1, max_size=3
)


# How long examples take to draw says something of a machine's load, and nothing of what is tested.
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(_COUNTS, _PARCELS, _ITEMS, st.sampled_from([None, "T-1", "T-2"]), st.sampled_from(["shipped", "delivered"]))
def test_every_target_ends_and_packs_no_more_than_was_ordered(
    lines: dict[str, int], made: list[Any], items: Any, code: str | None, state: str
) -> None:
    parcels: list[Json] = [
        {"id": str(n), "state": at, "code": mark, "lines": held} for n, (at, mark, held) in enumerate(made)
    ]
    whole = Counter(lines) + counts_of(parcels)
    facts = {"lines": dict(whole), "parcels": parcels}
    asked = None if items is None else tuple(item(line, count) for line, count in items)
    request = ask(state, code, items=asked)
    here = state_after("PaymentSettled", facts)
    current = OrderState(here, here, "paid", facts)
    for n in range(20):
        plan = MACHINE.plan(current, request)
        if isinstance(plan, Refusal):
            assert n == 0, plan.detail
            return
        if not plan.steps:
            break
        current = MACHINE.after(current, plan.steps[0].step, request, None, {})
    else:
        raise AssertionError("it does not end")
    packed = counts_of(parcels_of(current.facts))
    assert all(packed[line] <= count for line, count in whole.items())
