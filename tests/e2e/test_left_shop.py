"""A shop that left the config, over the socket: readable, its targets cancellable, the rest refused in words."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import aiohttp

from orchestrator.sandbox.server import Sandbox, SandboxSettings
from tests.support.process import DaemonProcess, daemon_process


async def leave(daemon: DaemonProcess, shop: str) -> None:
    """Takes the shop out of the config and waits until the daemon has read it again."""
    path = daemon.folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "shops": {}}))
    assert daemon.process is not None
    daemon.process.send_signal(signal.SIGHUP)
    _, page = await daemon.call("GET", f"/v1/events?type=shop.left&shop={shop}&wait=50")
    assert len(page["events"]) == 1
    while (await daemon.call("GET", f"/v1/shops/{shop}"))[1]["configured"]:  # the event is a moment ahead
        await daemon.call("GET", f"/v1/events?after={page['next']}&wait=0.05")


async def in_bulk(daemon: DaemonProcess, line: dict[str, Any]) -> dict[str, Any]:
    connector = aiohttp.UnixConnector(str(daemon.socket))
    headers = {"Content-Type": "application/x-ndjson"}
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.post("http://localhost/v1/targets", data=json.dumps(line), headers=headers) as response,
    ):
        return dict(json.loads(await response.text()))


async def test_a_shop_that_left_is_readable_and_its_targets_are_cancellable(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=2))
    async with sandbox.running(), daemon_process(tmp_path) as daemon:
        shop = daemon.configure(sandbox)
        first, second = sandbox.selldone.order_ids()
        daemon.start()
        await daemon.ready()
        targets = []
        for order in (first, second):
            path = f"/v1/shops/{shop}/orders/{order}"
            assert (await daemon.call("POST", f"{path}/refresh"))[0] == 200
            assert (await daemon.call("POST", f"{path}/hold"))[0] == 200
            status, target = await daemon.call("POST", f"{path}/targets", {"state": "delivered"})
            assert status == 202, target
            targets.append(target["id"])
        await leave(daemon, shop)

        path = f"/v1/shops/{shop}/orders/{first}"
        status, order_now = await daemon.call("GET", f"{path}?include=payload,timeline")
        assert status == 200, order_now
        assert (order_now["id"], len(order_now["targets"])) == (first, 1)
        for read in (f"shops/{shop}", f"orders?shop={shop}", f"events?shop={shop}", f"targets/{targets[0]}"):
            assert (await daemon.call("GET", f"/v1/{read}"))[0] == 200, read

        refused: list[tuple[str, Any]] = [
            (f"{path}/targets", {"state": "shipped"}),
            (f"{path}/targets?dry_run=true", {"state": "shipped"}),
            *((f"{path}/{name}", None) for name in ("retry", "hold", "release", "refresh")),
            (f"{path}/skip", {"reason": "by hand"}),
            *((f"/v1/shops/{shop}/{name}", None) for name in ("pause", "resume", "sync")),
        ]
        for call, body in refused:
            status, problem = await daemon.call("POST", call, body)
            assert (status, problem["type"]) == (404, "shop-not-found"), (call, problem)
            assert "not in the config any more" in problem["detail"], call
            assert "SIGHUP" in problem["detail"], call
        answer = await in_bulk(daemon, {"shop": shop, "order": first, "state": "shipped"})
        assert answer["status"] == 404
        assert "not in the config any more" in answer["problem"]["detail"]

        status, target = await daemon.call("DELETE", f"/v1/targets/{targets[0]}")
        assert (status, target["status"]) == (200, "cancelled")
        status, order_now = await daemon.call("POST", f"/v1/shops/{shop}/orders/{second}/cancel")
        assert (status, order_now["targets"]) == (200, [])
        status, problem = await daemon.call("GET", f"/v1/shops/never/orders/{first}")
        assert (status, problem["type"], problem["detail"]) == (404, "shop-not-found", "no shop is named 'never'")
