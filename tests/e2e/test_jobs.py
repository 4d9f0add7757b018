"""Jobs through kills: a job that was accepted comes to all of its orders, and none is operated twice."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import anyio
import pytest

from orchestrator.sandbox.server import Sandbox, SandboxSettings
from tests.support.process import DaemonProcess, daemon_process

pytestmark = pytest.mark.e2e

REFUSAL = b'{"message": "The carrier is missing."}'
ORDERS = 140  # more than go on in the two minutes that a slow shop is ahead
SLOW = {"concurrency": 1, "rate_per_second": 2, "burst": 1, "window": {"calls": 0}}


async def blocked(daemon: DaemonProcess, sandbox: Sandbox, shop: str) -> list[str]:
    """Every order of the shop, blocked in its first step."""
    ids: list[str] = list(sandbox.selldone.order_ids())
    sandbox.faults.script_answer(422, REFUSAL, step="confirm", times=len(ids))
    for order in ids:
        status, _ = await daemon.call("POST", f"/v1/shops/{shop}/orders/{order}/targets", {"state": "accepted"})
        assert status == 202
    await fitting(daemon, "situation=blocked", len(ids))
    return ids


async def fitting(daemon: DaemonProcess, query: str, wanted: int) -> None:
    """Waits until so many orders fit."""
    with anyio.fail_after(120):
        while len((await daemon.call("GET", f"/v1/orders?limit=1000&{query}"))[1]["orders"]) != wanted:  # noqa: ASYNC110
            await anyio.sleep(0.1)  # nothing reports how many there are


async def job_with(daemon: DaemonProcess, job: str, done: int) -> dict[str, Any]:
    """Waits until a job came to so many orders."""
    with anyio.fail_after(120):
        while True:
            _, found = await daemon.call("GET", f"/v1/jobs/{job}")
            if found["done"] + found["refused"] >= done:
                return dict(found)
            await anyio.sleep(0.05)  # a job emits nothing of its own


async def events_of(daemon: DaemonProcess, type_: str) -> list[dict[str, Any]]:
    _, page = await daemon.call("GET", f"/v1/events?type={type_}&limit=1000")
    return list(page["events"])


async def test_a_job_goes_on_after_kills_and_repeats_nothing(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=ORDERS))
    async with sandbox.running(), daemon_process(tmp_path) as daemon:
        shop = daemon.configure(sandbox)
        daemon.start()
        await daemon.ready()
        ids = await blocked(daemon, sandbox, shop)
        await daemon.terminate()
        daemon.configure(sandbox, limits=SLOW)  # so that a job waits for the pace of its shop
        daemon.start()
        await daemon.ready()
        wanted = {"problem": "rejected", "step": "confirm"}
        status, job = await daemon.call("POST", "/v1/orders/retry", {"filter": wanted, "reason": "it is back"})
        assert (status, job["count"]) == (202, ORDERS)
        assert (await job_with(daemon, job["job"], 1))["status"] == "running"
        daemon.kill()
        daemon.start()
        await daemon.ready()
        found = await job_with(daemon, job["job"], ORDERS)
        assert (found["status"], found["done"], found["refused"]) == ("done", ORDERS, 0)
        operated = await events_of(daemon, "order.operated")
        assert Counter(event["order"] for event in operated) == Counter(ids)
        assert {event["data"]["reason"] for event in operated} == {"it is back"}
        await daemon.terminate()
        daemon.configure(sandbox)
        daemon.start()
        await daemon.ready()
        await daemon.call("POST", "/v1/orders/retry", {"filter": {"situation": "queued"}})  # at the pace of now
        await fitting(daemon, "state=OrderConfirm&situation=idle", ORDERS)
        assert [sandbox.ledger.effects(order) for order in ids] == [["confirm"]] * ORDERS
        assert await daemon.terminate() == 0


async def test_a_shell_operates_what_a_filter_finds(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=12))
    async with sandbox.running(), daemon_process(tmp_path) as daemon:
        shop = daemon.configure(sandbox)
        daemon.start()
        await daemon.ready()
        await blocked(daemon, sandbox, shop)

        async def run(*arguments: str) -> subprocess.CompletedProcess[bytes]:
            command = [sys.executable, "-m", "orchestrator", "--socket", str(daemon.socket), *arguments]
            return await anyio.run_process(command, check=False, stdin=subprocess.DEVNULL, env=dict(os.environ))

        causes = await run("causes")
        assert b"12  The platform refused the step at confirm" in causes.stdout, causes
        dry = await run("retry", "--situation", "blocked", "--dry-run")
        assert (dry.returncode, b"12 orders would be retried" in dry.stdout) == (0, True), dry
        refused = await run("retry", "--situation", "blocked")
        assert (refused.returncode, b"--yes" in refused.stderr) == (2, True), refused
        done = await run("retry", "--situation", "blocked", "--step", "confirm", "--limit", "10", "--yes")
        assert (done.returncode, b"10 of 10 orders retried" in done.stdout) == (0, True), done
        await fitting(daemon, "state=OrderConfirm", 10)
        rest = await run("cancel", "--shop", shop, "--situation", "blocked", "--yes")
        assert (rest.returncode, b"the targets of 2 of 2 orders dropped" in rest.stdout) == (0, True), rest
        await fitting(daemon, "situation=blocked", 0)
