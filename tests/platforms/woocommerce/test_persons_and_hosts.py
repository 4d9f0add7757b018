"""WooCommerce's client beside people and plug-ins that change an order, its numbers or what may be read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from orchestrator.platforms.failures import AccessDenied, NotFound, OutOfSequence, PlatformFailure, Rejected, Transient
from orchestrator.sandbox.woocommerce import SandboxOptions, WooCommercePlatform
from orchestrator.testing.stage import Stage, staged
from statemachines.target import TargetRequest, Tracking

PLATFORM = "woocommerce"
PARCEL = TargetRequest("shipped", tracking=Tracking("1Z  A%20B", carrier="UPS"))
BY_NOTE = {"tracking": "note"}


def beside(stage: Stage, what: str) -> list[dict[str, Any]]:
    simulated = stage.sandbox.platforms[PLATFORM]
    assert isinstance(simulated, WooCommercePlatform)
    return list(simulated.shop.beside[what, int(stage.order)])


@pytest.mark.parametrize("options", [{}, BY_NOTE], ids=["plug-in", "note"])
@pytest.mark.parametrize("action", ["cancel", "trash"])
async def test_no_number_goes_to_an_order_that_a_person_took_away(action: str, options: dict[str, str]) -> None:
    async with staged(PLATFORM, options=options) as stage:
        current = (await stage.client.read(stage.order)).order_state()
        stage.operate(action, order=stage.order)
        with pytest.raises(OutOfSequence):
            await stage.client.perform("set_tracking", stage.order, current, PARCEL)
        assert stage.sandbox.ledger.effects(stage.order) == []


async def test_a_plugin_does_not_lack_where_woocommerce_itself_is_off() -> None:
    body = b'{"code":"rest_no_route","message":"No route was found.","data":{"status":404}}'
    async with staged(PLATFORM) as stage:
        current = (await stage.client.read(stage.order)).order_state()
        stage.sandbox.faults.script_answer(404, body, step="read", times=9)
        with pytest.raises(PlatformFailure):
            await stage.client.perform("set_tracking", stage.order, current, PARCEL)


@pytest.mark.parametrize(
    ("options", "written"),
    [
        ({}, {"tracking_id": "1" * 32, "tracking_number": "1Z AB"}),
        (BY_NOTE, {"id": 7, "note": "UPS 1Z AB", "customer_note": True}),
    ],
    ids=["plug-in", "note"],
)
async def test_a_number_that_wordpress_writes_otherwise_is_taken_as_sent(
    options: dict[str, str], written: dict[str, Any]
) -> None:
    """It removes blanks and percent-encoded characters: sent again, the buyer would get it again each time."""
    async with staged(PLATFORM, options=options) as stage:
        current = (await stage.client.read(stage.order)).order_state()
        stage.sandbox.faults.script_answer(201, json.dumps(written).encode(), step="set_tracking")
        assert not (await stage.client.perform("set_tracking", stage.order, current, PARCEL)).is_found


@pytest.mark.parametrize("options", [{}, BY_NOTE], ids=["plug-in", "note"])
async def test_a_number_that_is_refused_does_not_make_the_order_gone(options: dict[str, str]) -> None:
    """Advanced Shipment Tracking says 404 to characters that it does not like, as if there were no such order."""
    body = b'{"code":"woocommerce_rest_order_invalid_id","message":"Special character not allowd in tracking number"}'
    async with staged(PLATFORM, options=options) as stage:
        current = (await stage.client.read(stage.order)).order_state()
        stage.sandbox.faults.script_answer(404, body, step="set_tracking")
        with pytest.raises(Rejected, match="Special character") as refused:
            await stage.client.perform("set_tracking", stage.order, current, PARCEL)
        assert not isinstance(refused.value, NotFound)


@pytest.mark.parametrize("options", [{}, BY_NOTE], ids=["plug-in", "note"])
async def test_a_number_is_found_however_its_blanks_are_written(options: dict[str, str]) -> None:
    async with staged(PLATFORM, options=options) as stage:
        current = (await stage.client.read(stage.order)).order_state()
        for code in ("1Z A B", "1Z  A\tB"):
            request = TargetRequest("shipped", tracking=Tracking(code))
            await stage.client.perform("set_tracking", stage.order, current, request)
        assert len(beside(stage, "notes" if options else "shipment-trackings")) == 1


async def test_an_order_that_alone_may_not_be_read_does_not_close_the_shop() -> None:
    body = b'{"code":"woocommerce_rest_cannot_view","message":"Sorry.","data":{"status":403}}'
    async with staged(PLATFORM) as stage:
        stage.sandbox.faults.script_answer(403, body, step="read")
        with pytest.raises(Transient) as refused:
            await stage.client.read(stage.order)
        assert refused.value.is_refused_read
        stage.sandbox.faults.script_answer(403, body, step="read")
        stage.sandbox.faults.script_answer(403, body, step="list")
        with pytest.raises(AccessDenied):
            await stage.client.read(stage.order)


@pytest.mark.parametrize("is_new", [True, False])
async def test_a_complaint_about_a_webhook_does_not_show_its_secret(is_new: bool) -> None:
    body = b'{"code":"rest_invalid_param","message":"Invalid: {\\"secret\\":\\"hush-1234567\\"}"}'
    async with staged(PLATFORM) as stage:
        client: Any = stage.client
        topic, address = "order.updated", "https://erp.example/a"
        await client.subscribe(topic, address, "another-1234567")
        (kept,) = await client.list_subscriptions()
        change = (client.subscribe, topic, address) if is_new else (client.update_subscription, kept)
        stage.sandbox.faults.script_answer(400, body, step="webhooks")
        with pytest.raises(PlatformFailure) as refused:
            await change[0](*change[1:], "hush-1234567")
        assert "Invalid" in refused.value.detail
        assert "hush" not in refused.value.detail


@pytest.mark.parametrize(
    ("statuses", "missing"),
    [
        ({}, []),
        ({"shipped": "sent"}, []),
        ({"preparing": "packed", "shipped": "sent"}, ["packed"]),
        ({"accepted": "received", "preparing": "wc-packed"}, ["packed", "received"]),
    ],
)
async def test_doctor_names_the_statuses_that_the_shop_has_not(statuses: dict[str, str], missing: list[str]) -> None:
    simulated = {PLATFORM: SandboxOptions(statuses=("sent",))}
    async with staged(PLATFORM, options={"statuses": statuses}, simulated=simulated) as stage:
        findings = {each.check: each for each in await stage.client.check()}
        assert findings["statuses"].status == ("failed" if missing else "ok"), findings
        assert findings["statuses"].detail.endswith(", ".join(missing) or "all of the config")
        assert findings["credentials"].status == "ok"
