"""A name that there is not is answered with the one that was probably meant, wherever a name may stand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.api.bench import an_order, bench


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("/v1/shops/acmee", "acme"),
        ("/v1/shops/ACME", "acme"),
        ("/v1/shops/acm/orders/67890", "acme"),
        ("/v1/orders?shop=amce", "acme"),
        ("/v1/events?shop=amce", "acme"),
        ("/v1/rejected?shop=amce", "acme"),
        ("/v1/products?shop=amce", "acme"),
        ("/v1/orders?state=OrderConfrm", "OrderConfirm"),
        ("/v1/orders?state=shiped", "shipped"),
        ("/v1/orders?milestone=shiped", "shipped"),
        ("/v1/orders?situation=bloked", "blocked"),
        ("/v1/orders?situaton=blocked", "situation"),
        ("/v1/orders?include=contents", "content"),
        ("/v1/events?type=step.don", "step.done"),
        ("/v1/events?fedd=x", "feed"),
        ("/v1/machines/shopfy", "shopify"),
        ("/v1/machines/selldone?shop=amce", "acme"),
        ("/v1/machines/selldone?format=mermaids", "mermaid"),
    ],
)
async def test_a_misspelt_name_in_a_path_or_query_is_answered_with_the_right_one(path: str, meant: str) -> None:
    async with bench(an_order()) as b:
        got = await b.get(path)
        assert got.status in (404, 422)
        assert f'did you mean "{meant}"?' in got.json()["detail"]


@pytest.mark.parametrize(
    "path", ["/v1/shops/warehouse", "/v1/orders?state=x", "/v1/orders?zzz=1", "/v1/machines/amazon"]
)
async def test_a_name_that_is_like_none_is_answered_without_a_guess(path: str) -> None:
    async with bench(an_order()) as b:
        assert "did you mean" not in (await b.get(path)).json()["detail"]


@pytest.mark.parametrize(
    ("fields", "path", "meant"),
    [
        ({"trackng": {"code": "1"}}, "trackng", "tracking"),
        ({"Items": ["1"]}, "Items", "items"),
        ({"tracking": {"cod": "1"}}, "tracking.cod", "code"),
        ({"tracking": [{"code": "1", "carier": "x"}]}, "tracking[0].carier", "carrier"),
        ({"items": [{"id": "1", "quantiy": 1}]}, "items[0].quantiy", "quantity"),
        ({"parcel": {"number": "1", "lines": [{"id": "1", "qantity": 1}]}}, "parcel.lines[0].qantity", "quantity"),
        ({"despatch": {"number": "1", "date": "2026-01-01", "lines": [], "carrer": "x"}}, "despatch.carrer", "carrier"),
        ({"confirmation": "cxlm"}, "confirmation", "cxml"),
    ],
)
async def test_an_unknown_member_of_a_target_is_answered_with_the_right_one(
    fields: dict[str, Any], path: str, meant: str
) -> None:
    async with bench(an_order()) as b:
        (error,) = [each for each in (await b.submit("shipped", **fields)).json()["errors"] if each["path"] == path]
        assert error["message"].endswith(f'did you mean "{meant}"?')


async def test_a_misspelt_state_of_a_target_is_answered_with_the_right_one() -> None:
    async with bench(an_order()) as b:
        got = await b.submit("Deliverd")
        assert got.slug == "unknown-state"
        assert 'did you mean "delivered"?' in got.json()["detail"]


async def test_a_line_of_many_is_answered_like_one_target() -> None:
    lines = [
        {"shop": "amce", "order": "67890", "state": "shipped"},
        {"shop": "acme", "order": "67890", "stat": "shipped"},
        {"shop": "acme", "order": "67890", "state": "shiped"},
    ]
    async with bench(an_order()) as b:
        body = "".join(json.dumps(line) + "\n" for line in lines).encode()
        got = await b.call("POST", "/v1/targets", data=body, headers={"Content-Type": "application/x-ndjson"})
        problems = [json.loads(line)["problem"] for line in got.body.splitlines()]
        assert 'did you mean "acme"?' in problems[0]["detail"]
        assert any('did you mean "state"?' in each["message"] for each in problems[1]["errors"])
        assert 'did you mean "shipped"?' in problems[2]["detail"]


async def test_a_consumer_is_answered_with_the_one_that_was_meant() -> None:
    async with bench() as b:
        await b.emit("order.imported", shop="acme", order="1")
        await b.post("/v1/consumers/tryton/ack", {"cursor": 1})
        got = await b.post("/v1/consumers/trytom/seek", {"cursor": 0})
        assert 'did you mean "tryton"?' in got.json()["detail"]
        got = await b.post("/v1/consumers/tryton/seek", {"cursr": 0})
        assert any('did you mean "cursor"?' in each["message"] for each in got.json()["errors"])


async def test_a_very_long_name_is_not_compared() -> None:
    async with bench(an_order()) as b:
        assert "did you mean" not in (await b.submit("delivered" * 20)).json()["detail"]
