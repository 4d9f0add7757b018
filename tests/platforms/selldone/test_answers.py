"""How the Selldone client takes each answer (selldone.md §5.2, §6)."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from orchestrator.platforms.client import OrderSnapshot, StepAnswer
from orchestrator.platforms.failures import (
    AccessDenied,
    Garbled,
    NotFound,
    OutOfSequence,
    PlatformFailure,
    Rejected,
    Transient,
    Unreadable,
)
from orchestrator.platforms.selldone import client as selldone_module
from orchestrator.platforms.selldone.wire import read_listing
from statemachines.target import TargetRequest
from tests.platforms.selldone.shop import (
    BASKET,
    ORDER,
    ORDER_STATE,
    STEPS,
    TOKEN,
    answering,
    sample,
    sample_json,
    selldone_client,
    serving,
)
from tests.support.aioresponses_compat import MockedHttp


async def take(step: str, answer: bytes, status: int = 200, request: TargetRequest | None = None) -> StepAnswer:
    """What `perform` makes of this answer to `step`."""
    name = step.split(" ", maxsplit=1)[0]
    method, tail, usual, _, _ = STEPS[step]
    with MockedHttp() as http:
        http.add(BASKET + tail, method, status=status, body=answer)
        async with selldone_client() as client:
            return await client.perform(name, ORDER, ORDER_STATE, request or usual)


async def refusal_of(step: str, answer: bytes, status: int = 200) -> PlatformFailure:
    with pytest.raises(PlatformFailure) as caught:
        await take(step, answer, status)
    return caught.value


async def read(body: bytes, status: int = 200, order_id: str = ORDER) -> OrderSnapshot:
    with MockedHttp() as http:
        http.get(BASKET, status=status, body=body)
        async with selldone_client() as client:
            return await client.read(order_id)


async def list_failure(body: bytes, status: int = 200) -> PlatformFailure:
    async with serving(answering(body, status)) as base_url, selldone_client(base_url) as client:
        with pytest.raises(PlatformFailure) as caught:
            await client.list_page(None, None)
    return caught.value


# -- answers that confirm ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "state"),
    [
        ("confirm", "OrderConfirm"),
        ("prepare", "PreparingOrder"),
        ("send", "SentOrder"),
        ("deliver", "ToCustomer"),
        ("set_tracking", None),
        ("return_delivery", "PreparingOrder"),
    ],
)
async def test_the_sample_answers_confirm_the_step(step: str, state: str | None) -> None:
    assert await take(step, sample(STEPS[step][4])) == StepAnswer(state)


async def test_a_repeat_that_changed_nothing_is_as_good() -> None:
    assert await take("send", sample("state_repeat_response_assumed")) == StepAnswer("SentOrder", is_found=True)


async def test_a_repeat_that_changed_nothing_did_not_take_what_the_call_carried() -> None:
    answer = b'{"delivery_state":"OrderConfirm","updated":0,"changed":false,"items":[]}'
    assert (await take("confirm", answer, request=TargetRequest("accepted"))).is_found
    with pytest.raises(OutOfSequence, match="OrderConfirm already"):
        await take("confirm", answer, request=TargetRequest("accepted", items=("23990",)))


@pytest.mark.parametrize("state", ["PreparingOrder", "OrderConfirm", "Returned", "SomethingNew"])
async def test_what_delivery_returned_answers_is_taken_as_it_is(state: str) -> None:
    answer = json.dumps({"delivery_state": state, "changed": True}).encode()
    assert await take("return_delivery", answer) == StepAnswer(state)


@pytest.mark.parametrize(
    ("step", "answer"),
    [
        ("send", b'{"delivery_state":"PreparingOrder","changed":false}'),
        ("prepare", b'{"delivery_state":"SentOrder","changed":false}'),
        ("return_delivery", b'{"delivery_state":"SentOrder","changed":false}'),
        ("return_delivery", b'{"delivery_state":"ToCustomer","changed":false}'),
        ("set_tracking", b'{"success":false}'),
    ],
)
async def test_another_state_than_asked_for_is_out_of_sequence(step: str, answer: bytes) -> None:
    assert isinstance(await refusal_of(step, answer), OutOfSequence)


# -- answers that refuse -----------------------------------------------------------------------------------------------


def refused(constant: str, place: str = "error") -> bytes:
    return json.dumps({"error": True, place: constant, "error_msg": "Es geht nicht."} | {place: constant}).encode()


@pytest.mark.parametrize("status", [200, 400, 403, 404, 409, 422])
@pytest.mark.parametrize(
    ("constant", "kind"),
    [
        ("CAN_NOT_APPLY_CHANGE_ERROR", OutOfSequence),
        ("ORDER_CANCELED_ERROR", OutOfSequence),
        ("ORDER_NOT_DELIVERED_NOT_CONFIRMED_ERROR", OutOfSequence),
        ("TOKEN_HAS_NO_ACCESS_ERROR", AccessDenied),
        ("NOT_FOUND_SHOP_ERROR", AccessDenied),
        ("NOT_FOUNT_BASKET_ERROR", NotFound),
        ("NOT_FOUNT_BASKET_ITEM_ERROR", Rejected),
        ("DATABASE_TRANSACTION_FAILED", Transient),
        ("ORDER_ON_REJECT_PERIOD_ERROR", Transient),
    ],
)
async def test_a_constant_decides_before_the_status(constant: str, kind: type[PlatformFailure], status: int) -> None:
    failure = await refusal_of("send", refused(constant), status)
    assert type(failure) is kind
    assert constant in failure.detail


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ({"error": "ORDER_CANCELED_ERROR", "error_msg": "TOKEN_HAS_NO_ACCESS_ERROR"}, OutOfSequence),
        ({"error": True, "code": "ORDER_CANCELED_ERROR", "message": "NOT_FOUNT_BASKET_ERROR"}, OutOfSequence),
        ({"error": True, "error_msg": "The tracking code NOT_FOUND_SHOP_ERROR is not known."}, OutOfSequence),
        ({"error": "NOT_FOUNT_BASKET_ERROR", "message": "ORDER_CANCELED_ERROR"}, NotFound),
    ],
)
async def test_a_code_decides_before_a_text(answer: dict[str, Any], kind: type[PlatformFailure]) -> None:
    assert type(await refusal_of("send", json.dumps(answer).encode())) is kind


@pytest.mark.parametrize("place", ["error", "code", "error_msg", "message"])
async def test_a_constant_is_found_wherever_it_stands(place: str) -> None:
    failure = await refusal_of("send", json.dumps({"error": True, place: "NOT_FOUNT_BASKET_ERROR"}).encode())
    assert isinstance(failure, NotFound)


async def test_a_reject_countdown_is_a_wait_and_nothing_ambiguous() -> None:
    failure = await refusal_of("send", refused("ORDER_ON_REJECT_PERIOD_ERROR"))
    assert isinstance(failure, Transient)
    assert not failure.is_ambiguous
    assert failure.wait is not None
    assert (failure.wait.reason, failure.wait.until_ms) == ("platform", None)


async def test_a_failed_transaction_is_ambiguous() -> None:
    failure = await refusal_of("send", refused("DATABASE_TRANSACTION_FAILED"))
    assert isinstance(failure, Transient)
    assert failure.is_ambiguous


@pytest.mark.parametrize(
    ("name", "status", "kind", "words"),
    [
        ("error_business_http200", 200, OutOfSequence, "CAN_NOT_APPLY_CHANGE_ERROR – The requested changes"),
        ("error_business_http200_bool", 200, OutOfSequence, "The requested changes cannot be applied."),
        ("error_token_403", 403, AccessDenied, "TOKEN_HAS_NO_ACCESS_ERROR"),
        ("error_unauthenticated_401_assumed", 401, AccessDenied, "Unauthenticated."),
        ("error_validation_422_assumed", 422, Rejected, "The tracking url format is invalid."),
    ],
)
@pytest.mark.parametrize("step", ["send", "set_tracking"])
async def test_the_sample_errors_are_reported_in_the_platforms_words(
    step: str, name: str, status: int, kind: type[PlatformFailure], words: str
) -> None:
    failure = await refusal_of(step, sample(name), status)
    assert type(failure) is kind
    assert words in failure.detail


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (b'{"error": "SOMETHING_NEW_ERROR"}', 200, OutOfSequence),
        (b'{"error": "geht nicht"}', 200, OutOfSequence),
        (b'{"error": {"code": 1}}', 200, OutOfSequence),
        (b'{"error": 1, "code": 422}', 400, OutOfSequence),
        (b'{"message": ""}', 404, NotFound),
        (b"", 405, OutOfSequence),
        (b"[]", 409, OutOfSequence),
    ],
)
async def test_an_unknown_refusal_is_judged_by_its_status(
    body: bytes, status: int, kind: type[PlatformFailure]
) -> None:
    failure = await refusal_of("send", body, status)
    assert type(failure) is kind
    assert not (isinstance(failure, Transient) and failure.is_ambiguous)


@pytest.mark.parametrize("step", ["confirm", "send", "set_tracking", "return_delivery"])
@pytest.mark.parametrize(
    "body", [b"", b"<html>Just a moment...</html>", b'{"delivery_sta', b"[]", b"{}", b"null", b'{"x":1}']
)
async def test_an_answer_that_makes_no_sense_after_an_effect_is_ambiguous(step: str, body: bytes) -> None:
    failure = await refusal_of(step, body)
    assert isinstance(failure, Transient)
    assert failure.is_ambiguous


async def test_the_token_shows_in_no_failure() -> None:
    failure = await refusal_of("send", json.dumps({"error": f"bad token {TOKEN}"}).encode())
    assert TOKEN not in failure.detail
    assert TOKEN not in repr(failure)


# -- reads -------------------------------------------------------------------------------------------------------------


async def test_an_order_is_read() -> None:
    snapshot = await read(sample("order_checkqueue"))
    assert (snapshot.id, snapshot.state, snapshot.payment) == (ORDER, "CheckQueue", "paid")


async def test_another_order_than_asked_for_is_unreadable() -> None:
    with pytest.raises(Unreadable, match="order 15003 was answered when 15002 was asked for"):
        await read(sample("order_guest_cod"))


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (b'{"error": "NOT_FOUNT_BASKET_ERROR"}', 404, NotFound),
        (b'{"error": "NOT_FOUNT_BASKET_ERROR"}', 200, NotFound),
        (b'{"error": "NOT_FOUND_SHOP_ERROR"}', 404, AccessDenied),
        (b'{"error": true, "error_msg": "?"}', 200, Transient),
        (b'{"error": "CAN_NOT_APPLY_CHANGE_ERROR"}', 200, Transient),
        (b"{}", 400, Transient),
        (b"<html>Just a moment...</html>", 200, Garbled),
        (b'{"basket": {"id": 15002}}', 200, Unreadable),
    ],
)
async def test_a_read_that_fails_is_never_ambiguous(body: bytes, status: int, kind: type[PlatformFailure]) -> None:
    with pytest.raises(PlatformFailure) as caught:
        await read(body, status)
    assert type(caught.value) is kind
    assert not getattr(caught.value, "is_ambiguous", False)


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (b"<html>Just a moment...</html>", 200, Garbled),
        (b'{"total": 3}', 200, Unreadable),
        (b'{"error": "TOKEN_HAS_NO_ACCESS_ERROR", "orders": []}', 200, AccessDenied),
        (b'{"error": "DATABASE_TRANSACTION_FAILED"}', 200, Transient),
        (b'{"error": "NOT_FOUND_SHOP_ERROR"}', 404, AccessDenied),
        (b'{"message": "The route could not be found."}', 404, Transient),
        (b'{"message": "bad", "errors": {"limit": ["too large"]}}', 422, Transient),
        (b"{}", 401, AccessDenied),
    ],
)
async def test_a_list_that_fails_says_how(body: bytes, status: int, kind: type[PlatformFailure]) -> None:
    failure = await list_failure(body, status)
    assert type(failure) is kind


async def test_the_sample_list_is_read_and_cancelled_orders_are_marked() -> None:
    listed = sample_json("orders_list_response")
    body = json.dumps({"orders": [*listed["orders"], sample_json("order_canceled")], "total": 3}).encode()
    async with serving(answering(body)) as base_url, selldone_client(base_url) as client:
        page = await client.list_page(None, None)
    assert [snapshot.id for snapshot in page.orders] == [str(order["id"]) for order in listed["orders"]] + ["15004"]
    assert page.skip_if_new == {"15004"}
    assert page.next is None
    assert page.position == {"updated_at": 1_724_000_000_000}, "not beyond our clock"


async def test_a_large_page_is_read_beside_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[bool] = []

    def watched(body: bytes) -> Any:
        threads.append(threading.current_thread() is threading.main_thread())
        return read_listing(body)

    monkeypatch.setattr(selldone_module, "read_listing", watched)
    small = sample("orders_list_response")
    order = json.dumps({**sample_json("order_checkqueue"), "meta": {"note": "x" * 300_000}}).encode()
    for body in (small, b'{"orders":[' + order + b'],"total":1}'):
        async with serving(answering(body)) as base_url, selldone_client(base_url) as client:
            page = await client.list_page(None, None)
    assert threads == [True, False]
    assert page.orders[0].payload == order
