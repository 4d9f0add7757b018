"""The simulated CloudSuite is as strict, and as careless, as the facts say."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from orchestrator.sandbox.cloudsuite.orders import CloudsuiteOrder
from orchestrator.sandbox.cloudsuite.platform import TOKEN_PATH
from orchestrator.sandbox.cloudsuite.shop import CloudsuiteOptions
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from tests.sandbox.probe import HandClock

SAMPLES = Path(__file__).parents[2] / "samples" / "cloudsuite"


def sample(name: str) -> Any:
    return json.loads((SAMPLES / f"{name}.json").read_text())


@dataclass(slots=True)
class Probe:
    """A bare client of the simulated CloudSuite: aiohttp and nothing of ours."""

    sandbox: Sandbox
    session: aiohttp.ClientSession
    time: HandClock
    token: str = ""

    @property
    def order(self) -> CloudsuiteOrder:
        first: CloudsuiteOrder = next(iter(self.sandbox.cloudsuite.shop.orders.values()))
        return first

    async def call(self, method: str, path: str, **extra: Any) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self.token}"}
        url = f"{self.sandbox.base_url}/cloudsuite{path}"
        async with self.session.request(method, url, headers=headers, **extra) as response:
            text = await response.text()
            return response.status, json.loads(text) if text.startswith(("{", "[")) else text

    async def log_in(self, **form: str) -> tuple[int, Any]:
        asked = {**sample("token_request_form")["form"], "client_id": "api-1", "client_secret": "sandbox-password"}
        status, answer = await self.call("POST", TOKEN_PATH, data={**asked, **form})
        self.token = answer.get("access_token", "")
        return status, answer

    async def patch(self, name: str) -> tuple[int, Any]:
        return await self.call("PATCH", f"/api/order/{self.order.id}/", json=sample(name))


@asynccontextmanager
async def probing(orders: int = 3, **options: Any) -> AsyncIterator[Probe]:
    time = HandClock()
    settings = SandboxSettings(orders=orders, options={"cloudsuite": CloudsuiteOptions(**options)})
    sandbox = Sandbox(settings, clock=time.clock())
    async with sandbox.running(), aiohttp.ClientSession() as session:
        probe = Probe(sandbox, session, time)
        await probe.log_in()
        yield probe


def slip(number: str, item: int, order_number: str = "ERP-124578", quantity: str = "1.0000") -> bytes:
    return (
        f"<Desadv><DesadvHeader><DesadvNumber>{number}</DesadvNumber><DesadvDate>2026-06-30</DesadvDate>"
        "<PlannedDeliveryDate>2026-07-01</PlannedDeliveryDate><TransportDetails><TransportModeCode/>"
        "<MeansOfTransport><Identification/></MeansOfTransport></TransportDetails></DesadvHeader><DesadvDetail>"
        f"<Packaging><LineItems><Item><OrderNum>{order_number}</OrderNum><ItemNum>{item}</ItemNum>"
        f"<SellerItemID>X</SellerItemID><QuantityValue>{quantity}</QuantityValue></Item></LineItems></Packaging>"
        "</DesadvDetail></Desadv>"
    ).encode()


async def test_a_token_ends_when_it_said_it_would() -> None:
    async with probing(token_seconds=60) as probe:
        assert (await probe.call("GET", "/api/order/"))[0] == 200
        probe.time.pass_seconds(61)
        status, answer = await probe.call("GET", "/api/order/")
        assert status == 401
        assert "detail" in answer


async def test_wrong_credentials_are_refused_as_keycloak_does() -> None:
    async with probing() as probe:
        assert await probe.log_in(client_secret="wrong") == (401, sample("error_token_assumed"))
        assert (await probe.log_in(scope="email"))[0] == 400


async def test_summaries_have_the_documented_fields_and_no_lines() -> None:
    async with probing() as probe:
        _, page = await probe.call("GET", "/api/order/?state=confirmed&limit=2")
        assert [set(row) for row in page["results"]] == [set(sample("orders_list_response")["results"][0])] * 2
        assert page["count"] == 3


async def test_next_names_another_host_and_keeps_the_query() -> None:
    async with probing() as probe:
        _, page = await probe.call("GET", "/api/order/?state=confirmed&limit=2")
        assert page["next"] == "https://test.cloudsuite.io/api/order/?state=confirmed&limit=2&offset=2"
        _, last = await probe.call("GET", page["next"].removeprefix("https://test.cloudsuite.io"))
        assert (len(last["results"]), last["next"]) == (1, None)


async def test_dates_are_local_and_name_no_zone() -> None:
    async with probing() as probe:
        _, order = await probe.call("GET", f"/api/order/{probe.order.id}/")
        assert order["modified_date"][19:20] == "."
        assert not order["modified_date"].endswith("Z")


async def test_a_detail_has_every_documented_field() -> None:
    async with probing() as probe:
        _, order = await probe.call("GET", f"/api/order/{probe.order.id}/")
        assert set(sample("order_confirmed_paid_assembled")) <= set(order)
        assert set(sample("order_confirmed_paid_assembled")["order_lines"][0]) <= set(order["order_lines"][0])


async def test_any_jump_is_taken_and_noted_as_out_of_sequence() -> None:
    async with probing() as probe:
        status, answer = await probe.patch("patch_state_done_request")
        assert (status, answer["state"]) == (200, "done")
        (call,) = probe.sandbox.ledger.out_of_sequence()
        assert call.step == "finish"


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("patch_state_processing_request", "process"),
        ("patch_erp_number_request", "set_erp_number"),
        ("patch_state_cancel_request", "cancel"),
    ],
)
async def test_a_patch_changes_its_fields_and_repeats_without_effect(name: str, step: str) -> None:
    async with probing() as probe:
        for _ in range(2):
            status, answer = await probe.patch(name)
            assert status == 200
            assert sample(name).items() <= answer.items()
        assert probe.sandbox.ledger.effects(str(probe.order.id)) == [step]
        assert len(probe.sandbox.ledger.repeats_after_effect()) == 1


async def test_a_state_that_is_none_is_refused_by_its_field() -> None:
    async with probing() as probe:
        assert await probe.call("PATCH", f"/api/order/{probe.order.id}/", json={"state": "shipped"}) == (
            400,
            sample("error_field_assumed"),
        )


async def test_the_guides_own_put_loses_what_it_leaves_out_and_moves_the_order_back() -> None:
    async with probing() as probe:
        await probe.patch("patch_state_processing_request")
        body = sample("put_order_lines_request")
        status, _ = await probe.call("PUT", f"/api/order/{probe.order.id}/", json=body)
        assert status == 200
        assert probe.order.state == "confirmed"
        assert {"payment_status", "cost_center", "order_lines.unit_price"} <= set(probe.order.lost)
        assert [call.step for call in probe.sandbox.ledger.out_of_sequence()] == ["set_erp_lines"]


async def test_a_put_of_the_whole_order_loses_nothing() -> None:
    async with probing() as probe:
        await probe.patch("patch_state_processing_request")
        _, order = await probe.call("GET", f"/api/order/{probe.order.id}/")
        for line in order["order_lines"]:
            line["erp_line_number"] = line["id"]
        await probe.call("PUT", f"/api/order/{probe.order.id}/", json=order)
        assert (probe.order.lost, probe.order.state) == ([], "processing")
        assert probe.sandbox.ledger.out_of_sequence() == []


async def test_a_despatch_needs_line_numbers_and_a_number_that_nobody_used() -> None:
    async with probing() as probe:
        url = "/proxy/des_adv_xml/delivery/?shop=1&user=10"
        await probe.patch("patch_erp_number_request")
        status, answer = await probe.call("POST", url, data=slip("A", 10))
        assert status == 400
        assert "ItemNum" in answer
        probe.order.lines[0]["erp_line_number"] = 10
        assert (await probe.call("POST", url, data=slip("A", 10)))[0] == 200
        status, answer = await probe.call("POST", url, data=slip("A", 10))
        assert status == 400
        assert "already exists" in answer
        assert (await probe.call("POST", url, data=slip("B", 10)))[0] == 200
        assert probe.sandbox.ledger.effects(str(probe.order.id)).count("send_despatch") == 2


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<Desadv/>",
        slip("", 10),
        slip("A", 10, quantity="1.00001"),
        slip("A", 10).replace(b"<TransportModeCode/>", b""),
        b'<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/hostname">]><Desadv>&x;</Desadv>',
    ],
)
async def test_a_despatch_that_is_not_as_documented_is_refused(body: bytes) -> None:
    async with probing() as probe:
        await probe.patch("patch_erp_number_request")
        probe.order.lines[0]["erp_line_number"] = 10
        assert (await probe.call("POST", "/proxy/des_adv_xml/delivery/?shop=1&user=10", data=body))[0] == 400
        assert probe.sandbox.cloudsuite.shop.slips == {}


async def test_the_proxy_wants_the_values_that_the_customer_was_given() -> None:
    async with probing() as probe:
        for query in ("", "?shop=1", "?shop=2&user=10", "?shop=1&user=11"):
            assert (await probe.call("POST", f"/proxy/des_adv_xml/delivery/{query}", data=slip("A", 1)))[0] == 403


async def test_paths_end_with_a_slash() -> None:
    async with probing() as probe:
        assert (await probe.call("GET", f"/api/order/{probe.order.id}"))[0] in (404, 405)


@pytest.mark.parametrize("action", ["nonsense", "move", "delete"])
async def test_the_panel_says_what_it_does_not_know(action: str) -> None:
    async with probing() as probe:
        url = f"{probe.sandbox.base_url}/_sandbox/cloudsuite/panel"
        async with probe.session.post(url, json={"action": action}) as response:
            assert response.status == 400
