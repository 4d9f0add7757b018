"""Where Shopify's answers carry a code, it decides; words decide only where there is none that says enough."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.platforms.failures import AccessDenied, OutOfSequence, PlatformFailure, Rejected, Transient
from orchestrator.platforms.shopify.graphql import refusal_of
from orchestrator.testing.stage import staged
from statemachines.target import TargetRequest
from tests.platforms.shopify.access_stage import access_stage

CANCELLED = "Cannot cancel an order that has already been canceled"


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        (None, CANCELLED, OutOfSequence),
        ("INVALID", CANCELLED, OutOfSequence),
        ("INVALID", "Staff note is too long", Rejected),
        ("INTERNAL_ERROR", CANCELLED, Transient),
        ("NOT_FOUND", "Something went wrong", OutOfSequence),
        ("NO_REFUND_PERMISSION", f"{CANCELLED} without the permission to refund", Rejected),
        ("FULFILLMENT_ORDER_STATUS_INVALID", "No.", OutOfSequence),
        ("FULFILLMENT_ORDER_NOT_FOUND", "No.", OutOfSequence),
        ("FULFILLMENT_ORDER_INVALID_DELIVERY_METHOD", "Cannot report progress for this delivery method", Rejected),
    ],
)
@pytest.mark.parametrize("name", ["userErrors", "orderCancelUserErrors"])
def test_a_code_decides_before_the_words(
    name: str, code: str | None, message: str, kind: type[PlatformFailure]
) -> None:
    failure = refusal_of({name: [{"code": code, "field": None, "message": message}]})
    assert type(failure) is kind
    assert message in failure.detail
    if isinstance(failure, Transient):
        assert failure.is_ambiguous


async def test_the_code_of_a_refused_progress_report_is_asked_for() -> None:
    error = {"code": "FULFILLMENT_ORDER_INVALID_DELIVERY_METHOD", "message": "Cannot report progress"}
    answer = {"data": {"fulfillmentOrderReportProgress": {"fulfillmentOrder": None, "userErrors": [error]}}}
    async with staged("shopify") as stage:
        current = (await stage.client.read(stage.order)).order_state()
        stage.sandbox.faults.script_answer(200, json.dumps(answer).encode(), step="report_progress")
        with pytest.raises(Rejected):
            await stage.client.perform("report_progress", stage.order, current, TargetRequest("preparing"))


@pytest.mark.parametrize(
    ("messages", "is_taken"),
    [
        (["Address for this topic has already been taken"], True),
        (["Address for this topic has already been taken", "Address is not allowed"], False),
    ],
)
async def test_a_subscription_is_there_only_if_nothing_else_was_wrong(messages: list[str], *, is_taken: bool) -> None:
    payload: dict[str, Any] = {"userErrors": [{"field": None, "message": each} for each in messages]}
    answer = json.dumps({"data": {"webhookSubscriptionCreate": payload}}).encode()
    async with staged("shopify") as stage:
        stage.sandbox.faults.script_answer(200, answer, step="webhookSubscriptionCreate")
        if is_taken:
            assert not await stage.client.subscribe("orders/create", "https://hooks.example/a", None)  # type: ignore[attr-defined]
            return
        with pytest.raises(Rejected, match="not allowed"):
            await stage.client.subscribe("orders/create", "https://hooks.example/a", None)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("error", "description", "remedy"),
    [
        ("invalid_client", "the secret does not fit, no active refresh_token, invalid_grant", "client_secret"),
        ("invalid_grant", "no", "authorise the app for this shop anew"),
        ("invalid_request", "This request requires an active refresh_token", "authorise the app for this shop anew"),
    ],
)
async def test_the_remedy_for_refused_credentials_follows_the_code(
    tmp_path: Path, error: str, description: str, remedy: str
) -> None:
    async with access_stage(tmp_path, "refresh_token") as stage:
        body = json.dumps({"error": error, "error_description": description}).encode()
        stage.faults.script_answer(400, body, step="token")
        with pytest.raises(AccessDenied, match=remedy):
            await stage.client().read(stage.order)
