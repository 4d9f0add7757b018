"""A daemon whose config has `monitoring` serves it to others from its start to its end."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import aiohttp
import pytest

from orchestrator.sandbox.server import Sandbox, SandboxSettings
from tests.support.ports import free_port
from tests.support.process import DaemonProcess, daemon_process

pytestmark = pytest.mark.e2e


def watched(daemon: DaemonProcess, port: int) -> None:
    path = daemon.folder / "config.json"
    config = json.loads(path.read_text()) | {"monitoring": {"host": "0.0.0.0", "port": port}}
    path.write_text(json.dumps(config))


async def test_a_kubelet_asks_by_the_pods_address_and_a_taken_port_ends_the_start(tmp_path: Path) -> None:
    sandbox = Sandbox(SandboxSettings(orders=1))
    async with sandbox.running(), daemon_process(tmp_path) as daemon, aiohttp.ClientSession() as http:
        shop = daemon.configure(sandbox)
        port = free_port()
        with socket.create_server(("127.0.0.1", port)):
            watched(daemon, port)
            daemon.start()
            assert await daemon.exited() == 2
        assert f"0.0.0.0:{port} is in use by another program; set another monitoring.port" in daemon.errors.read_text()

        daemon.start()
        await daemon.ready()
        for path in ("/v1/health", "/v1/ready", "/metrics"):
            async with http.get(f"http://127.0.0.1:{port}{path}", headers={"Host": f"10.42.0.7:{port}"}) as answer:
                assert answer.status == 200
                text = await answer.text()
        assert f'fulfilld_shop_held{{shop="{shop}"}} 1.0' in text
        async with http.get(f"http://127.0.0.1:{port}/v1/status") as answer:
            assert answer.status == 404
        assert await daemon.terminate() == 0
