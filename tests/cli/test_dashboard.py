"""`fulfilld dashboard`: the page on a loopback port, opened once by the link that is printed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from anyio.abc import SocketStream

from orchestrator.cli.dashboard import Page
from orchestrator.cli.place import Address
from orchestrator.clock import Clock
from tests.cli.fake import FakeDaemon
from tests.cli.test_processes import PATIENCE_SECONDS, errors, finished, first_line, started

HTML = {"Accept": "text/html"}


@dataclass
class Browser:
    """A browser at the port; it keeps cookies, and `csrf` of its session."""

    client: TestClient[web.Request, web.Application]
    entrance: str

    async def get(self, path: str, **headers: str) -> tuple[int, Any]:
        async with self.client.get(path, headers=headers, allow_redirects=False) as response:
            return response.status, await response.text()

    async def post(self, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        async with self.client.post(path, json=body, headers=headers) as response:
            return response.status, await response.text()

    async def enter(self) -> dict[str, str]:
        """Opens the link; the header that changes need."""
        async with self.client.get(self.entrance) as response:
            assert response.status == 200
            assert response.url.path == "/"
        return {"X-CSRF-Token": json.loads((await self.get("/v1/session"))[1])["csrf"]}


@asynccontextmanager
async def opened(address: Address) -> AsyncIterator[Browser]:
    page = Page(address, Clock())
    jar = aiohttp.CookieJar(unsafe=True)  # an address has cookies too
    async with TestClient(TestServer(page.application()), cookie_jar=jar) as client:
        yield Browser(client, page.entrance)


def at(daemon: FakeDaemon) -> Address:
    return Address("a test", socket=daemon.socket)


async def test_the_link_works_once_and_for_who_opened_it_the_page_goes_on(daemon: FakeDaemon) -> None:
    daemon.answers["GET", "/v1/status"] = {"totals": {}}
    async with opened(at(daemon)) as browser:
        await browser.enter()
        assert (await browser.get("/v1/status"))[0] == 200
        assert (await browser.get("/", **HTML))[0] == 200
        assert (await browser.get(browser.entrance))[0] == 401
        browser.client.session.cookie_jar.clear()
        assert (await browser.get("/v1/status"))[0] == 401


@pytest.mark.parametrize("path", ["/v1/status", "/v1/session", "/metrics", "/v1/events", "/openapi.json"])
async def test_who_merely_finds_the_port_gets_nothing(daemon: FakeDaemon, path: str) -> None:
    daemon.answers["GET", path] = {"secret": "data"}
    async with opened(at(daemon)) as browser:
        status, text = await browser.get(path, Authorization="Bearer any")
        assert (status, json.loads(text)["type"]) == (401, "unauthorized")
        assert (await browser.get("/login/guess"))[0] == 401
        assert (await browser.post("/v1/session", {"token": "guess"}))[0] == 401
        assert daemon.calls == []
        await browser.enter()  # and no guess used the link up


async def test_a_browser_that_looks_ahead_does_not_use_the_link_up(daemon: FakeDaemon) -> None:
    async with opened(at(daemon)) as browser:
        assert (await browser.get(browser.entrance, **{"Sec-Purpose": "prefetch;prerender"}))[0] == 503
        async with browser.client.head(browser.entrance) as response:
            assert response.status == 401
        await browser.enter()


async def test_a_change_needs_the_pages_csrf_token_and_comes_to_the_daemon_as_a_programs(daemon: FakeDaemon) -> None:
    daemon.answers["POST", "/v1/shops/a%2Fb/pause"] = (409, {"type": "not-allowed"})
    async with opened(at(daemon)) as browser:
        csrf = await browser.enter()
        path = "/v1/shops/a%2Fb/pause?x=%20"
        assert (await browser.post(path, {"reason": "ą"}))[0] == 401
        assert daemon.calls == []
        own = {"Origin": str(browser.client.make_url("")).rstrip("/"), "Sec-Fetch-Site": "same-origin"}
        assert await browser.post(path, {"reason": "ą"}, **csrf, **own) == (409, '{"type": "not-allowed"}')
        [(method, _, query, body, headers)] = daemon.calls
        assert (method, query, json.loads(body)) == ("POST", {"x": " "}, {"reason": "ą"})
        assert not {name for name in headers if name.lower() in ("cookie", "origin", "x-csrf-token", "sec-fetch-site")}


@pytest.mark.parametrize(
    "headers", [{"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "same-site"}, {"Host": "e.x"}]
)
async def test_a_page_from_elsewhere_may_not_ask(daemon: FakeDaemon, headers: dict[str, str]) -> None:
    async with opened(at(daemon)) as browser:
        assert (await browser.get(browser.entrance, **headers))[0] == 403
        csrf = await browser.enter()
        assert (await browser.get("/v1/status", **headers))[0] == 403
        assert (await browser.post("/v1/shops/acme/pause", **csrf, **headers))[0] == 403
        assert daemon.calls == []


async def test_a_stream_is_passed_on_as_it_comes(daemon: FakeDaemon) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"id: 1\n\n")
        await anyio.sleep_forever()
        return response

    daemon.answers["GET", "/v1/events"] = endless
    async with opened(at(daemon)) as browser:
        await browser.enter()
        async with browser.client.get("/v1/events") as response:
            assert response.content_type == "text/event-stream"
            assert await response.content.readuntil(b"\n\n") == b"id: 1\n\n"


async def test_a_stream_ends_with_its_session(daemon: FakeDaemon) -> None:
    out = threading.Event()

    async def two(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"id: 1\n\n")
        await anyio.to_thread.run_sync(out.wait)  # the daemon has a loop of its own
        await response.write(b"id: 2\n\n")
        await anyio.sleep_forever()
        return response

    daemon.answers["GET", "/v1/events"] = two
    async with opened(at(daemon)) as browser:
        csrf = await browser.enter()
        async with browser.client.get("/v1/events") as response:
            assert await response.content.readuntil(b"\n\n") == b"id: 1\n\n"
            await browser.client.delete("/v1/session", headers=csrf)
            out.set()
            assert await response.content.read() == b""


async def test_who_logs_out_is_out(daemon: FakeDaemon) -> None:
    async with opened(at(daemon)) as browser:
        csrf = await browser.enter()
        async with browser.client.delete("/v1/session", headers=csrf) as response:
            assert response.status == 200
        assert (await browser.get("/v1/session"))[0] == 401


async def test_a_daemon_that_went_away_is_named(daemon: FakeDaemon) -> None:
    gone = daemon.socket.with_name("gone.sock")
    async with opened(Address("a test", socket=gone)) as browser:
        await browser.enter()
        status, text = await browser.get("/v1/status")
        assert status == 503
        assert str(gone) in json.loads(text)["detail"]


async def test_a_daemon_by_url_is_asked_with_its_token_which_no_answer_shows() -> None:
    seen = []

    async def answer(request: web.Request) -> web.Response:
        seen.append((request.path, request.headers.get("Authorization")))
        return web.json_response({})

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    async with TestServer(app) as server, opened(Address("a test", url=str(server.make_url("/up/")), token="t")) as one:
        await one.enter()
        assert await one.get("/v1/status") == (200, "{}")
        assert seen == [("/up/v1/status", "Bearer t")]


@asynccontextmanager
async def answering(path: Path, answer: str) -> AsyncIterator[None]:
    """Whoever asks at the socket gets these bytes, and the end of the connection."""

    async def serve(stream: SocketStream) -> None:
        async with stream:
            await stream.receive()
            await stream.send(answer.encode())

    async with await anyio.create_unix_listener(path) as listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, serve)
        yield
        group.cancel_scope.cancel()


@pytest.mark.parametrize("end", ["Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "Content-Length: 9\r\n\r\nhello"])
async def test_an_answer_that_the_daemon_breaks_off_is_broken_off_without_a_traceback(
    daemon: FakeDaemon, caplog: pytest.LogCaptureFixture, end: str
) -> None:
    socket = daemon.socket.with_name("broken.sock")
    async with answering(socket, f"HTTP/1.1 200 OK\r\n{end}"), opened(Address("a test", socket=socket)) as browser:
        await browser.enter()
        with pytest.raises(aiohttp.ClientError):
            await browser.get("/v1/events")
    assert caplog.records == []


async def test_a_daemon_that_answers_no_http_is_named(daemon: FakeDaemon, caplog: pytest.LogCaptureFixture) -> None:
    socket = daemon.socket.with_name("other.sock")
    async with answering(socket, "220 ready\r\n\r\n"), opened(Address("a test", socket=socket)) as browser:
        await browser.enter()
        status, text = await browser.get("/v1/status")
    assert (status, json.loads(text)["type"]) == (503, "overloaded")
    assert str(socket) in json.loads(text)["detail"]
    assert "220" not in text
    assert caplog.records == []


async def test_what_was_asked_before_the_logout_is_not_shown_after_it(daemon: FakeDaemon) -> None:
    asked, out = threading.Event(), threading.Event()

    async def slow(_request: web.Request) -> web.StreamResponse:
        asked.set()
        await anyio.to_thread.run_sync(out.wait)
        return web.json_response({"a": "secret"})

    daemon.answers["GET", "/v1/events"] = slow
    async with opened(at(daemon)) as browser, anyio.create_task_group() as group:
        csrf = await browser.enter()

        async def log_out() -> None:
            await anyio.to_thread.run_sync(asked.wait)
            await browser.client.delete("/v1/session", headers=csrf)
            out.set()

        group.start_soon(log_out)
        status, text = await browser.get("/v1/events")
        assert status == 401
        assert "secret" not in text


async def test_the_daemons_cookies_are_not_passed_on(daemon: FakeDaemon) -> None:
    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.json_response({}, headers={"Set-Cookie": "of=the_daemon"})

    daemon.answers["GET", "/v1/status"] = answer
    async with opened(at(daemon)) as browser:
        await browser.enter()
        async with browser.client.get("/v1/status") as response:
            assert (response.status, "Set-Cookie" in response.headers) == (200, False)


@pytest.fixture
def shown(daemon: FakeDaemon) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    daemon.answers["GET", "/v1/health"] = {"status": "ok"}
    with started("--socket", str(daemon.socket), "dashboard") as process:
        yield process, first_line(process).decode().strip()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_prints_the_link_and_ends_with_0(
    shown: tuple[subprocess.Popen[bytes], str], number: signal.Signals
) -> None:
    process, link = shown
    assert link.startswith("http://127.0.0.1:")
    process.send_signal(number)
    assert process.wait(PATIENCE_SECONDS) == 0
    assert b"works once" in errors(process)


def test_the_link_is_opened_in_the_browser_of_this_machine(
    daemon: FakeDaemon, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon.answers["GET", "/v1/health"] = {"status": "ok"}
    asked = directory / "asked"
    os.mkfifo(asked)
    browser = directory / "browser"
    fetch = "import sys, urllib.request as u; print(u.build_opener(u.HTTPCookieProcessor()).open(sys.argv[1]).url)"
    browser.write_text(f'#!/bin/sh\n{sys.executable} -c "{fetch}" "$1" > {asked}\n')
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER", f"{browser} %s")
    with started("--socket", str(daemon.socket), "dashboard", "--open") as process:
        origin = first_line(process).decode().partition("/login")[0]
        assert asked.read_text() == f"{origin}/\n"  # which waited until the page was there


def test_a_port_that_is_taken_and_a_daemon_that_is_not_there_are_named(
    shown: tuple[subprocess.Popen[bytes], str], daemon: FakeDaemon
) -> None:
    port = shown[1].split(":")[2].split("/")[0]
    taken = finished("--socket", str(daemon.socket), "dashboard", "--port", port)
    assert (taken.returncode, taken.stdout) == (1, "")
    assert "--port" in taken.stderr
    assert finished("--socket", "/nowhere/d.sock", "dashboard").returncode == 3
