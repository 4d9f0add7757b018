"""The simulated xSale: as strict as the facts, and a judge of what a platform without rules lets pass."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from orchestrator.sandbox.platform import PanelError
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from orchestrator.sandbox.xsale.shop import CHAIN, XsaleOptions
from tests.sandbox.probe import HandClock


@dataclass(slots=True)
class Caller:
    """A bare client of the first organization: aiohttp and nothing of ours."""

    sandbox: Sandbox
    session: aiohttp.ClientSession
    time: HandClock
    headers: dict[str, str]

    @property
    def order(self) -> str:
        return self.sandbox.platforms["xsale"].order_ids()[0]

    async def call(self, method: str, path: str, **extra: Any) -> tuple[int, Any]:
        url = f"{self.sandbox.base_url}/xsale/{path}"
        async with self.session.request(method, url, **{"headers": self.headers, **extra}) as response:
            body = await response.read()
            return response.status, await response.json(content_type=None) if body else None

    async def org(self, method: str, path: str, **extra: Any) -> tuple[int, Any]:
        return await self.call(method, f"{self.sandbox.xsale.shop.organization}/{path}", **extra)

    async def log_in(self, **changes: Any) -> tuple[int, Any]:
        account = self.sandbox.xsale.shop.account
        body = {
            **account,
            "audience": "https://api.xsale.ai",
            "grant_type": "password",
            "scope": "openid profile email xsale production",
        }
        sent = {name: value for name, value in {**body, **changes}.items() if value is not None}
        return await self.call("POST", "oauth/token", json=sent, headers={})

    async def set_status(self, name: str, **extra: Any) -> int:
        body = {"StatusId": self.sandbox.xsale.shop.status_id(name)}
        return (await self.org("PUT", f"orders/{self.order}/change-status", **{"json": body, **extra}))[0]


@asynccontextmanager
async def calling(*, shops: int = 1, orders: int = 3, **options: Any) -> AsyncIterator[Caller]:
    time = HandClock()
    settings = SandboxSettings(orders=orders, shops=shops, options={"xsale": XsaleOptions(**options)})
    async with Sandbox(settings, clock=time.clock()).running() as sandbox, aiohttp.ClientSession() as session:
        caller = Caller(sandbox, session, time, {})
        status, tokens = await caller.log_in()
        assert status == 200
        caller.headers = {"Authorization": f"Bearer {tokens['access_token']}", "x-id-token": tokens["id_token"]}
        yield caller


# -- access ------------------------------------------------------------------------------------------------------------


async def test_every_call_needs_both_tokens_of_one_login() -> None:
    async with calling() as caller:
        _, other = await caller.log_in()
        good = dict(caller.headers)
        for path in ("me", f"{caller.sandbox.xsale.shop.organization}/statuses"):
            assert (await caller.call("GET", path))[0] == 200
            for bad in (
                {},
                {"Authorization": good["Authorization"]},
                {"x-id-token": good["x-id-token"]},
                {**good, "x-id-token": other["id_token"]},
                {**good, "Authorization": good["x-id-token"]},
            ):
                assert (await caller.call("GET", path, headers=bad))[0] == 401


async def test_tokens_end_after_their_life() -> None:
    async with calling(token_life_seconds=60) as caller:
        caller.time.pass_seconds(59)
        assert (await caller.org("GET", "orders"))[0] == 200
        caller.time.pass_seconds(1)
        assert (await caller.org("GET", "orders"))[0] == 401


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"password": "x"}, 403),
        ({"username": "x"}, 403),
        ({"client_secret": "x"}, 401),
        ({"audience": "x"}, 403),
        ({"grant_type": "client_credentials"}, 403),
        ({"scope": None}, 400),
        ({"password": 17}, 400),
    ],
)
async def test_a_login_with_anything_wrong_is_refused(changes: dict[str, Any], status: int) -> None:
    async with calling() as caller:
        got, answer = await caller.log_in(**changes)
        assert got == status
        assert answer.keys() == {"error", "error_description"}


async def test_logins_are_counted_without_what_they_sent_and_too_many_are_throttled() -> None:
    async with calling(logins_a_minute=3) as caller:
        assert [(await caller.log_in())[0] for _ in range(3)] == [200, 200, 429]
        logins = caller.sandbox.ledger.calls(step="login")
        assert len(logins) == 4
        assert {call.sent for call in logins} == {None}
        caller.time.pass_seconds(61)
        assert (await caller.log_in())[0] == 200


async def test_an_account_sees_its_own_organization_only() -> None:
    async with calling(shops=2) as caller:
        first, second = caller.sandbox.xsale.shops_by_key.values()
        _, me = await caller.call("GET", "me")
        assert [row["Name"] for row in me["Organizations"]] == [first.organization]
        assert (await caller.call("GET", f"{second.organization}/orders"))[0] == 404
        assert not set(first.statuses) & set(second.statuses)


# -- lists -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("style", "query"),
    [
        ("repeat", "statusidin={a}&statusidin={b}"),
        ("comma", "statusidin={a},{b}"),
        ("brackets", "statusidin[]={a}&statusidin[]={b}"),
        ("indexed", "statusidin[0]={a}&statusidin[1]={b}"),
        ("json", "statusidin=%5B{a}%2C{b}%5D"),
    ],
)
async def test_filters_are_understood_in_their_own_coding_and_no_other(style: str, query: str) -> None:
    ids = {"a": "1063", "b": "1041"}
    async with calling(array_style=style) as caller:
        caller.sandbox.xsale.panel.move(caller.order, "Wysłane")
        caller.sandbox.xsale.panel.cancel(caller.sandbox.xsale.order_ids()[1])
        status, orders = await caller.org("GET", f"orders?{query.format(**ids)}")
        assert (status, len(orders)) == (200, 2)
    for other in ("repeat", "comma", "brackets", "indexed", "json"):
        if other != style:
            async with calling(array_style=other) as caller:
                assert (await caller.org("GET", f"orders?{query.format(**ids)}"))[0] == 400


async def test_names_filter_too_and_unknown_parameters_are_refused() -> None:
    async with calling() as caller:
        assert len((await caller.org("GET", "orders?statusnamein=Nowe"))[1]) == 3
        assert (await caller.org("GET", "orders?statusnamein=nowe"))[1] == []
        for query in ("limit=1", "statusidin=Nowe", "status=1", "statusidin[x]=1"):
            assert (await caller.org("GET", f"orders?{query}"))[0] == 400


@pytest.mark.parametrize("paging", ["limit_offset", "page"])
async def test_pages_are_cut(paging: str) -> None:
    async with calling(orders=5, paging=paging, page_cap=3) as caller:
        queries = ("limit=2&offset=2", "limit=9&offset=3") if paging == "limit_offset" else ("page=2&pageSize=2",) * 2
        found = [[row["Id"] for row in (await caller.org("GET", f"orders?{query}"))[1]] for query in queries]
        ids = [int(order) for order in caller.sandbox.xsale.order_ids()]
        assert found == [ids[2:4], ids[3:5] if paging == "limit_offset" else ids[2:4]]


# -- changes -----------------------------------------------------------------------------------------------------------


async def test_any_status_is_taken_and_every_change_fires_automations() -> None:
    async with calling() as caller:
        for name in ("Wysłane", "Wysłane", "Nowe", "Opłacone"):
            assert await caller.set_status(name) == 204
        fired = [(each.status, each.is_repeat) for each in caller.sandbox.xsale.shop.automations]
        assert fired == [("Wysłane", False), ("Wysłane", True), ("Nowe", False), ("Opłacone", False)]
        assert len(caller.sandbox.ledger.effects(caller.order)) == 4
        assert len(caller.sandbox.ledger.repeats_after_effect()) == 1
        assert len(caller.sandbox.ledger.out_of_sequence()) == 4, "each of them was out of sequence"
        assert caller.sandbox.xsale.summary()["automations_repeated"] == 1


async def test_the_vendors_chain_with_its_ways_aside_is_in_sequence() -> None:
    async with calling() as caller:
        for name in (*CHAIN[1:3], "Do obsługi ręcznej", *CHAIN[3:]):
            assert await caller.set_status(name) == 204
        assert caller.sandbox.ledger.out_of_sequence() == []
        await caller.set_status("Anulowane")
        assert len(caller.sandbox.ledger.out_of_sequence()) == 1, "nothing leads on from the end"


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"1090", b'{"statusId": 1090}', b'{"StatusId": "1090"}', b'{"StatusId": 3}']
)
async def test_a_body_in_another_shape_or_an_unknown_id_is_refused_as_the_sample_shows(body: bytes) -> None:
    async with calling() as caller:
        status, answer = await caller.org("PUT", f"orders/{caller.order}/change-status", data=body)
        assert (status, answer["title"]) == (400, "One or more validation errors occurred.")
        assert caller.sandbox.xsale.shop.automations == []


async def test_without_a_single_read_there_is_no_such_address() -> None:
    async with calling(has_single_get=False) as caller:
        assert (await caller.org("GET", f"orders/{caller.order}"))[0] == 404


# -- the panel ---------------------------------------------------------------------------------------------------------


async def test_the_panel_does_what_people_do() -> None:
    async with calling() as caller:
        operate = caller.sandbox.xsale.operate
        assert operate({"action": "move", "order": caller.order, "state": "Wysłane"})["status"] == "Wysłane"
        assert operate({"action": "cancel", "order": caller.order})["status"] == "Anulowane"
        operate({"action": "edit", "order": caller.order, "receiver_name": "Jan"})
        operate({"action": "pay", "order": caller.order})
        _, order = await caller.org("GET", f"orders/{caller.order}")
        assert (order["Remarks"], order["PaymentStatus"]) == ("Odbiorca: Jan", "Opłacone")
        new = operate({"action": "add_status", "name": "Zaginęło"})["status"]
        assert operate({"action": "remake_status", "name": "Zaginęło"})["status"] != new
        operate({"action": "rename_status", "name": "Zaginęło", "to": "Znalazło się"})
        _, statuses = await caller.org("GET", "statuses")
        assert [row["Name"] for row in statuses].count("Znalazło się") == 1
        operate({"action": "delete", "order": caller.order})
        operate({"action": "expire_tokens"})
        assert (await caller.org("GET", "orders"))[0] == 401


@pytest.mark.parametrize(
    "request_",
    [
        {"action": "fly"},
        {"action": "move", "order": "1"},
        {"action": "cancel", "order": "1"},
        {"action": "rename_status", "name": "x", "to": "y"},
        {"action": "add", "shop": "none"},
    ],
)
async def test_what_the_panel_does_not_know_is_an_error(request_: dict[str, Any]) -> None:
    async with calling() as caller:
        with pytest.raises(PanelError):
            caller.sandbox.xsale.operate(request_)


async def test_the_same_seed_makes_the_same_orders() -> None:
    def shown(seed: int) -> list[str]:
        shop = Sandbox(SandboxSettings(orders=4, seed=seed)).xsale.shop
        return [shop.encode(order) for order in shop.orders.values()]

    assert shown(1) == shown(1)
    assert shown(1) != shown(2)
