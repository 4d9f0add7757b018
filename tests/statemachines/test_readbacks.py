"""What a fresh read proves of a step: its own effect does, a summary that somebody else can bring about does not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from orchestrator.decisions.draft import Draft
from orchestrator.decisions.outcomes import apply_read
from orchestrator.registry import PLATFORMS
from statemachines.machine import OrderState
from statemachines.target import Json, TargetRequest, Tracking
from storage.records import Intent
from tests.decisions.test_decision_outcomes import CTX, calling, events, seen

LINES = {"1": {"erp": None, "part": "A", "quantity": "2"}}
ERP = {"erp_order_number": "E-1", "erp_lines": [{"line": "1", "erp_line_number": 10}]}


def is_done(platform: str, step: str, before: OrderState, shown: OrderState, **request: Json) -> bool | None:
    wanted = TargetRequest.from_json({"state": "delivered", **request})
    return PLATFORMS[platform].machine({}).is_done(step, before, shown, wanted)


def plainly(state: str, **facts: Json) -> OrderState:
    return OrderState(state, state, "paid", facts)


# -- Selldone: the platform lets no order skip a state -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "before", "shown", "facts", "proof"),
    [
        ("confirm", "CheckQueue", "OrderConfirm", {}, True),
        ("confirm", "CheckQueue", "SentOrder", {}, True),
        ("confirm", "CheckQueue", "CheckQueue", {}, False),
        ("confirm", "CheckQueue", "OrderConfirm", {"status": "Canceled"}, False),
        ("prepare", "OrderConfirm", "PreparingOrder", {}, True),
        ("prepare", "OrderConfirm", "SomethingNew", {}, False),
        ("send", "PreparingOrder", "ToCustomer", {}, True),
        ("send", "PreparingOrder", "OrderConfirm", {}, False),
        ("deliver", "SentOrder", "ToCustomer", {}, True),
        ("deliver", "SentOrder", "PreparingOrder", {}, False),
        ("return_delivery", "SentOrder", "PreparingOrder", {}, True),
        ("return_delivery", "SentOrder", "CheckQueue", {}, True),
        ("return_delivery", "SentOrder", "ToCustomer", {}, False),
        ("return_delivery", "SentOrder", "SomethingNew", {}, False),
        ("return_delivery", "SentOrder", "PreparingOrder", {"status": "Canceled"}, False),
    ],
)
def test_selldones_states_prove_what_led_to_them(
    step: str, before: str, shown: str, facts: dict[str, Json], proof: bool
) -> None:
    facts = {"status": "Payed", **facts}
    assert is_done("selldone", step, plainly(before, status="Payed"), plainly(shown, **facts)) is proof


@pytest.mark.parametrize(
    ("given", "proof"),
    [
        ({"tracking_code": "A"}, True),
        ({"tracking_code": "B"}, False),
        ({}, False),
    ],
)
def test_selldones_tracking_is_proved_by_the_code_itself(given: dict[str, Json], proof: bool) -> None:
    before, shown = plainly("PreparingOrder"), plainly("PreparingOrder", **given)
    assert is_done("selldone", "set_tracking", before, shown, tracking={"code": "A"}) is proof


# -- CloudSuite: the platform takes any state at any time --------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "before", "shown", "proof"),
    [
        ("process", "confirmed", "processing", True),
        ("process", "confirmed", "sent", False),
        ("process", "confirmed", "done", False),
        ("process", "confirmed", "cancel", False),
        ("mark_sent", "processing", "sent", True),
        ("mark_sent", "processing", "done", False),
        ("finish", "sent", "done", True),
        ("finish", "sent", "processing", False),
        ("cancel", "processing", "cancel", True),
        ("cancel", "processing", "done", False),
    ],
)
def test_cloudsuites_states_prove_only_the_step_that_leads_there(
    step: str, before: str, shown: str, proof: bool
) -> None:
    assert is_done("cloudsuite", step, plainly(before), plainly(shown)) is proof


@pytest.mark.parametrize(
    ("step", "number", "line", "proof"),
    [
        ("set_erp_number", "E-1", None, True),
        ("set_erp_number", "E-2", 10, False),
        ("set_erp_lines", None, 10, True),
        ("set_erp_lines", "E-1", 20, False),
        ("confirm_order", "E-1", 10, True),
        ("confirm_order", "E-1", None, False),
    ],
)
def test_cloudsuites_data_are_proved_by_their_values(step: str, number: Json, line: Json, proof: bool) -> None:
    shown = plainly("processing", erp_order_number=number, lines={"1": {**LINES["1"], "erp": line}})
    before = plainly("processing", erp_order_number=None, lines=LINES)
    assert is_done("cloudsuite", step, before, shown, **ERP) is proof


@pytest.mark.parametrize("shown", ["processing", "sent", "done"])
def test_no_state_of_cloudsuites_proves_a_despatch(shown: str) -> None:
    assert is_done("cloudsuite", "send_despatch", plainly("processing"), plainly(shown)) is False


# -- xSale: any status at any time -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shown", "proof"),
    [
        ("Zaimportowano do ERP", True),
        ("W trakcie realizacji", False),
        ("Zrealizowane", False),
        ("Anulowane", False),
        ("Nowe", False),
    ],
)
def test_xsales_status_proves_the_one_change_that_leads_to_it(shown: str, proof: bool) -> None:
    assert is_done("xsale", "change_status", plainly("Nowe"), plainly(shown)) is proof


# -- Shopify: no display status proves a step --------------------------------------------------------------------------


def fo(left: int, status: str = "OPEN", number: str = "9") -> dict[str, Json]:
    actions = ["CREATE_FULFILLMENT", "REPORT_PROGRESS"] if status in ("OPEN", "IN_PROGRESS") else []
    place: dict[str, Json] = {"location": "1", "method": "SHIPPING", "hold": None, "fulfill_at": None}
    return {"id": number, "status": status, "actions": actions, "lines": {f"{number}-1": ["1", left]}, **place}


def parcel(number: str, count: int = 2, code: str | None = None, **more: Json) -> dict[str, Json]:
    known: dict[str, Json] = {"is_live": True, "is_delivered": False, "urls": [], "carriers": []}
    return {"id": number, "lines": {"1": count}, "codes": [code] if code else [], **known, **more}


def shop(state: str, *orders: dict[str, Json], parcels: tuple[Json, ...] = ()) -> OrderState:
    return plainly(state, fulfillment_orders=list(orders), fulfillments=list(parcels), lines={"1": 2})


OPEN = shop("UNFULFILLED", fo(2))


@pytest.mark.parametrize(
    ("shown", "proof"),
    [
        (shop("IN_PROGRESS", fo(2, "IN_PROGRESS")), True),
        (shop("UNFULFILLED", fo(2)), False),
        (shop("FULFILLED", fo(0, "CLOSED"), parcels=(parcel("7"),)), False),
        (shop("PARTIALLY_FULFILLED", fo(1, "IN_PROGRESS"), parcels=(parcel("7", 1),)), False),
        (shop("UNFULFILLED", fo(1, "IN_PROGRESS"), fo(1, number="8")), False),
        (shop("CANCELLED", fo(0, "CLOSED")), False),
    ],
)
def test_progress_is_proved_by_the_fulfilment_orders(shown: OrderState, proof: bool) -> None:
    assert is_done("shopify", "report_progress", OPEN, shown) is proof


@pytest.mark.parametrize(
    ("shown", "code", "proof"),
    [
        (shop("FULFILLED", fo(0, "CLOSED"), parcels=(parcel("7"),)), None, True),
        (shop("FULFILLED", fo(0, "CLOSED"), parcels=(parcel("7", code="A"),)), "A", True),
        (shop("FULFILLED", fo(0, "CLOSED"), parcels=(parcel("7", code="BY-HAND"),)), "A", False),
        (shop("FULFILLED", fo(0, "CLOSED")), None, False),  # refunded, or gone where the app sees nothing
        (shop("PARTIALLY_FULFILLED", fo(1, "IN_PROGRESS"), parcels=(parcel("7", 1),)), None, False),
        (shop("RETURNED", fo(0, "CLOSED"), parcels=(parcel("7", is_live=False),)), None, False),
    ],
)
def test_a_shipment_is_proved_by_its_parcel(shown: OrderState, code: str | None, proof: bool) -> None:
    request: dict[str, Json] = {"tracking": {"code": code}} if code else {}
    assert is_done("shopify", "fulfill", OPEN, shown, **request) is proof


def test_nothing_that_was_due_is_no_proof_of_a_shipment() -> None:
    before = shop("UNFULFILLED")  # its fulfilment orders were not there yet
    shown = shop("FULFILLED", fo(0, "CLOSED"), parcels=(parcel("7"),))
    assert is_done("shopify", "fulfill", before, shown) is False


@pytest.mark.parametrize(
    ("parcels", "proof"),
    [
        ((parcel("7", code="B"),), True),
        ((parcel("7", code="A"),), False),
        (
            (parcel("7", code="A", is_live=False),),
            False,
        ),  # it was taken back: there is nothing to track, and nothing done
        ((), False),
    ],
)
def test_tracking_is_proved_by_the_parcel_that_it_is_for(parcels: tuple[Json, ...], proof: bool) -> None:
    before = shop("FULFILLED", fo(0, "CLOSED"), parcels=(parcel("7", code="A"),))
    shown = shop("FULFILLED", fo(0, "CLOSED"), parcels=parcels)
    assert is_done("shopify", "update_tracking", before, shown, tracking={"code": "B"}) is proof


@pytest.mark.parametrize(
    ("state", "parcels", "proof"),
    [
        ("DELIVERED", (parcel("7", is_delivered=True),), True),
        ("FULFILLED", (parcel("7", is_delivered=True), parcel("8", 1)), True),  # the new one was none of the step's
        ("FULFILLED", (parcel("7"),), False),
        ("DELIVERED", (parcel("7", is_live=False), parcel("8", is_delivered=True)), False),
        ("RETURNED", (parcel("7"),), False),  # it came back without having arrived
        ("RETURNED", (), False),
    ],
)
def test_a_delivery_is_proved_by_each_parcel_that_was_under_way(
    state: str, parcels: tuple[Json, ...], proof: bool
) -> None:
    before = shop("FULFILLED", fo(0, "CLOSED"), parcels=(parcel("7"),))
    assert is_done("shopify", "mark_delivered", before, shop(state, parcels=parcels)) is proof


@pytest.mark.parametrize(("state", "proof"), [("CANCELLED", True), ("RETURNED", False), ("FULFILLED", False)])
def test_a_cancellation_is_proved_by_itself_alone(state: str, proof: bool) -> None:
    assert is_done("shopify", "cancel", OPEN, shop(state)) is proof


# -- what comes of it --------------------------------------------------------------------------------------------------


def reading(shown: str, *, is_unanswered: bool, **request: Any) -> Draft:
    """An order whose `confirm` is in doubt, read as `shown`."""
    draft = calling()
    target = draft.targets[0]
    draft.targets[0] = replace(target, request={**target.request, **request})
    intent = Intent(target.id, "confirm", "CheckQueue", "OrderConfirm", 1, True, is_unanswered)
    draft.change(intent=intent)
    apply_read(draft, CTX, seen(shown), None if is_unanswered else "CAN_NOT_APPLY_CHANGE_ERROR")
    return draft


@pytest.mark.parametrize(
    ("request_", "is_unanswered", "given"),
    [
        ({}, True, "step.done"),
        ({}, False, "step.done"),
        ({"items": ["1"]}, True, "step.done"),
        ({"items": ["1"]}, False, "order.drifted"),  # refused: somebody confirmed, and no read shows what
    ],
)
def test_a_refused_step_whose_data_no_read_shows_is_not_found_done(
    request_: dict[str, Json], is_unanswered: bool, given: str
) -> None:
    draft = reading("OrderConfirm", is_unanswered=is_unanswered, **request_)
    assert draft.order.state == "OrderConfirm"
    assert draft.order.intent is None
    assert [name for name, _ in events(draft)] == [given]


def test_the_steps_whose_data_no_read_shows() -> None:
    machine = PLATFORMS["selldone"].machine({})
    given = TargetRequest("shipped", items=("1",), delivery_info={"type": "Cargo"}, tracking=Tracking("A"))
    plain = TargetRequest("shipped")
    assert {step for step in machine.steps if not machine.is_evident(step, given)} == {"confirm", "prepare"}
    assert all(machine.is_evident(step, plain) for step in machine.steps)
