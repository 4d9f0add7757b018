"""What the Selldone client sends, and what surrounds it: options, registry, doctor (selldone.md §1, §2, §3)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aiohttp import web
from yarl import URL

from orchestrator.platforms.failures import (
    NotFound,
    Rejected,
)
from orchestrator.platforms.platform import ClientSettings
from orchestrator.platforms.selldone.client import SelldoneClient
from orchestrator.platforms.selldone.options import DEFAULT_SCOPES, SelldoneOptions, auth_url
from orchestrator.registry import PLATFORMS
from statemachines.target import TargetRequest, Tracking
from tests.platforms.selldone.shop import (
    BASE_URL,
    BASKET,
    NOTHING,
    ORDER,
    ORDER_STATE,
    SHOP_ID,
    STEPS,
    TOKEN,
    answering,
    sample,
    sample_json,
    selldone_client,
    serving,
)
from tests.support.aioresponses_compat import MockedHttp

# -- what is sent ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", STEPS)
async def test_each_step_sends_its_sample_with_the_token(step: str) -> None:
    method, tail, request, sent, answer = STEPS[step]
    got: list[tuple[str, str, bytes, dict[str, str]]] = []

    async def handler(incoming: web.Request) -> web.Response:
        got.append((incoming.method, incoming.raw_path, await incoming.read(), dict(incoming.headers)))
        return web.Response(body=sample(answer), content_type="application/json")

    async with serving(handler) as base_url, selldone_client(base_url) as client:
        await client.perform(step.split(" ", maxsplit=1)[0], ORDER, ORDER_STATE, request)
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
async def test_the_next_sync_looks_back_in_the_shops_unit(unit: str, lookback_seconds: float, sent: str) -> None:
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
            await client.perform("set_tracking", ORDER, ORDER_STATE, TargetRequest("SentOrder", tracking=tracking))
        (calls,) = http.requests.values()
    assert json.loads(calls[0].kwargs["data"]) == body


async def test_item_ids_leave_as_integers_however_large() -> None:
    with MockedHttp() as http:
        http.post(f"{BASKET}/state", body=sample("state_orderconfirm_response"))
        async with selldone_client() as client:
            await client.perform("confirm", ORDER, ORDER_STATE, TargetRequest("OrderConfirm", items=(str(2**63 + 1),)))
        (calls,) = http.requests.values()
    assert calls[0].kwargs["data"] == b'{"state":"OrderConfirm","list":[9223372036854775809]}'


@pytest.mark.parametrize("item", ["x", "1.5", "-1", ""])
async def test_what_is_no_item_id_is_rejected_before_anything_is_sent(item: str) -> None:
    with MockedHttp() as http:
        async with selldone_client() as client:
            with pytest.raises(Rejected, match="is not a Selldone item id"):
                await client.perform("confirm", ORDER, ORDER_STATE, TargetRequest("OrderConfirm", items=(item,)))
        assert not http.requests


async def test_delivery_info_that_is_no_json_is_rejected_before_anything_is_sent() -> None:
    request = TargetRequest("PreparingOrder", delivery_info={"distance": float("nan"), "date": "\ud800"})
    with MockedHttp() as http:
        async with selldone_client() as client:
            with pytest.raises(Rejected, match="not JSON"):
                await client.perform("prepare", ORDER, ORDER_STATE, request)
        assert not http.requests


@pytest.mark.parametrize("order_id", ["abc", "", "1/../2", "1?x=1", "0", "-5", "%31"])
async def test_what_cannot_be_an_order_id_is_not_found_without_a_call(order_id: str) -> None:
    with MockedHttp() as http:
        async with selldone_client() as client:
            with pytest.raises(NotFound):
                await client.read(order_id)
            with pytest.raises(NotFound):
                await client.perform("send", order_id, ORDER_STATE, NOTHING)
        assert not http.requests


async def test_an_unknown_step_is_a_programming_error() -> None:
    async with selldone_client() as client:
        with pytest.raises(ValueError, match="no step 'fulfill'"):
            await client.perform("fulfill", ORDER, ORDER_STATE, NOTHING)


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
    client = spec.open(ClientSettings("acme", options, BASE_URL))
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
