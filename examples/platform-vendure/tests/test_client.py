"""Vendure's client in front of the real server: parcels, what a person does beside us, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from orchestrator.platforms.completion import completed
from orchestrator.plugin.client import OutOfSequence, Rejected, Transient
from orchestrator.plugin.machine import Json, OrderState, Refusal, TargetRequest, Tracking
from orchestrator.testing.stage import Stage, staged
from platform_vendure.machine import held_up
from platform_vendure.sandbox.server import REMEDY, missing
from platform_vendure.sandbox.shop import SandboxOptions
from tests.support.skips import skip

if (trouble := missing()) is not None:
    skip(trouble, REMEDY)


def ask(state: str = "shipped", code: str | None = None, **fields: Any) -> TargetRequest:
    return TargetRequest(state, tracking=None if code is None else Tracking(code, carrier="DHL"), **fields)


async def seen(stage: Stage) -> OrderState:
    return (await stage.client.read(stage.order)).order_state()


async def drive(stage: Stage, request: TargetRequest, current: OrderState | None = None) -> OrderState:
    """Makes the steps of a target, each of which has to lead where the machine says; the order as a read then shows
    it, with what only we know."""
    current = current or await seen(stage)
    while (step := _next(stage, current, request)) is not None:
        answer = await stage.client.perform(step, stage.order, current, request)
        after = stage.machine.after(current, step, request, answer.state, answer.facts)
        shown = await seen(stage)
        assert (shown.state, shown.facts) == (after.state, _less(after.facts, "made"))
        assert stage.machine.is_done(step, current, shown, request)
        current = replace(shown, facts=stage.machine.merged_facts(after, shown))
    return current


def _next(stage: Stage, current: OrderState, request: TargetRequest) -> str | None:
    plan = stage.machine.plan(current, request)
    assert not isinstance(plan, Refusal), plan.detail
    return plan.steps[0].step if plan.steps else None


def _less(facts: Any, name: str) -> dict[str, Json]:
    return {each: value for each, value in facts.items() if each != name}


def effects(stage: Stage) -> list[str]:
    return stage.sandbox.ledger.effects(stage.order)


async def test_parcels_leave_and_arrive_one_by_one() -> None:
    async with staged("vendure") as stage:
        first, *others = (await seen(stage)).facts["lines"]
        current = await drive(stage, ask("shipped", "T-1", items=(first,)))
        assert current.state == "PartiallyShipped"
        current = await drive(stage, ask("shipped", "T-2"), current)
        assert current.state == "Shipped"
        assert await drive(stage, ask("shipped", "T-1"), current) == current, "a known code changes nothing"
        current = await drive(stage, ask("delivered", "T-1"), current)
        assert current.state == "PartiallyDelivered"
        assert (await drive(stage, ask("delivered"), current)).state == "Delivered"
        assert others
        assert effects(stage) == [*("fulfill", "mark_shipped") * 2, *("mark_delivered",) * 2]
        parcels = (await stage.client.read(stage.order)).content["parcels"]
        assert [(each["numbers"], each["carrier"]) for each in parcels] == [(["T-1"], "DHL"), (["T-2"], "DHL")]


async def test_a_part_without_a_code_is_shipped_once() -> None:
    async with staged("vendure") as stage:
        line = next(iter((await seen(stage)).facts["lines"]))
        request = ask(items=({"id": line, "quantity": 1},), key="box 1")
        current = await drive(stage, request)
        assert await drive(stage, request, current) == current
        assert effects(stage) == ["fulfill", "mark_shipped"]


@pytest.mark.parametrize("code", [None, "T-1"])
async def test_a_fulfilment_whose_answer_was_lost_is_taken_up(code: str | None) -> None:
    async with staged("vendure") as stage:
        before = await seen(stage)
        request = ask("shipped", code, items=({"id": next(iter(before.facts["lines"])), "quantity": 1},))
        stage.sandbox.faults.script("drop_after", step="fulfill")
        with pytest.raises(Transient):
            await stage.client.perform("fulfill", stage.order, before, request)
        await drive(stage, request)
        assert effects(stage) == ["fulfill", "mark_shipped"]


async def test_what_is_packed_is_taken_back_before_its_order_is_cancelled() -> None:
    async with staged("vendure") as stage:
        current = await seen(stage)
        await stage.client.perform("fulfill", stage.order, current, ask("shipped", "T-1"))
        current = await drive(stage, ask("cancelled", reason="out of stock"))
        assert (current.state, current.facts["parcels"]) == ("Cancelled", [])
        content = (await stage.client.read(stage.order)).content
        assert content["cancelled"]["reason"] == "out of stock"
        assert content["totals"]["total"] == "0.00"


@pytest.mark.parametrize("step", ["fulfill", "cancel"])
async def test_an_order_that_somebody_modifies_is_left_alone(step: str) -> None:
    """Vendure would empty all of its lines, and then refuse to cancel it."""
    async with staged("vendure") as stage:
        before = await seen(stage)
        stage.operate("modify", order=stage.order)
        with pytest.raises(Transient) as caught:
            await stage.client.perform(step, stage.order, before, ask("cancelled" if step == "cancel" else "shipped"))
        assert (caught.value.wait, caught.value.is_ambiguous) == (held_up("Modifying"), False)
        now = await seen(stage)
        assert now.facts == before.facts
        assert stage.machine.wait(now, ask("shipped")) is not None


async def test_what_a_person_cancels_of_an_order_is_not_shipped() -> None:
    async with staged("vendure") as stage:
        before = await stage.client.read(stage.order)
        stage.operate("cancel_item", order=stage.order)
        after = await stage.client.read(stage.order)
        assert after.content_hash != before.content_hash
        current = await drive(stage, ask("shipped", "T-1"))
        (parcel,) = current.facts["parcels"]
        assert parcel["lines"] == {line: count for line, count in after.facts["lines"].items() if count}
        assert current.state == "Shipped"


async def test_a_refund_shows_and_the_order_stays_paid() -> None:
    async with staged("vendure") as stage:
        stage.operate("refund", order=stage.order, amount=150)
        found = await stage.client.read(stage.order)
        assert found.payment == "paid"
        assert found.content["payment"]["status"] == "partly_refunded"
        assert found.content["totals"]["refunded"] == "1.50"


@pytest.mark.parametrize("variant", [None, "prices with tax"])
async def test_the_parts_of_every_order_add_up_to_what_it_costs(variant: str | None) -> None:
    async with staged("vendure", variant=variant, orders=12) as stage:
        for snapshot in (await stage.snapshots()).values():
            assert completed(snapshot.content)["balanced"] is True, snapshot.content


async def test_a_handler_that_the_shop_does_not_have_is_named() -> None:
    async with staged("vendure", options={"fulfillment_handler": "none"}) as stage:
        with pytest.raises(Rejected, match="INVALID_FULFILLMENT_HANDLER_ERROR"):
            await stage.client.perform("fulfill", stage.order, await seen(stage), ask("shipped", "T-1"))


async def test_what_is_not_left_is_told_as_out_of_sequence() -> None:
    async with staged("vendure") as stage:
        before = await seen(stage)
        await drive(stage, ask("shipped", "T-1"))
        for step in ("fulfill", "mark_shipped"):
            with pytest.raises(OutOfSequence):
                await stage.client.perform(step, stage.order, before, ask("shipped"))
        assert effects(stage) == ["fulfill", "mark_shipped"]


async def test_an_authorized_order_waits_until_its_payment_is_settled() -> None:
    simulated = {"vendure": SandboxOptions(payment="on-delivery")}
    async with staged("vendure", simulated=simulated) as stage:
        found = await stage.client.read(stage.order)
        assert (found.state, found.payment, found.is_released) == ("PaymentAuthorized", "unpaid", True)
        assert found.content["payment"]["status"] == "authorized"
        wait = stage.machine.wait(found.order_state(), ask("shipped"))
        assert wait is not None
        assert wait.reason == "payment"
        with pytest.raises(OutOfSequence):  # which Vendure would not refuse
            await stage.client.perform("fulfill", stage.order, found.order_state(), ask("shipped"))
        stage.operate("settle", order=stage.order)
        assert (await drive(stage, ask("shipped", "T-1"))).state == "Shipped"


async def test_a_session_that_ended_is_replaced() -> None:
    async with staged("vendure") as stage:
        await stage.client.read(stage.order)
        simulated: Any = stage.sandbox.platforms["vendure"]
        shop = simulated.shop
        shop.server.do("end_sessions", username=shop.username)
        assert (await drive(stage, ask("shipped", "T-1"))).state == "Shipped"
        assert effects(stage) == ["fulfill", "mark_shipped"]


async def test_a_change_that_was_made_is_not_sent_again_with_another_session() -> None:
    """What cannot be shown of its result is no refusal of the change."""
    error = {"message": "not for you", "path": ["addFulfillmentToOrder", "method"], "extensions": {"code": "FORBIDDEN"}}
    body = {"data": {"addFulfillmentToOrder": {"id": "1"}}, "errors": [error]}
    async with staged("vendure") as stage:
        current = await seen(stage)
        stage.sandbox.faults.script_answer(200, json.dumps(body).encode(), step="fulfill")
        with pytest.raises(Transient) as unclear:
            await stage.client.perform("fulfill", stage.order, current, ask("shipped", "T-1"))
        assert unclear.value.is_ambiguous
        assert effects(stage) == []


async def test_an_order_that_cannot_be_shown_takes_no_other_with_it() -> None:
    async with staged("vendure") as stage:
        simulated: Any = stage.sandbox.platforms["vendure"]
        bad, *others = simulated.order_ids()
        simulated.shop.server.do("spoil_order", order=bad)
        pages, position = await stage.list_pages()
        assert {order for page in pages for order in page.must_read} == {bad, *others}
        assert {page.flaw for page in pages} == {None}
        assert position is not None
        assert {(await stage.client.read(order)).id for order in others} == set(others)
        with pytest.raises(Transient):
            await stage.client.read(bad)


async def test_a_session_shows_in_no_failure() -> None:
    async with staged("vendure", variant="sessions by cookie") as stage:
        client: Any = stage.client
        session = await client.fetch(None)
        cookies = [each.partition("=")[2] for each in session.headers["Cookie"].split("; ")]
        assert len(cookies) == 2
        await client.read(stage.order)
        for cookie in [each.partition("=")[2] for each in client._keeper.known.headers["Cookie"].split("; ")]:
            body = json.dumps({"errors": [{"message": f"no session {cookie}", "extensions": {"code": "OTHER"}}]})
            stage.sandbox.faults.script_answer(200, body.encode(), step="read")
            with pytest.raises(Transient) as caught:
                await client.read(stage.order)
            assert cookie not in caught.value.detail


async def test_one_login_serves_all_calls() -> None:
    async with staged("vendure") as stage:
        for _ in range(3):
            await stage.client.read(stage.order)
        await stage.snapshots()
        calls = [call.sent for call in stage.sandbox.ledger.calls() if "password" in str(call.sent)]
        assert len(calls) == 1
