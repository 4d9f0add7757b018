"""What the Selldone client sends and how it takes each answer (selldone.md §2, §3, §5.2, §6)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aiohttp import web
from yarl import URL

from orchestrator.platforms import PLATFORMS, ClientSettings
from orchestrator.platforms import selldone as selldone_module
from orchestrator.platforms.client import Seen, StepAnswer
from orchestrator.platforms.failures import (
    AccessDenied,
    NotFound,
    OutOfSequence,
    PlatformFailure,
    Rejected,
    Transient,
    Unreadable,
)
from orchestrator.platforms.selldone import SelldoneClient
from orchestrator.platforms.selldone_options import DEFAULT_SCOPES, SelldoneOptions, auth_url
from statemachines.target import TargetRequest, Tracking
from tests.platforms.selldone_shop import (
    BASE_URL,
    CENTER,
    SHOP_ID,
    STANDING,
    TOKEN,
    answering,
    sample,
    sample_json,
    selldone_client,
    serving,
)
from tests.support.aioresponses_compat import MockedHttp

ORDER = "15002"
BASKET = f"{CENTER}/baskets/{ORDER}"
NOTHING = TargetRequest("ToCustomer")
TRACKED = TargetRequest("SentOrder", tracking=Tracking("1Z827WK74630", "https://example.com/track/1Z827WK74630", "UPS"))
STEPS: dict[str, tuple[str, str, TargetRequest, str | None, str]] = {
    "confirm": (
        "POST",
        "/state",
        TargetRequest("OrderConfirm", items=("23990", {"id": "23991", "quantity": 1})),
        "state_orderconfirm_request",
        "state_orderconfirm_response",
    ),
    "confirm all": ("POST", "/state", NOTHING, "state_orderconfirm_all_request", "state_orderconfirm_response"),
    "prepare": (
        "POST",
        "/state",
        TargetRequest("PreparingOrder", delivery_info=sample_json("state_preparing_request")["delivery_info"]),
        "state_preparing_request",
        "state_preparing_response",
    ),
    "send": ("POST", "/state", NOTHING, "state_sent_request", "state_sent_response"),
    "deliver": ("POST", "/state", NOTHING, "state_tocustomer_request", "state_tocustomer_response"),
    "set_tracking": ("PUT", "/tracking", TRACKED, "tracking_request", "tracking_response_assembled"),
    "return_delivery": ("POST", "/delivery-returned", NOTHING, None, "delivery_returned_response_assembled"),
}


async def take(step: str, answer: bytes, status: int = 200, request: TargetRequest | None = None) -> StepAnswer:
    """What `perform` makes of this answer to `step`."""
    name = step.split(" ", maxsplit=1)[0]
    method, tail, usual, _, _ = STEPS[step]
    with MockedHttp() as http:
        http.add(BASKET + tail, method, status=status, body=answer)
        async with selldone_client() as client:
            return await client.perform(name, ORDER, STANDING, request or usual)


async def refusal_of(step: str, answer: bytes, status: int = 200) -> PlatformFailure:
    with pytest.raises(PlatformFailure) as caught:
        await take(step, answer, status)
    return caught.value


async def read(body: bytes, status: int = 200, order_id: str = ORDER) -> Seen:
    with MockedHttp() as http:
        http.get(BASKET, status=status, body=body)
        async with selldone_client() as client:
            return await client.read(order_id)


async def list_failure(body: bytes, status: int = 200) -> PlatformFailure:
    async with serving(answering(body, status)) as base_url, selldone_client(base_url) as client:
        with pytest.raises(PlatformFailure) as caught:
            await client.list_page(None, None)
    return caught.value


# -- what is sent ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", STEPS)
async def test_each_step_sends_its_sample_with_the_token(step: str) -> None:
    method, tail, request, sent, answer = STEPS[step]
    got: list[tuple[str, str, bytes, dict[str, str]]] = []

    async def handler(incoming: web.Request) -> web.Response:
        got.append((incoming.method, incoming.raw_path, await incoming.read(), dict(incoming.headers)))
        return web.Response(body=sample(answer), content_type="application/json")

    async with serving(handler) as base_url, selldone_client(base_url) as client:
        await client.perform(step.split(" ", maxsplit=1)[0], ORDER, STANDING, request)
    (called, path, body, headers) = got[0]
    assert len(got) == 1
    assert (called, path) == (method, f"/shops/{SHOP_ID}/process-center/baskets/{ORDER}{tail}")
    assert headers["Authorization"] == f"Bearer {TOKEN}"
    assert headers["Accept"] == "application/json"
    if sent is None:
        assert body == b""
    else:
        assert json.loads(body) == sample_json(sent)
        assert headers["Content-Type"] == "application/json"


async def test_the_list_is_asked_for_as_the_sample_shows() -> None:
    wanted = sample_json("orders_sync_request")
    got: list[str] = []

    async def handler(incoming: web.Request) -> web.Response:
        got.append(incoming.raw_path)
        return web.Response(body=b'{"orders":[],"total":0}')

    async with serving(handler) as base_url, selldone_client(base_url, page_size=250, lookback_seconds=0) as client:
        await client.list_page({"updated_at": 1_723_911_567_999}, None)
    query = [(name, value) for name, value in wanted["query"] if (name, value) != ("with[]", "products")]
    url = URL(got[0], encoded=True)
    assert url.raw_path == wanted["path"]
    pairs = list(url.query.items())
    assert [pair for pair in pairs if pair not in (("statuses[]", "Canceled"), ("with[]", "products"))] == query
    assert ("statuses[]", "Canceled") in pairs
    assert "&statuses[]=Payed&statuses[]=COD&" in got[0]


@pytest.mark.parametrize(
    ("unit", "lookback_seconds", "sent"),
    [("s", 0, "1723911565"), ("s", 120, "1723911445"), ("ms", 0, "1723911566998"), ("ms", 0.5, "1723911566498")],
)
async def test_the_next_sweep_looks_back_in_the_shops_unit(unit: str, lookback_seconds: float, sent: str) -> None:
    got: list[str] = []

    async def handler(incoming: web.Request) -> web.Response:
        got.append(incoming.query["updated_at"])
        return web.Response(body=b'{"orders":[],"total":0}')

    settings: dict[str, Any] = {"options": {"updated_at_unit": unit}, "lookback_seconds": lookback_seconds}
    async with serving(handler) as base_url, selldone_client(base_url, **settings) as client:
        page = await client.list_page({"updated_at": 1_723_911_566_999}, None)
    assert got == [sent]
    assert page.position == {"updated_at": 1_723_911_566_999}


@pytest.mark.parametrize(("page_size", "limit"), [(1, "2"), (100, "100"), (5000, "250")])
async def test_the_page_size_stays_within_what_the_list_takes(page_size: int, limit: str) -> None:
    got: list[str] = []

    async def handler(incoming: web.Request) -> web.Response:
        got.append(incoming.query["limit"])
        return web.Response(body=b'{"orders":[],"total":0}')

    async with serving(handler) as base_url, selldone_client(base_url, page_size=page_size) as client:
        await client.list_page(None, None)
    assert got == [limit]


@pytest.mark.parametrize(
    ("tracking", "body"),
    [
        (Tracking(code="1Z"), {"tracking_code": "1Z"}),
        (Tracking(url="https://t"), {"tracking_url": "https://t"}),
        (Tracking(code="", url="https://t"), {"tracking_url": "https://t"}),
    ],
)
async def test_empty_tracking_fields_are_left_out(tracking: Tracking, body: dict[str, str]) -> None:
    with MockedHttp() as http:
        http.put(f"{BASKET}/tracking", body=b'{"success":true}')
        async with selldone_client() as client:
            await client.perform("set_tracking", ORDER, STANDING, TargetRequest("SentOrder", tracking=tracking))
        (calls,) = http.requests.values()
    assert json.loads(calls[0].kwargs["data"]) == body


async def test_item_ids_leave_as_integers_however_large() -> None:
    with MockedHttp() as http:
        http.post(f"{BASKET}/state", body=sample("state_orderconfirm_response"))
        async with selldone_client() as client:
            await client.perform("confirm", ORDER, STANDING, TargetRequest("OrderConfirm", items=(str(2**63 + 1),)))
        (calls,) = http.requests.values()
    assert calls[0].kwargs["data"] == b'{"state":"OrderConfirm","list":[9223372036854775809]}'


@pytest.mark.parametrize("item", ["x", "1.5", "-1", ""])
async def test_what_is_no_item_id_is_rejected_before_anything_is_sent(item: str) -> None:
    with MockedHttp() as http:
        async with selldone_client() as client:
            with pytest.raises(Rejected, match="is no Selldone item id"):
                await client.perform("confirm", ORDER, STANDING, TargetRequest("OrderConfirm", items=(item,)))
        http.assert_not_called()


async def test_delivery_info_that_is_no_json_is_rejected_before_anything_is_sent() -> None:
    request = TargetRequest("PreparingOrder", delivery_info={"distance": float("nan"), "date": "\ud800"})
    with MockedHttp() as http:
        async with selldone_client() as client:
            with pytest.raises(Rejected, match="no JSON"):
                await client.perform("prepare", ORDER, STANDING, request)
        http.assert_not_called()


@pytest.mark.parametrize("order_id", ["abc", "", "1/../2", "1?x=1", "0", "-5", "%31"])
async def test_what_cannot_be_an_order_id_is_not_found_without_a_call(order_id: str) -> None:
    with MockedHttp() as http:
        async with selldone_client() as client:
            with pytest.raises(NotFound):
                await client.read(order_id)
            with pytest.raises(NotFound):
                await client.perform("send", order_id, STANDING, NOTHING)
        http.assert_not_called()


async def test_an_unknown_step_is_a_programming_error() -> None:
    async with selldone_client() as client:
        with pytest.raises(ValueError, match="no step 'cancel'"):
            await client.perform("cancel", ORDER, STANDING, NOTHING)


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
    assert await take("send", sample("state_repeat_response_assumed")) == StepAnswer("SentOrder")


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
    expected = AccessDenied if status == 403 else kind
    assert type(failure) is expected
    assert constant in failure.detail


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
async def test_the_sample_errors_are_told_in_the_platforms_words(
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
        (b"<h1>Forbidden</h1>", 403, AccessDenied),
        (b'{"message": ""}', 404, NotFound),
        (b"", 404, NotFound),
        (b"404: Not Found", 404, NotFound),
        (b"<html>no such page</html>", 404, Transient),
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
    seen = await read(sample("order_checkqueue"))
    assert (seen.id, seen.state, seen.payment) == (ORDER, "CheckQueue", "paid")


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
        (b"<html>Just a moment...</html>", 200, Unreadable),
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
        (b"<html>Just a moment...</html>", 200, Unreadable),
        (b'{"total": 3}', 200, Unreadable),
        (b'{"error": "TOKEN_HAS_NO_ACCESS_ERROR", "orders": []}', 200, AccessDenied),
        (b'{"error": "DATABASE_TRANSACTION_FAILED"}', 200, Transient),
        (b'{"error": "NOT_FOUND_SHOP_ERROR"}', 404, AccessDenied),
        (b'{"message": "The route could not be found."}', 404, Transient),
        (b'{"message": "bad", "errors": {"limit": ["too large"]}}', 422, Rejected),
        (b"{}", 401, AccessDenied),
    ],
)
async def test_a_list_that_fails_says_how(body: bytes, status: int, kind: type[PlatformFailure]) -> None:
    failure = await list_failure(body, status)
    assert type(failure) is kind


async def test_the_sample_list_is_read_and_cancelled_orders_are_marked() -> None:
    listed = sample_json("orders_list_response")
    body = json.dumps({"orders": [*listed["orders"], sample_json("order_canceled")], "total": 99}).encode()
    async with serving(answering(body)) as base_url, selldone_client(base_url) as client:
        page = await client.list_page(None, None)
        cursor = json.loads(json.dumps(page.next))
        assert page.position is None
        last = await client.list_page(None, cursor)
    assert [seen.id for seen in page.orders] == [str(order["id"]) for order in listed["orders"]] + ["15004"]
    assert page.skip_if_new == {"15004"}
    assert last.next is None
    assert last.position == {"updated_at": 1_724_234_400_000}


async def test_a_large_page_is_read_beside_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    threads: list[bool] = []
    original = selldone_module.read_listing

    def watched(body: bytes) -> Any:
        threads.append(threading.current_thread() is threading.main_thread())
        return original(body)

    monkeypatch.setattr(selldone_module, "read_listing", watched)
    small = sample("orders_list_response")
    order = json.dumps({**sample_json("order_checkqueue"), "meta": {"note": "x" * 300_000}}).encode()
    for body in (small, b'{"orders":[' + order + b'],"total":1}'):
        async with serving(answering(body)) as base_url, selldone_client(base_url) as client:
            page = await client.list_page(None, None)
    assert threads == [True, False]
    assert page.orders[0].payload == order


# -- doctor, config, link ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status", "findings"),
    [
        (b'{"orders":[],"total":12}', 200, [("reachable", "ok"), ("credentials", "ok"), ("clock", "warning")]),
        (b"{}", 401, [("reachable", "ok"), ("credentials", "failed")]),
        (b'{"error":"NOT_FOUND_SHOP_ERROR"}', 404, [("reachable", "ok"), ("credentials", "failed")]),
        (b"", 500, [("reachable", "failed")]),
        (b"<html>", 200, [("reachable", "failed")]),
    ],
)
async def test_doctor_gets_findings_and_no_failure(body: bytes, status: int, findings: list[tuple[str, str]]) -> None:
    handler = answering(body, status, Date="Sun, 18 Aug 2024 16:50:00 GMT")
    async with serving(handler) as base_url, selldone_client(base_url) as client:
        found = await client.check()
    assert [(finding.check, finding.status) for finding in found] == findings
    assert not any(TOKEN in finding.detail for finding in found)


async def test_doctor_says_that_nobody_is_there() -> None:
    async with selldone_client("http://127.0.0.1:1") as client:
        assert [(finding.check, finding.status) for finding in await client.check()] == [("reachable", "failed")]


async def test_the_registry_opens_the_client() -> None:
    spec = PLATFORMS["selldone"]
    options = spec.options.model_validate({"shop_id": SHOP_ID, "token": TOKEN})
    client = spec.open(ClientSettings("acme", options, spec.default_base_url))
    assert isinstance(client, SelldoneClient)
    assert spec.default_base_url == BASE_URL
    await client.aclose()


@pytest.mark.parametrize(
    "options",
    [
        {"shop_id": 1},
        {"shop_id": 0, "token": "x"},
        {"shop_id": "1", "token": "x"},
        {"shop_id": 1, "token": ""},
        {"shop_id": 1, "token": "s3cret\r\nX-Other: 1"},
        {"shop_id": 1, "token": "s3cretß"},
        {"shop_id": 1, "token": "s3cret", "updated_at_unit": "min"},
        {"shop_id": 1, "token": "s3cret", "surprise": 1},
    ],
)
def test_wrong_options_are_errors_that_show_no_token(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="SelldoneOptions") as caught:
        SelldoneOptions.model_validate(options)
    assert "s3cret" not in str(caught.value)


def test_the_link_for_a_token_names_its_scopes() -> None:
    assert auth_url() == "https://selldone.com/auth/erp?" + "&".join(f"scopes[]={scope}" for scope in DEFAULT_SCOPES)
    assert auth_url(["backoffice:shop:read"], "zh") == "https://zh.selldone.com/auth/erp?scopes[]=backoffice:shop:read"


@pytest.mark.parametrize(("scopes", "locale"), [(["a&b"], None), ([""], None), ([], "zh.evil.example/"), ([], "")])
def test_a_link_is_made_of_nothing_else(scopes: list[str], locale: str | None) -> None:
    with pytest.raises(ValueError, match="is no"):
        auth_url(scopes, locale)
