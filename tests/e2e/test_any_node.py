"""Two daemons on one database: whatever one of them is asked, the other one's shops included, both answer."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest

from orchestrator.sandbox.server import Sandbox, SandboxSettings
from orchestrator.testing import postgres
from tests.push.erp import SECRET, running_erp
from tests.support.ports import free_port
from tests.support.process import DaemonProcess, daemon_process

pytestmark = pytest.mark.e2e

TOKEN = "a-token-of-both-daemons"


def listens(daemon: DaemonProcess, **sections: Mapping[str, Any]) -> str:
    """Adds a TCP listener and further sections to a daemon's config; answers its origin."""
    port, path = free_port(), daemon.folder / "config.json"
    config = json.loads(path.read_text())
    config |= sections
    config["api"] = {**config.get("api", {}), "tcp": {"port": port, "token": TOKEN}}
    path.write_text(json.dumps(config))
    return f"http://127.0.0.1:{port}"


@asynccontextmanager
async def two(
    folder: Path, sandbox: Sandbox, lease_seconds: int = 60, **sections: Mapping[str, Any]
) -> AsyncIterator[tuple[str, list[DaemonProcess], list[str]]]:
    """A shop, the daemon that works for it and the other one, and their origins. `sections`: of both configs. No lease
    ends by itself unless a test says so, however loaded the machine is."""
    url = postgres.server().store()
    (folder / "one").mkdir()
    (folder / "two").mkdir()
    async with sandbox.running(), daemon_process(folder / "one") as one, daemon_process(folder / "two") as other:
        origins = []
        for daemon in (one, other):
            daemon.storage = {"url": url, "lease_seconds": lease_seconds}
            shop = daemon.configure(sandbox)
            origins.append(listens(daemon, **sections))
            daemon.start()
            await daemon.ready()
        yield shop, [one, other], origins
        for daemon in (one, other):
            assert not daemon.is_running or await daemon.terminate() == 0
    postgres.server().forget()


async def asked(
    origin: str, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
) -> tuple[int, Any, aiohttp.ClientResponse]:
    async with (
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
        session.request(method, origin + path, json=body, headers={"Origin": origin, **(headers or {})}) as response,
    ):
        return response.status, await response.json(content_type=None), response


async def test_whatever_a_daemon_is_asked_it_answers_though_another_one_has_the_shop(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=3))
    async with two(tmp_path, sandbox) as (shop, (holder, other), _):
        first, second, third = sandbox.selldone.order_ids()
        assert (await other.call("POST", f"/v1/shops/{shop}/sync?wait=50"))[0] == 200
        newest = (await other.call("GET", "/v1/status"))[1]["totals"]["events_last_cursor"]
        async with anyio.create_task_group() as group:

            async def poll() -> None:
                status, page = await other.call("GET", f"/v1/events?after={newest}&wait=50&type=target.submitted")
                assert (status, page["events"][0]["order"]) == (200, second)

            group.start_soon(poll)
            path = f"/v1/shops/{shop}/orders"
            status, plan = await other.call("POST", f"{path}/{first}/targets?dry_run=true", {"state": "accepted"})
            assert (status, plan["milestone"]) == (200, "accepted")
            assert (await holder.call("POST", f"{path}/{second}/targets", {"state": "accepted"}))[0] == 202
        assert (await other.call("POST", f"{path}/{third}/refresh"))[0] == 200
        assert (await other.call("POST", f"/v1/shops/{shop}/pause", {"reason": "stocktaking"}))[0] == 200
        status, problem = await other.call("POST", f"{path}/{third}/refresh")
        assert (status, problem["type"], problem["paused_by"]) == (503, "platform-unreachable", "person")
        assert (await other.call("POST", f"/v1/shops/{shop}/resume"))[0] == 200
        for order in (first, third):
            status, target = await other.call("POST", f"{path}/{order}/targets?wait=50", {"state": "accepted"})
            assert (status, target["status"]) == (200, "reached")
        assert [sandbox.ledger.effects(order) for order in (first, second, third)] == [["confirm"]] * 3
        status, problem = await other.call("POST", f"{path}/424242/refresh")
        assert (status, problem["type"]) == (404, "order-not-found")


async def test_a_browser_that_logged_in_at_one_daemon_is_known_to_the_other_until_it_logs_out(tmp_path: Path) -> None:
    async with two(tmp_path, Sandbox(SandboxSettings(orders=1))) as (shop, _, (one, other)):
        status, session, response = await asked(one, "POST", "/v1/session", {"token": TOKEN})
        assert status == 200
        [(_, morsel)] = response.cookies.items()
        # a load balancer in front has one port: the cookie's name is that of whichever daemon is asked
        named = {origin: f"fulfilld_session_{origin.rpartition(':')[2]}" for origin in (one, other)}
        cookies = {origin: {"Cookie": f"{name}={morsel.value}"} for origin, name in named.items()}
        for origin in (other, one):
            assert (await asked(origin, "GET", "/v1/status", None, cookies[origin]))[0] == 200
        pause = f"/v1/shops/{shop}/pause"
        assert (await asked(other, "POST", pause, None, cookies[other]))[0] == 401
        changing = {**cookies[other], "X-CSRF-Token": session["csrf"]}
        assert (await asked(other, "POST", pause, None, changing))[0] == 200
        assert (await asked(other, "DELETE", "/v1/session", None, changing))[0] == 200
        assert (await asked(other, "GET", "/v1/status", None, cookies[other]))[0] == 401
        with anyio.fail_after(120):
            while (await asked(one, "GET", "/v1/status", None, cookies[one]))[0] != 401:  # noqa: ASYNC110 - in its time
                await anyio.sleep(0.1)


@pytest.mark.parametrize("dies", [0, 1])
async def test_events_are_pushed_though_the_daemon_dies_that_pushes_them(tmp_path: Path, dies: int) -> None:
    """One of both pushes: with each of them killed once it is the one that does at least once."""
    sandbox = Sandbox(SandboxSettings(orders=6))
    async with running_erp() as erp:
        delivery = {"orders_url": erp.url(), "secret": SECRET, "timeout_seconds": 5.0, "max_wait_seconds": 0.5}
        async with two(tmp_path, sandbox, 2, delivery=delivery) as (shop, daemons, _):
            ids, left = sandbox.selldone.order_ids(), daemons[1 - dies]
            with anyio.fail_after(200):
                while (await left.call("POST", f"/v1/shops/{shop}/sync?wait=50"))[0] != 200:  # noqa: ASYNC110
                    await anyio.sleep(0.1)  # a loaded machine may cost a daemon the shop for a moment
                daemons[dies].kill()
                while (await left.call("POST", f"/v1/shops/{shop}/sync?wait=50"))[0] != 200:  # noqa: ASYNC110
                    await anyio.sleep(0.1)  # until it has the shop
                for order in ids:
                    announce = f"/v1/shops/{shop}/orders/{order}/announce"
                    while (status := (await left.call("POST", announce))[0]) == 503:  # noqa: ASYNC110
                        await anyio.sleep(0.1)
                    assert status == 200
                await erp.until(
                    lambda erp: (
                        {each.body["order"] for each in erp.taken if each.body["type"] == "order.announced"} == set(ids)
                    )
                )
            for order in ids:
                seen = [each.cursor for each in erp.taken if each.body["order"] == order]
                assert list(dict.fromkeys(seen)) == sorted(set(seen)), "in order, whatever came twice"
