"""Answers that are far too large, and large ones that are not: what they cost, on every platform."""

from __future__ import annotations

import gzip
import threading
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import aiohttp
import pytest
from aiohttp import web

from orchestrator.platforms.client import PlatformClient
from orchestrator.platforms.exchange import MAX_REFUSAL_BYTES
from orchestrator.platforms.failures import PlatformFailure, Transient
from orchestrator.platforms.garbage import KEPT_BYTES
from orchestrator.platforms.http import LARGE_BODY_BYTES, MAX_BODY_BYTES, MAX_ORDER_BYTES
from orchestrator.platforms.platform import ClientSettings
from orchestrator.registry import PLATFORMS
from orchestrator.testing.stage import staged

SIMULATED = sorted(name for name, platform in PLATFORMS.items() if platform.sandbox is not None)
MIB = 2**20
Ask = Callable[[PlatformClient, str], Awaitable[object]]
Change = Callable[[int, bytes], tuple[int, bytes, str | None]]
"""From an answer's status and body to those that are sent in its place, and how the body is packed."""


@dataclass(slots=True)
class Front:
    """A server in front of the platform, which passes all on but for `change`; tokens pass unchanged."""

    change: Change | None = None


@asynccontextmanager
async def fronted(platform: str) -> AsyncIterator[tuple[PlatformClient, str, Front]]:
    """A client whose calls pass a front, and an order."""
    front = Front()
    async with staged(platform) as stage, aiohttp.ClientSession(auto_decompress=True) as onwards:
        shop = next(each for each in stage.sandbox.config()["shops"].values() if each["platform"] == platform)
        behind = urlsplit(shop["base_url"])

        async def handler(request: web.Request) -> web.Response:
            url = f"{behind.scheme}://{behind.netloc}{request.path_qs}"
            sent = {name: value for name, value in request.headers.items() if name not in ("Host", "Content-Length")}
            async with onwards.request(request.method, url, data=await request.read(), headers=sent) as answer:
                status, body, packed = answer.status, await answer.read(), None
                kind = answer.headers.get("Content-Type", "application/json")
            if front.change is not None and "token" not in request.path:
                status, body, packed = front.change(status, body)
            headers = {"Content-Type": kind, **({} if packed is None else {"Content-Encoding": packed})}
            return web.Response(status=status, body=body, headers=headers)

        app = web.Application(client_max_size=64 * MIB)
        app.router.add_route("*", "/{path:.*}", handler)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        client = PLATFORMS[platform].open(
            ClientSettings(
                "acme",
                stage.options,
                shop["base_url"].replace(behind.netloc, f"127.0.0.1:{port}"),
                timeout_seconds=30,
                page_size=100,
                lookback_seconds=120,
            )
        )
        try:
            yield client, stage.order, front
        finally:
            await client.aclose()
            await runner.cleanup()


def padded(size: int) -> Change:
    """The true answer, with blanks behind it up to a size."""
    return lambda status, body: (status, body.ljust(size), None)


async def listed(client: PlatformClient, order: str) -> object:
    del order
    return await client.list_page(None, None)


async def read(client: PlatformClient, order: str) -> object:
    return await client.read(order)


CALLS = pytest.mark.parametrize(("ask", "most"), [(listed, MAX_BODY_BYTES), (read, MAX_ORDER_BYTES)])


@pytest.mark.parametrize("packed", [None, "gzip"])
@CALLS
@pytest.mark.parametrize("platform", SIMULATED)
async def test_an_answer_of_sixty_megabytes_is_refused_before_it_is_kept(
    platform: str, ask: Ask, most: int, packed: str | None
) -> None:
    rows = b'[{"id":1,"name":"' + bytes(60 * MIB) + b'"}]'
    sent = rows if packed is None else gzip.compress(rows, 1)
    del rows
    async with fronted(platform) as (client, order, front):
        await ask(client, order)  # what it asks once is known now
        front.change = lambda status, body: (status, sent, packed)
        tracemalloc.start()
        try:
            with pytest.raises(Transient, match=r"the answer is larger than \d+ bytes") as caught:
                await ask(client, order)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert not caught.value.is_ambiguous
    assert packed is None or peak < most + 8 * MIB  # what is not packed is in the memory of our server, too


@CALLS
@pytest.mark.parametrize("platform", SIMULATED)
async def test_a_large_answer_is_read_in_a_worker_thread(
    platform: str, ask: Ask, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever reads more than a little JSON or text of it at once does so beside the loop."""
    del most
    from orchestrator.platforms import json_text

    real, loop_thread = json_text._scan, threading.current_thread()
    on_the_loop: list[int] = []

    def scan(text: str, at: int) -> tuple[object, int]:
        if threading.current_thread() is loop_thread and len(text) > LARGE_BODY_BYTES:
            on_the_loop.append(len(text))
        return real(text, at)

    async with fronted(platform) as (client, order, front):
        small = await ask(client, order)
        front.change = padded(LARGE_BODY_BYTES + 1)
        monkeypatch.setattr(json_text, "_scan", scan)
        large = await ask(client, order)
    assert type(large) is type(small)
    assert on_the_loop == []


@CALLS
@pytest.mark.parametrize("status", [404, 500])
@pytest.mark.parametrize("platform", SIMULATED)
async def test_no_more_of_a_refusal_is_read_than_its_beginning(platform: str, status: int, ask: Ask, most: int) -> None:
    """A page of an error may be as large as it likes: it refuses what a small one would."""
    page = b"<html><title>Oops</title>" + b"x" * 64
    failures: list[PlatformFailure] = []
    async with fronted(platform) as (client, order, front):
        await ask(client, order)
        for size in (LARGE_BODY_BYTES, MAX_REFUSAL_BYTES + 1, most + 1):
            front.change = lambda _, body, size=size: (status, page + b" x" * (size // 2), None)
            with pytest.raises(PlatformFailure) as caught:
                await ask(client, order)
            failures.append(caught.value)
    assert len({(type(failure), failure.detail) for failure in failures}) == 1


@pytest.mark.parametrize("platform", SIMULATED)
async def test_a_large_list_that_cannot_be_read_is_not_kept(platform: str) -> None:
    body = b'{"nothing":"' + b"%41\\u0041&amp;+" * 500_000 + b'"}'
    async with fronted(platform) as (client, order, front):
        await listed(client, order)
        front.change = lambda status, _: (status, body, None)
        with pytest.raises(PlatformFailure) as caught:
            await listed(client, order)
    assert len(getattr(caught.value, "payload", b"")) <= KEPT_BYTES


def test_the_bounds_are_in_their_order() -> None:
    assert KEPT_BYTES < LARGE_BODY_BYTES < MAX_REFUSAL_BYTES < MAX_ORDER_BYTES < MAX_BODY_BYTES < 60 * MIB
