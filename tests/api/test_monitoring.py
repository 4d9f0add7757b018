"""The listener for who watches from elsewhere: three calls, nothing else, and no page of another origin."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest

from orchestrator.api.app import build_app
from orchestrator.api.monitoring import PATHS, build_monitoring, place_of
from orchestrator.api.routes import ROUTES
from orchestrator.intake.listener import listening
from tests.api.bench import Bench, an_order, bench
from tests.support.config_files import loaded
from tests.support.ports import free_port

TOKEN = "scrapers-know-this-one"
POD, SERVICE = "10.42.0.7:9464", "fulfilld:9464"


@asynccontextmanager
async def watched(folder: Path, hosts: list[str] | None = None, **settings: Any) -> AsyncIterator[tuple[Bench, str]]:
    """A bench and the address of its listener for who watches."""
    tree = {"api": {"socket": "s", "hosts": hosts or []}, "monitoring": {"port": free_port(), **settings}}
    config = loaded(folder, tree)
    assert config.monitoring is not None
    async with bench(an_order()) as b:
        api = build_app(b.queries, b.commands, b.node, b.feed, b.metrics, b.clock)
        app = build_monitoring(api, config.monitoring, config)
        async with listening(app, place_of(config.monitoring)) as (_, port):
            yield b, f"http://127.0.0.1:{port}"


async def ask(url: str, method: str = "GET", **headers: str) -> tuple[int, str]:
    async with (
        aiohttp.ClientSession() as http,
        http.request(method, url, headers={name.replace("_", "-"): value for name, value in headers.items()}) as got,
    ):
        return got.status, await got.text()


async def test_metrics_health_and_readiness_are_served_and_nothing_else(tmp_path: Path) -> None:
    async with watched(tmp_path) as (_, at):
        for path in PATHS:
            assert (await ask(at + path))[0] == 200
        assert "fulfilld_build_info{" in (await ask(f"{at}/metrics"))[1]
        for route in ROUTES:
            if route.path not in PATHS:
                assert (await ask(at + route.path.replace("{shop}", "acme"), route.method))[0] == 404, route.path
        for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
            assert (await ask(f"{at}/metrics", method))[0] == 405


async def test_readiness_is_that_of_the_daemon(tmp_path: Path) -> None:
    async with watched(tmp_path) as (b, at):
        b.node.is_ready = False
        assert (await ask(f"{at}/v1/ready"))[0] == 503
        assert (await ask(f"{at}/v1/health"))[0] == 200


async def test_a_token_is_asked_of_metrics_alone(tmp_path: Path) -> None:
    async with watched(tmp_path, token=TOKEN) as (_, at):
        assert (await ask(f"{at}/v1/health"))[0] == 200
        assert (await ask(f"{at}/v1/ready"))[0] == 200
        status, said = await ask(f"{at}/metrics")
        assert (status, "monitoring" in said) == (401, True)
        status, said = await ask(f"{at}/metrics", Authorization="Bearer wrong")
        assert (status, TOKEN in said) == (401, False)
        assert (await ask(f"{at}/metrics", Authorization=f"Bearer {TOKEN}"))[0] == 200


@pytest.mark.parametrize("host", [POD, SERVICE, "[fd00::7]:9464", "localhost", "metrics.example:9464"])
async def test_other_machines_ask_by_address_service_or_a_name_of_the_config(tmp_path: Path, host: str) -> None:
    async with watched(tmp_path, ["metrics.example"], host="0.0.0.0") as (_, at):
        assert (await ask(f"{at}/metrics", Host=host))[0] == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example:9464"},
        {"Host": "127.0.0.1.evil.example"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Host": "evil.example", "Origin": "http://evil.example"},
    ],
)
async def test_no_page_from_elsewhere_reads_it(tmp_path: Path, host: str, headers: dict[str, str]) -> None:
    async with watched(tmp_path, host=host) as (_, at):
        for path in PATHS:
            status, said = await ask(at + path, **headers)
            assert (status, "cross-origin" in said) == (403, True), path


@pytest.mark.parametrize("host", [POD, SERVICE])
async def test_on_loopback_it_has_the_names_of_this_machine_alone(tmp_path: Path, host: str) -> None:
    async with watched(tmp_path) as (_, at):
        assert (await ask(f"{at}/metrics", Host=host))[0] == 403


async def test_a_sender_that_is_no_http_is_refused_without_quoting_it(tmp_path: Path) -> None:
    async with watched(tmp_path) as (_, at):
        port = int(at.rpartition(":")[2])
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            await stream.send(b"s3cret nonsense\r\n\r\n")
            with anyio.fail_after(60):
                said = await stream.receive()
        assert said.startswith(b"HTTP/1.0 400")
        assert b"s3cret" not in said
