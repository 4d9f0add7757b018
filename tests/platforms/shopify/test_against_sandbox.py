"""Shopify's own ways over real HTTP: steps of several calls, doctor, webhook subscriptions, limits of a read."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.decisions.changes import changed_pointers, less
from orchestrator.intake.subscriptions import inspect
from orchestrator.platforms.client import OrderSnapshot
from orchestrator.platforms.failures import AccessDenied, OutOfSequence, Transient
from orchestrator.platforms.shopify.client import ShopifyClient
from orchestrator.platforms.shopify.webhook_content import webhook_content
from orchestrator.platforms.shopify.webhooks import PRODUCT_TOPICS, RETURN_TOPICS, TOPICS
from orchestrator.sandbox.shopify.bodies import order_body
from orchestrator.sandbox.shopify.options import ShopifyOptions
from orchestrator.testing.stage import Stage, staged
from statemachines.target import TargetRequest, Tracking

SPREAD = 1


def client(stage: Stage) -> ShopifyClient:
    assert isinstance(stage.client, ShopifyClient)
    return stage.client


def order_at(stage: Stage, place: int) -> str:
    found: str = stage.sandbox.shopify.order_ids()[place]
    return found


async def test_each_parcel_is_one_call_and_the_next_call_ships_the_next_one() -> None:
    async with staged("shopify") as stage:
        order, request = order_at(stage, SPREAD), TargetRequest("shipped", tracking=Tracking("1Z"))
        current = (await stage.client.read(order)).order_state()
        for _ in range(2):
            answer = await stage.client.perform("fulfill", order, current, request)
            current = stage.machine.after(current, "fulfill", request, answer.state, answer.facts)
        assert current.state == "FULFILLED"
        assert stage.sandbox.ledger.effects(order) == ["fulfill", "fulfill"]
        with pytest.raises(Transient, match="nothing left to do"):  # nothing is due, so nothing can show
            await stage.client.perform("fulfill", order, current, request)
        assert stage.sandbox.ledger.effects(order) == ["fulfill", "fulfill"]


async def test_an_old_look_ships_nothing_that_was_shipped_since() -> None:
    async with staged("shopify") as stage:
        order = stage.order
        line = (await stage.client.read(order)).facts["lines"]
        request = TargetRequest("shipped", items=({"id": next(iter(line)), "quantity": 1},), tracking=Tracking("1Z"))
        old = (await stage.client.read(order)).order_state()
        for _ in range(3):
            await stage.client.perform("fulfill", order, old, request)
        assert stage.sandbox.ledger.effects(order) == ["fulfill"]


async def test_an_order_that_is_cancelled_or_on_hold_is_out_of_sequence() -> None:
    async with staged("shopify") as stage:
        held, gone = order_at(stage, 0), order_at(stage, 2)
        current = (await stage.client.read(held)).order_state()
        stage.operate("hold", order=held)
        stage.operate("cancel", order=gone)
        for order in (held, gone):
            for step in ("fulfill", "report_progress"):
                with pytest.raises(OutOfSequence):
                    await stage.client.perform(step, order, current, TargetRequest("shipped"))
        assert stage.sandbox.ledger.effects(held) == []


async def test_a_cancellation_whose_answer_was_lost_is_waited_for_though_a_second_one_is_refused() -> None:
    async with staged("shopify", simulated={"shopify": ShopifyOptions(job_seconds=0.5)}) as stage:
        current = (await stage.client.read(stage.order)).order_state()
        stage.sandbox.faults.script("drop_after", step="cancel")
        with pytest.raises(Transient) as caught:
            await stage.client.perform("cancel", stage.order, current, TargetRequest("cancelled"))
        assert caught.value.is_ambiguous
        answer = await stage.client.perform("cancel", stage.order, current, TargetRequest("cancelled"))
        assert answer.state == "CANCELLED"


async def test_a_cancellation_that_is_refused_as_another_is_under_way_for_too_long_is_ambiguous() -> None:
    options = {"cancel_wait_seconds": 0.05}
    async with staged("shopify", options=options, simulated={"shopify": ShopifyOptions(job_seconds=3600)}) as stage:
        current = (await stage.client.read(stage.order)).order_state()
        for _ in range(2):
            with pytest.raises(Transient) as caught:
                await stage.client.perform("cancel", stage.order, current, TargetRequest("cancelled"))
            assert caught.value.is_ambiguous


async def test_a_cancellation_that_takes_too_long_is_ambiguous() -> None:
    options = {"cancel_wait_seconds": 0.05}
    async with staged("shopify", options=options, simulated={"shopify": ShopifyOptions(job_seconds=3600)}) as stage:
        current = (await stage.client.read(stage.order)).order_state()
        with pytest.raises(Transient) as caught:
            await stage.client.perform("cancel", stage.order, current, TargetRequest("cancelled"))
        assert caught.value.is_ambiguous


@pytest.mark.parametrize("page", [b"<html>back soon</html>", b"[]", b"{}"])
async def test_a_page_in_place_of_an_answer_is_worth_another_try(page: bytes) -> None:
    async with staged("shopify") as stage:
        stage.sandbox.faults.script_answer(200, page, step="read")
        with pytest.raises(Transient) as caught:
            await stage.client.read(stage.order)
        assert not caught.value.is_ambiguous
        assert (await stage.client.read(stage.order)).id == stage.order


@pytest.mark.parametrize(
    ("scope", "status"),
    [
        ("read_orders", "ok"),
        ("write_fulfillments", "warning"),
        ("write_orders", "warning"),
        ("read_products", "warning"),
        ("read_returns", "warning"),
    ],
)
async def test_doctor_reports_a_missing_scope(scope: str, status: str) -> None:
    async with staged("shopify") as stage:
        stage.operate("revoke_scope", scope=scope)
        found = {finding.check: finding for finding in await stage.client.check()}
        assert found["scopes"].status == status
        assert (scope in found["scopes"].detail) is (status != "ok")


async def test_doctor_fails_without_the_scope_that_fulfilment_needs() -> None:
    async with staged("shopify") as stage:
        stage.operate("revoke_scope", scope="write_merchant_managed_fulfillment_orders")
        found = {finding.check: finding for finding in await stage.client.check()}
        assert found["scopes"].status == "failed"
        assert "write_merchant_managed_fulfillment_orders" in found["scopes"].detail


async def test_doctor_reports_a_version_and_a_domain_that_are_not_served() -> None:
    async with staged("shopify", options={"api_version": "2024-01", "domain": "other.myshopify.com"}) as stage:
        found = {finding.check: finding.status for finding in await stage.client.check()}
        assert (found["version"], found["shop"]) == ("warning", "warning")


@pytest.mark.parametrize(("status", "said"), [(401, "HTTP 401"), (404, "HTTP 404 without a message")])
async def test_doctor_says_what_to_check_when_access_is_denied(status: int, said: str) -> None:
    async with staged("shopify") as stage:
        stage.sandbox.faults.script_answer(status, b"", step="shop", times=2)  # with a fresh token, too
        found = {finding.check: finding for finding in await stage.client.check()}
        assert found["credentials"].status == "failed"
        assert found["credentials"].detail.startswith(said)
        assert "check domain, credentials and api_version" in found["credentials"].detail


@pytest.mark.parametrize("status", [402, 403, 404, 423])
async def test_a_shop_that_is_closed_to_us_pauses(status: int) -> None:
    async with staged("shopify") as stage:
        stage.sandbox.faults.script_answer(status, b'{"errors":"Unavailable Shop"}')
        with pytest.raises(AccessDenied):
            await stage.client.read(stage.order)


@pytest.mark.parametrize("is_asked_for", [True, False])
async def test_the_buyer_is_read_only_where_the_app_may(is_asked_for: bool) -> None:
    async with staged("shopify", options={"customer_data": is_asked_for}) as stage:
        payload = (await stage.client.read(stage.order)).payload
        assert (b"shippingAddress" in payload) is is_asked_for


async def test_no_answer_shows_the_token() -> None:
    async with staged("shopify") as stage:
        await stage.client.read(stage.order)
        token: Any = stage.sandbox.shopify.shop.access.live.token
        answer = b'{"errors":"bad token ' + token.encode() + b'"}'
        stage.sandbox.faults.script_answer(400, answer, step="read")
        with pytest.raises(Transient) as caught:
            await stage.client.read(stage.order)
        assert token not in caught.value.detail


async def test_money_that_went_back_is_an_edit_unless_a_cancellation_gave_it_back() -> None:
    async with staged("shopify") as stage:
        order = stage.sandbox.shopify.shop.orders[int(stage.order)]

        async def look(financial: str) -> OrderSnapshot:
            order.financial = financial
            return await stage.client.read(stage.order)

        paid = await look("PAID")
        for status in ("REFUNDED", "PARTIALLY_REFUNDED"):
            snapshot = await look(status)
            assert snapshot.content_hash != paid.content_hash
            assert changed_pointers(paid.content, snapshot.content) == ["/payment/raw", "/payment/status"]
        stage.operate("cancel", order=stage.order)
        cancelled = changed_pointers(paid.content, (await look("REFUNDED")).content)
        assert {"/cancelled", "/lines/0/quantity", "/payment/status"} <= set(cancelled)
        assert less(cancelled, (*paid.apart.cancel, "/derived")) == []  # what is computed is no change by itself


@pytest.mark.parametrize("left", [0, 1, 2])
async def test_a_webhook_shows_of_what_is_left_of_a_line_what_a_read_shows(left: int) -> None:
    async with staged("shopify") as stage:
        order = str(stage.operate("add", cart={"line_discount": "3.00", "discount": "2.01"})["order"])
        stage.operate("edit_line", order=order, quantity=left)
        body = order_body(stage.sandbox.shopify.shop.orders[int(order)], 0)
        hinted, read = webhook_content(body), (await stage.client.read(order)).content
        assert [line["discount"] for line in hinted["lines"]] == [line["discount"] for line in read["lines"]]
        assert not [each for each in changed_pointers(hinted, read) if each.startswith(("/lines", "/totals"))]


async def test_without_the_scope_for_returns_their_webhooks_are_missing_and_no_others() -> None:
    async with staged("shopify") as stage:
        stage.operate("revoke_scope", scope="read_returns")
        found = await inspect(client(stage), "https://hooks.example/webhooks/shopy")
        assert set(found.missing) == {topic for topic in RETURN_TOPICS if topic.startswith("returns/")}
        assert all("read_returns" in why for why in found.missing.values())


async def test_without_the_scope_for_products_their_webhooks_are_missing_and_no_others() -> None:
    async with staged("shopify") as stage:
        stage.operate("revoke_scope", scope="read_products")
        found = await inspect(client(stage), "https://hooks.example/webhooks/shopy")
        assert set(found.missing) == set(PRODUCT_TOPICS)
        assert all("read_products" in why for why in found.missing.values())
        assert set(found.made) == set(TOPICS) - set(PRODUCT_TOPICS)
        stage.operate("grant_scope", scope="write_products")
        client(stage).forget_refusal()  # as a resume does: else a fresh token is fetched for a scope once an hour
        assert set((await inspect(client(stage), "https://hooks.example/webhooks/shopy")).made) == set(PRODUCT_TOPICS)
