"""Cancelling on Selldone: an express rejection with one of its ten reasons, which only a read confirms."""

from __future__ import annotations

from typing import get_args

import pytest
from aiohttp import web

from orchestrator.platforms.failures import OutOfSequence, Rejected, Transient
from orchestrator.platforms.selldone.rejection import RejectReason, reject_reason
from orchestrator.sandbox.selldone.shop import REJECT_REASONS, SelldoneOptions
from orchestrator.testing.stage import Stage, staged
from statemachines.target import TargetRequest
from tests.platforms.selldone.shop import ORDER, ORDER_STATE, selldone_client, serving


async def cancel(stage: Stage, reason: str | None = None) -> str | None:
    current = (await stage.client.read(stage.order)).order_state()
    return (await stage.client.perform("cancel", stage.order, current, TargetRequest("cancelled", reason=reason))).state


async def sent(stage: Stage) -> list[object]:
    return [call.sent for call in stage.sandbox.ledger.calls() if call.step == "cancel"]


def test_every_reason_of_the_platform_can_be_given() -> None:
    assert set(get_args(RejectReason)) == REJECT_REASONS
    assert all(reject_reason(reason, "SystemFault") == reason for reason in REJECT_REASONS - {"SystemFault"})


@pytest.mark.parametrize(
    ("reason", "wanted"),
    [
        ("LackOfInventory", "LackOfInventory"),
        ("lack of inventory", "LackOfInventory"),
        (" LACK_OF_INVENTORY ", "LackOfInventory"),
        ("inventory", "LackOfInventory"),
        ("FRAUD", "PaymentFraud"),
        ("cant-accept-cod", "CantAcceptCOD"),
        ("the customer called", "PricingFault"),
        ("", "PricingFault"),
        (None, "PricingFault"),
    ],
)
async def test_a_reason_that_selldone_has_is_sent_and_the_configured_one_for_any_other(
    reason: str | None, wanted: str
) -> None:
    async with staged("selldone", options={"reject_reason": "PricingFault"}) as stage:
        await cancel(stage, reason)
        assert await sent(stage) == [{"reject": wanted, "express": True}]
        snapshot = await stage.client.read(stage.order)
        assert stage.machine.observe(None, snapshot.order_state()) == "Canceled"
        assert snapshot.facts["reject"] == wanted


async def test_a_rejection_that_cancels_later_is_no_cancellation_yet() -> None:
    simulated = {"selldone": SelldoneOptions(express_cancels=False)}
    async with staged("selldone", simulated=simulated) as stage:
        with pytest.raises(Transient) as caught:
            await cancel(stage)
        assert caught.value.is_ambiguous
        shown = (await stage.client.read(stage.order)).order_state()
        assert stage.machine.is_done("cancel", shown, shown, TargetRequest("cancelled")) is False
        assert stage.machine.wait(shown, TargetRequest("cancelled")) is not None, "until the countdown has ended"


async def test_an_order_that_is_cancelled_already_is_out_of_sequence() -> None:
    async with staged("selldone") as stage:
        stage.operate("cancel", order=stage.order)
        with pytest.raises(OutOfSequence):
            await cancel(stage)


async def test_an_order_that_has_arrived_is_not_cancelled() -> None:
    async with staged("selldone") as stage:
        stage.sandbox.selldone.panel.move(stage.order, "ToCustomer")
        with pytest.raises(OutOfSequence):
            await cancel(stage)


async def test_an_answer_without_success_is_checked_by_a_read() -> None:
    async def handler(incoming: web.Request) -> web.Response:
        return web.json_response({"success": False, "reject": None, "reject_at": None})

    async with serving(handler) as base_url, selldone_client(base_url) as client:
        with pytest.raises(OutOfSequence):
            await client.perform("cancel", ORDER, ORDER_STATE, TargetRequest("cancelled"))


@pytest.mark.parametrize("fault", ["error_before", "drop_after", "garbage"])
async def test_a_read_that_fails_after_the_rejection_leaves_its_effect_open(fault: str) -> None:
    async with staged("selldone") as stage:
        current = (await stage.client.read(stage.order)).order_state()
        stage.sandbox.faults.script(fault, step="read")
        with pytest.raises(Transient) as caught:
            await stage.client.perform("cancel", stage.order, current, TargetRequest("cancelled"))
        assert caught.value.is_ambiguous
        assert not isinstance(caught.value, Rejected)
