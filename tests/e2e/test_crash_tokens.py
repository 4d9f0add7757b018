"""Access tokens that end, and a daemon that is killed at every point between asking for them and their first use.

Each run lasts over several tokens: with a refresh token that each refresh replaces, one pair that was used before it
was on disk, or an old one that was thrown away too early, would lock the shop out for good.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from orchestrator.clock import Clock
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from orchestrator.sandbox.shopify.access import Kind, Lives
from orchestrator.sandbox.shopify.options import ShopifyOptions
from tests.support.process import DaemonProcess, Unreachable, daemon_process

pytestmark = [pytest.mark.e2e, pytest.mark.crash]

POINTS = ("before_token", "after_token", "after_token_written", "after_token_kept")
SHOP = "shopy"
fetched = pytest.mark.parametrize("kind", ["client_credentials", "refresh_token"])


def short_lived(kind: Kind, seconds: int = 1) -> Sandbox:
    lives = Lives(client_credentials=seconds, offline=seconds)
    sandbox = Sandbox(SandboxSettings(orders=3, options={"shopify": ShopifyOptions(access=kind, lives=lives)}))
    # To the shop a second lasts ten: on a loaded machine one may pass between a token's answer and its first use, and
    # what is refused then was fetched in vain by any measure. The daemon renews by what it was told.
    sandbox.shopify.shop.access.clock = Clock(now_ms=lambda: time.time_ns() // 10_000_000)
    return sandbox


@asynccontextmanager
async def configured(folder: Path, sandbox: Sandbox) -> AsyncIterator[DaemonProcess]:
    async with sandbox.running(), daemon_process(folder) as daemon:
        daemon.configure(sandbox, "shopify", lost_answer_seconds=0)
        yield daemon


async def alive(daemon: DaemonProcess) -> None:
    if not daemon.is_running:
        daemon.start()
    await daemon.ready()


async def deliver_all(daemon: DaemonProcess, sandbox: Sandbox) -> None:
    """Keeps the daemon alive until every order is delivered."""
    while True:
        try:
            await alive(daemon)
            for order in sandbox.shopify.order_ids():
                path, wanted = f"/v1/shops/{SHOP}/orders/{order}/targets", {"state": "delivered"}
                status, target = await daemon.call("POST", path, wanted, {"Idempotency-Key": order})
                while status == 503:  # it cannot ask the platform just now
                    await anyio.sleep(0.05)
                    status, target = await daemon.call("POST", path, wanted, {"Idempotency-Key": order})
                assert status == 202, target
                answer = target
                while answer["status"] in ("queued", "running"):
                    _, answer = await daemon.call("GET", f"/v1/targets/{target['id']}?wait=5")
                assert answer["status"] == "reached", answer
        except Unreachable:
            continue
        return


async def sync_until_killed(daemon: DaemonProcess) -> None:
    """Looks at the shop over and over: each token that ends is replaced, until the armed point is reached."""
    try:
        while True:
            await daemon.ready()
            await daemon.call("POST", f"/v1/shops/{SHOP}/sync?wait=5")
            await anyio.sleep(0.05)  # tokens end by the clock
    except Unreachable:
        return


async def nobody_was_locked_out(daemon: DaemonProcess, sandbox: Sandbox) -> None:
    tokens = sandbox.ledger.calls(step="token")
    assert {call.status for call in tokens} <= {200, None}, "what was asked with was always good"
    _, answer = await daemon.call("GET", "/v1/events?type=shop.access_denied")
    assert answer["events"] == []
    assert sandbox.ledger.repeats_after_effect() == []
    orders = sandbox.shopify.shop.orders.values()
    assert {parcel.display for order in orders for parcel in order.fulfillments} == {"DELIVERED"}


@fetched
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("point", POINTS)
async def test_a_kill_between_request_and_first_use_locks_nobody_out(
    tmp_path: Path, kind: Kind, point: str, count: int
) -> None:
    sandbox = short_lived(kind)
    async with configured(tmp_path, sandbox) as daemon:
        with anyio.fail_after(200):
            daemon.start(f"{point}:{count}")
            await sync_until_killed(daemon)
            await deliver_all(daemon, sandbox)
            await sandbox_outlives_a_token(daemon, sandbox)
        assert daemon.starts == 2, "the point was passed"
        await nobody_was_locked_out(daemon, sandbox)
        assert await daemon.terminate() == 0


@pytest.mark.engines("postgresql")
@pytest.mark.parametrize("point", ["after_token", "after_token_kept"])
async def test_a_kill_locks_nobody_out_where_tokens_are_rows_of_the_database(tmp_path: Path, point: str) -> None:
    await test_a_kill_between_request_and_first_use_locks_nobody_out(tmp_path, "refresh_token", point, 1)
    assert not any(name.endswith(".tokens") for _, _, names in os.walk(tmp_path) for name in names)


async def sandbox_outlives_a_token(daemon: DaemonProcess, sandbox: Sandbox) -> None:
    """The tokens that were got after the restart are replaced, too."""
    before = len(sandbox.ledger.calls(step="token"))
    while len(sandbox.ledger.calls(step="token")) < before + 2:
        status, answer = await daemon.call("POST", f"/v1/shops/{SHOP}/sync?wait=50")
        assert status == 200, answer
        await anyio.sleep(0.05)


@fetched
@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_kill_while_the_answer_is_on_its_way_locks_nobody_out(tmp_path: Path, kind: Kind, moment: Any) -> None:
    sandbox = short_lived(kind)
    async with configured(tmp_path, sandbox) as daemon:
        with anyio.fail_after(200):
            for _ in range(3):
                held_call = sandbox.faults.hold(step="token", moment=moment)
                daemon.start()
                await held_call.arrived()
                daemon.kill()
                held_call.release()
                await anyio.wait_all_tasks_blocked()  # the platform is done with the call that nobody waits for
                sandbox.shopify.shop.access.expire()  # what was granted meanwhile has ended
            await deliver_all(daemon, sandbox)
        await nobody_was_locked_out(daemon, sandbox)


@fetched
async def test_lost_answers_and_520s_lock_nobody_out(tmp_path: Path, kind: Kind) -> None:
    sandbox = short_lived(kind)
    async with configured(tmp_path, sandbox) as daemon:
        with anyio.fail_after(200):
            daemon.start()
            for fault in ("drop_after", "error_after", "garbage", "drop_after", "error_before"):
                sandbox.faults.script(fault, step="token", status=520 if "error" in fault else None)
                while not any(call.fault == fault for call in sandbox.ledger.calls(step="token")):
                    await alive(daemon)
                    await daemon.call("POST", f"/v1/shops/{SHOP}/sync?wait=1")
                    await anyio.sleep(0.05)  # tokens end by the clock
            await deliver_all(daemon, sandbox)
        tokens = sandbox.ledger.calls(step="token")
        assert {call.status for call in tokens} <= {200, 520, None}


@fetched
async def test_daemon_and_doctor_share_one_token(tmp_path: Path, kind: Kind) -> None:
    """Every token that is fetched ends the one before, so two processes that fetch each their own fight for ever."""
    sandbox = short_lived(kind, seconds=3)
    command = [sys.executable, "-m", "orchestrator", "--config", str(tmp_path / "config.json"), "doctor"]
    async with configured(tmp_path, sandbox) as daemon:
        with anyio.fail_after(240):
            await alive(daemon)
            orders = sandbox.shopify.order_ids()
            for order in orders:
                doctors = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]  # noqa: ASYNC220
                await daemon.call("POST", f"/v1/shops/{SHOP}/orders/{order}/refresh")
                for doctor in doctors:
                    reported, _ = await anyio.to_thread.run_sync(doctor.communicate)
                    assert b"taken; the access token ends at" in reported, reported
            await deliver_all(daemon, sandbox)
        calls = sorted(sandbox.ledger.calls(step="token"), key=lambda call: call.n)
        assert {call.status for call in calls} == {200}
        spans = [(call.at_ms, call.ended_at_ms or 0) for call in calls]
        assert all(end <= begin for (_, end), (begin, _) in pairwise(spans)), "never two at once"
        seconds = (spans[-1][1] - spans[0][0]) / 1000
        assert len(calls) <= seconds / 2 + 2, "a token serves for its life, whoever fetched it"
        await nobody_was_locked_out(daemon, sandbox)
