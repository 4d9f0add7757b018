"""The real daemon: a webhook in, an event out, and a kill in between that loses nothing."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest

from orchestrator.sandbox.server import Sandbox, SandboxSettings
from tests.push.erp import SECRET as ERP_SECRET
from tests.push.erp import is_genuine, running_erp
from tests.support.ports import free_port

HINT_SECRET = "a-long-hint-secret"
PATIENCE_SECONDS = 60


@contextmanager
def daemon(config: Path, environ: Mapping[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "orchestrator", "--config", str(config), "run"]
    with subprocess.Popen(command, env={**os.environ, **(environ or {})}, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


def write_config(folder: Path, sandbox: Sandbox, erp_url: str, port: int) -> Path:
    tree: dict[str, Any] = sandbox.config()
    tree["shops"] = {name: shop for name, shop in tree["shops"].items() if shop["platform"] == "selldone"}
    for shop in tree["shops"].values():
        shop |= {"poll": {"interval_seconds": 3600}, "webhook_secret": [HINT_SECRET]}
    tree["storage"] = {"url": "sqlite:///fulfilld.db"}
    tree["api"] = {"socket": "f.sock"}
    tree["webhooks"] = {"port": port}
    tree["delivery"] = {"orders_url": erp_url, "secret": ERP_SECRET}
    path = folder / "config.json"
    path.write_text(json.dumps(tree))
    return path


async def ask(folder: Path, path: str) -> dict[str, Any]:
    connector = aiohttp.UnixConnector(str(folder / "f.sock"))
    async with aiohttp.ClientSession(connector=connector) as http, http.get(f"http://localhost{path}") as answer:
        found: dict[str, Any] = await answer.json()
        return found


async def is_up(folder: Path, port: int) -> None:
    """Returns once the daemon has done its first poll and listens for webhooks."""
    with anyio.fail_after(PATIENCE_SECONDS):
        while True:
            try:
                shops = (await ask(folder, "/v1/shops"))["shops"]
                async with await anyio.connect_tcp("127.0.0.1", port):
                    pass
            except (OSError, aiohttp.ClientError):
                shops = [{}]
            if shops and all(shop.get("last_sync_at") for shop in shops):
                return
            await anyio.sleep(0.05)


async def hint(port: int, order: str) -> int | None:
    """Posts a hint; None when the daemon died before it answered."""
    url = f"http://127.0.0.1:{port}/webhooks/acme/orders/{HINT_SECRET}"
    try:
        async with aiohttp.ClientSession() as http, http.post(url, json={"basket": {"id": int(order)}}) as answer:
            return answer.status
    except aiohttp.ClientError:
        return None


async def operate(folder: Path, *arguments: str) -> None:
    """Runs a command of the CLI; fails when it does."""
    await anyio.run_process([sys.executable, "-m", "orchestrator", "--socket", str(folder / "f.sock"), *arguments])


@pytest.mark.e2e
async def test_an_order_goes_from_webhook_to_erp(tmp_path: Path) -> None:
    sandbox, port = Sandbox(SandboxSettings(orders=1)), free_port()
    async with sandbox.running(), running_erp() as erp:
        config = write_config(tmp_path, sandbox, erp.url(), port)
        with daemon(config) as process:
            await is_up(tmp_path, port)
            added = sandbox.selldone.panel.add()
            assert await hint(port, added) == 200
            with anyio.fail_after(PATIENCE_SECONDS):
                await erp.until(lambda erp: any(each.body["order"] == added for each in erp.taken))
            assert all(is_genuine(each) for each in erp.taken)
            (status,) = (await ask(tmp_path, "/v1/status"))["delivery"]
            assert status["name"] == "orders_url"
            for action, is_paused in (("pause", True), ("resume", False)):
                await operate(tmp_path, "delivery", action, "orders_url")
                assert (await ask(tmp_path, "/v1/status"))["delivery"][0]["paused"] is is_paused
            process.send_signal(signal.SIGTERM)
            assert await anyio.to_thread.run_sync(process.wait) == 0


@pytest.mark.e2e
@pytest.mark.crash
async def test_a_kill_right_after_a_webhook_was_kept_loses_nothing(tmp_path: Path) -> None:
    sandbox, port = Sandbox(SandboxSettings(orders=1)), free_port()
    async with sandbox.running(), running_erp() as erp:
        config = write_config(tmp_path, sandbox, erp.url(), port)
        with daemon(config, {"FULFILLD_CRASH": "after_webhook:2"}) as process:
            await is_up(tmp_path, port)
            known = (await ask(tmp_path, "/v1/orders"))["orders"][0]["id"]
            assert await hint(port, known) == 200
            added = sandbox.selldone.panel.add()
            assert await hint(port, added) is None
            assert await anyio.to_thread.run_sync(process.wait) == -signal.SIGKILL
        without_polls = json.loads(config.read_text())
        without_polls["shops"]["acme"]["poll"] = {"enabled": False}  # so only the kept webhook leads to it
        config.write_text(json.dumps(without_polls))
        with daemon(config):
            with anyio.fail_after(PATIENCE_SECONDS):
                await erp.until(lambda erp: any(each.body["order"] == added for each in erp.taken))


@contextmanager
def few_open_files(soft: int) -> Iterator[None]:
    """What is started within may have so many files open, unless it asks for more."""
    before, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (before, hard))


@pytest.mark.e2e
async def test_senders_that_say_nothing_do_not_keep_the_daemon_from_its_work(tmp_path: Path) -> None:
    sandbox, port = Sandbox(SandboxSettings(orders=1)), free_port()
    async with sandbox.running(), running_erp() as erp:
        config = write_config(tmp_path, sandbox, erp.url(), port)
        with ExitStack() as stack:
            with few_open_files(128):
                process = stack.enter_context(daemon(config))
            await is_up(tmp_path, port)
            for _ in range(200):
                stack.enter_context(socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS))
            assert (await ask(tmp_path, "/v1/status"))["daemon"]["pid"] == process.pid
