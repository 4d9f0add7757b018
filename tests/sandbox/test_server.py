"""The sandbox as a whole: control API, panel, CORS, ready config, the command's entry."""

from __future__ import annotations

import json
from collections import Counter
from io import BytesIO
from typing import Any

import aiohttp
import anyio
import pytest
from multidict import CIMultiDict

from orchestrator.sandbox.platform import Operation, Reply
from orchestrator.sandbox.server import Sandbox, SandboxSettings, ready_config, serve
from tests.sandbox.probe import probing


async def test_the_ledger_names_calls_as_the_machines_do() -> None:
    async with probing() as probe:
        await probe.list()
        await probe.read()
        await probe.walk("OrderConfirm", "PreparingOrder")
        await probe.call("PUT", f"baskets/{probe.order}/tracking", json={"tracking_code": "A"})
        await probe.walk("SentOrder")
        await probe.call("POST", f"baskets/{probe.order}/delivery-returned")
        await probe.walk("SentOrder", "ToCustomer")
        calls = probe.sandbox.ledger.calls()
        assert [call.step for call in calls] == [
            "list",
            "read",
            "confirm",
            "prepare",
            "set_tracking",
            "send",
            "return_delivery",
            "send",
            "deliver",
        ]
        assert [call.n for call in calls] == list(range(1, 10))
        assert {(call.platform, call.shop) for call in calls} == {("selldone", "12345")}
        assert [call.order for call in calls] == [None] + [probe.order] * 8
        assert probe.sandbox.ledger.repeats_after_effect() == []
        assert probe.sandbox.ledger.calls(probe.order, "set_tracking")[0].sent == {"tracking_code": "A"}
        assert all("aiohttp" in call.agent for call in calls)


async def test_the_control_api_shows_the_ledger_and_a_summary() -> None:
    async with probing() as probe:
        await probe.walk("OrderConfirm")
        await probe.read()
        _, ledger = await probe.control("GET", f"ledger?order={probe.order}&step=confirm")
        assert [(call["step"], call["status"], call["took_effect"]) for call in ledger["calls"]] == [
            ("confirm", 200, True)
        ]
        assert ledger["effects"] == ["confirm"]
        _, later = await probe.control("GET", "ledger?after=1")
        assert [call["step"] for call in later["calls"]] == ["read"]
        _, summary = await probe.control("GET", "summary")
        assert (summary["calls"], summary["effects"], summary["by_status"]) == (2, 1, {"200": 2})
        states = summary["platforms"]["selldone"]["orders_by_state"]["12345"]
        assert states == {"OrderConfirm": 1, "CheckQueue": 2}


async def test_faults_are_set_and_scripted_over_the_control_api() -> None:
    async with probing() as probe:
        assert await probe.control("POST", "faults", json={"error_before": 1}) == (200, {"error_before": 1})
        assert (await probe.state("OrderConfirm"))[0] in (500, 502)
        status, answer = await probe.control("POST", "faults", json={"nonsense": 1})
        assert status == 400
        assert "known are error_before" in answer["error"]
        assert (await probe.control("GET", "faults"))[1] == {"error_before": 1}
        await probe.control("POST", "faults", json={})
        script = {"fault": "error_after", "step": "confirm", "order": int(probe.order)}
        assert (await probe.control("POST", "faults/script", json=script))[0] == 200
        assert (await probe.state("OrderConfirm"))[0] == 500
        assert probe.sandbox.ledger.effects(probe.order) == ["confirm"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("faults", b"["),
        ("faults", b"[1]"),
        ("faults/script", b'{"fault": "stall"}'),
        ("faults/script", b'{"fault": ["x"]}'),
        ("faults/script", b'{"fault": "throttle", "times": 0}'),
        ("selldone/panel", b""),
        ("selldone/panel", b'{"action": "explode"}'),
        ("selldone/panel", b'{"action": ["x"]}'),
        ("selldone/panel", b'{"action": "move", "order": 15002}'),
        ("selldone/panel", b'{"action": "cancel", "order": 1}'),
        ("selldone/panel", b'{"action": "cancel", "order": {"a": 1}}'),
        ("selldone/panel", b'{"action": "add", "status": "Paid"}'),
        ("selldone/panel", b'{"action": "add", "shop": 7}'),
        ("selldone/panel", b'{"action": "add", "shop": "x"}'),
    ],
)
async def test_a_senseless_control_request_is_answered_400_in_words(path: str, body: bytes) -> None:
    async with probing() as probe:
        status, answer = await probe.control("POST", path, data=body)
        assert status == 400
        assert answer["error"]


async def test_the_panel_does_what_people_do() -> None:
    async with probing() as probe:

        async def act(action: str, **fields: Any) -> Any:
            status, answer = await probe.control("POST", "selldone/panel", json={"action": action, **fields})
            assert status == 200, answer
            return answer

        first, second, third = probe.sandbox.selldone.order_ids()
        assert (await act("move", order=first, state="SentOrder"))["delivery_state"] == "SentOrder"
        assert (await act("edit", order=int(first), receiver_name="John"))["order"] == first
        assert (await probe.read(first))["receiver_info"]["name"] == "John"
        assert (await act("cancel", order=second))["status"] == "Canceled"
        await act("reject", order=third, reason="PricingFault")
        assert (await probe.read(third))["reject"] == "PricingFault"
        await act("unreject", order=third)
        assert (await probe.read(third))["reject"] is None
        new = (await act("add", status="Reserved"))["order"]
        assert (await act("pay", order=new))["status"] == "Payed"
        await act("delete", order=first)
        assert (await probe.call("GET", f"baskets/{first}"))[0] == 404
        assert {str(order["id"]) for order in (await probe.list())["orders"]} == {third, new}
        await act("change_token", token="fresh")
        assert (await probe.call("GET", "baskets-PHYSICAL"))[0] == 401


async def test_the_panel_says_when_the_platform_refuses() -> None:
    async with probing() as probe:
        probe.sandbox.selldone.panel.cancel(probe.order)
        action = {"action": "reject", "order": probe.order}
        status, answer = await probe.control("POST", "selldone/panel", json=action)
        assert status == 400
        assert "ORDER_CANCELED_ERROR" in answer["error"]


async def test_an_order_moved_back_by_a_person_may_be_driven_again() -> None:
    async with probing() as probe:
        await probe.walk("OrderConfirm", "PreparingOrder", "SentOrder")
        probe.sandbox.selldone.panel.move(probe.order, "OrderConfirm")
        await probe.walk("PreparingOrder", "SentOrder")
        assert probe.sandbox.ledger.repeats_after_effect() == []


async def test_a_garbage_order_spoils_neither_the_list_nor_the_others() -> None:
    async with probing() as probe:
        bad = probe.sandbox.selldone.panel.add_garbage()
        probe.sandbox.selldone.panel.add_garbage(["no", "order"])
        orders = (await probe.list())["orders"]
        assert orders[0] == ["no", "order"]
        assert (str(orders[1]["id"]), orders[1]["status"]) == (bad, ["Payed"])
        assert len(orders) == 5


async def test_browser_pages_of_another_origin_may_call_the_platform() -> None:
    async with probing() as probe:
        asked = {
            "Origin": "https://example.com",
            "Access-Control-Request-Method": "PUT",
            "Access-Control-Request-Headers": "authorization,content-type,x-localization",
        }
        async with probe.session.options(probe.url("baskets/1/tracking"), headers=asked) as response:
            assert response.status == 204
            assert response.headers["Access-Control-Allow-Origin"] == "*"
            assert "PUT" in response.headers["Access-Control-Allow-Methods"]
            allowed = response.headers["Access-Control-Allow-Headers"].lower()
            assert all(name in allowed for name in ("authorization", "content-type", "x-localization"))
        assert probe.sandbox.ledger.calls() == []
        probe.sandbox.faults.script("error_before")
        probe.sandbox.faults.script("garbage")
        probe.sandbox.faults.script("throttle")
        for path in ("baskets-PHYSICAL", "baskets-PHYSICAL", "baskets-PHYSICAL", "nonsense"):
            async with probe.session.get(probe.url(path)) as response:
                assert response.headers["Access-Control-Allow-Origin"] == "*"


async def test_a_body_that_is_far_too_large_is_refused() -> None:
    async with probing() as probe:
        status, _ = await probe.call("POST", f"baskets/{probe.order}/state", data=BytesIO(b" " * (2**20 + 1)))
        assert status == 413


async def test_a_sandbox_comes_back_on_the_same_port_with_the_same_orders() -> None:
    async with probing() as probe:
        await probe.walk("OrderConfirm")
        sandbox, order = probe.sandbox, probe.order
        base_url = sandbox.base_url
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer sandbox-token"}) as session:
        with pytest.raises(aiohttp.ClientConnectionError):
            await session.get(probe.url("baskets-PHYSICAL"))
        async with sandbox.running(), session.get(probe.url(f"baskets/{order}")) as response:
            assert (await response.json())["delivery_state"] == "OrderConfirm"
            assert sandbox.base_url == base_url


async def test_two_steps_of_an_order_at_the_same_time_are_noted() -> None:
    async with probing() as probe, anyio.create_task_group() as group:
        await probe.walk("OrderConfirm", "PreparingOrder")
        held = probe.sandbox.faults.hold(step="send", moment="after")
        group.start_soon(probe.walk, "SentOrder")
        await held.arrived()
        await probe.read()
        await probe.state("OrderConfirm", probe.sandbox.selldone.order_ids()[1])
        assert probe.sandbox.ledger.overlapping() == []
        await probe.walk("ToCustomer")
        assert [call.step for call in probe.sandbox.ledger.overlapping()] == ["deliver"]
        held.release()


async def test_latency_delays_the_effect() -> None:
    async with probing(latency_ms=1) as probe:
        await probe.walk("OrderConfirm")
        assert (await probe.list())["total"] == 3


async def test_the_ready_config_leads_to_every_shop() -> None:
    async with probing(shops=2) as probe:
        _, config = await probe.control("GET", "config")
        assert config["storage"] == {"url": "sqlite:///fulfilld.db"}
        assert config["api"] == {"socket": "fulfilld.sock"}
        assert Counter(shop["platform"] for shop in config["shops"].values()) == dict.fromkeys(
            probe.sandbox.platforms, 2
        )
        for shop in (config["shops"]["acme"], config["shops"]["acme2"]):
            url = f"{shop['base_url']}/shops/{shop['shop_id']}/process-center/baskets-PHYSICAL"
            headers = {"Authorization": f"Bearer {shop['token']}"}
            async with probe.session.get(url, headers=headers) as response:
                assert (await response.json())["total"] == 3


def test_the_ready_config_has_what_the_documentation_names() -> None:
    assert ready_config("http://127.0.0.1:1")["shops"]["acme"] == {
        "platform": "selldone",
        "shop_id": 12345,
        "token": "sandbox-token",
        "base_url": "http://127.0.0.1:1/selldone",
        "poll": {"interval_seconds": 2},
        "limits": {"concurrency": 16, "rate_per_second": 500, "burst": 500, "window": {"calls": 0}},
        "retry": {"attempts": 8, "base_seconds": 0.2, "max_seconds": 5},
        "circuit": {"failures": 10, "cooldown_seconds": 1},
    }


async def test_serving_announces_one_line_once_the_port_answers_and_ends_when_cancelled() -> None:
    lines: list[str] = []
    bound = anyio.Event()

    def announce(line: str) -> None:
        lines.append(line)
        bound.set()

    async with anyio.create_task_group() as group:
        group.start_soon(serve, SandboxSettings(orders=2), announce)
        await bound.wait()
        (line,) = lines
        assert "\n" not in line
        base_url = json.loads(line)["shops"]["acme"]["base_url"].removesuffix("/selldone")
        async with aiohttp.ClientSession() as session, session.get(f"{base_url}/_sandbox") as response:
            assert response.status == 200
        group.cancel_scope.cancel()
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectionError):
            await session.get(f"{base_url}/_sandbox")


@pytest.mark.parametrize("settings", [{"orders": -1}, {"shops": 0}, {"latency_ms": -1}, {"faults": {"x": 1}}])
def test_senseless_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"sandbox needs|unknown fault"):
        Sandbox(SandboxSettings(**settings))


async def test_a_header_that_comes_twice_arrives_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    async with probing() as probe:
        cookies = CIMultiDict([("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("content-type", "text/plain")])
        reply = Operation("12345", None, "list", lambda: Reply(200, b"", headers=cookies))
        monkeypatch.setattr(probe.sandbox.selldone, "open", lambda _: reply)
        async with aiohttp.ClientSession() as session, session.get(f"{probe.sandbox.base_url}/selldone/x") as answer:
            assert answer.headers.getall("Set-Cookie") == ["a=1", "b=2"]
            assert answer.headers.getall("Content-Type") == ["text/plain"]
