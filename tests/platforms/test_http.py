"""The HTTP layer: at most one send, one mapping of errors, no secret in what it says."""

from __future__ import annotations

import asyncio
import socket
import traceback
from functools import partial

import aiohttp
import anyio
import pytest
from aiohttp import web
from aioresponses import aioresponses
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from orchestrator.clock import Clock
from orchestrator.platforms.error_texts import error_text
from orchestrator.platforms.failures import AccessDenied, PlatformFailure, Transient
from orchestrator.platforms.http import (
    DETAIL_LENGTH,
    Answer,
    Caller,
    open_session,
    retry_after_seconds,
    skew_finding,
)
from tests.platforms.selldone.shop import NOW_MS, answering, drop, serving
from tests.support.aioresponses_compat import MockedHttp

CLOCK = Clock(now_ms=lambda: NOW_MS)
TOKEN = "tok-3cr3t-0123456789"
NOW = "Sun, 18 Aug 2024 16:53:20 GMT"


def open_caller(*, timeout_seconds: float = 10, max_body_bytes: int = 2**20) -> Caller:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    session = open_session(headers=headers, timeout_seconds=timeout_seconds, concurrency=2)
    return Caller(session, clock=CLOCK, secrets=(TOKEN,), max_body_bytes=max_body_bytes)


async def failure_of(caller: Caller, url: str, *, is_effect: bool = True, method: str = "PUT") -> PlatformFailure:
    with pytest.raises(PlatformFailure) as caught:
        await caller.call(method, URL(url), is_effect=is_effect, body=b"{}" if is_effect else None)
    return caught.value


async def hang_up_on_a_put(arrived: list[str], request: web.Request) -> web.Response:
    await request.read()
    arrived.append(request.method)
    if request.method == "PUT":
        assert request.transport is not None
        request.transport.close()
    return web.json_response({})


async def test_a_put_leaves_once_when_its_kept_alive_connection_drops() -> None:
    arrived: list[str] = []
    async with serving(partial(hang_up_on_a_put, arrived)) as base_url, open_caller() as caller:
        await caller.call("GET", URL(base_url), is_effect=False)
        failure = await failure_of(caller, base_url)
    assert arrived == ["GET", "PUT"]
    assert isinstance(failure, Transient)
    assert failure.is_ambiguous


@pytest.mark.parametrize("is_guarded", [True, False])
async def test_a_put_leaves_once_where_the_session_itself_sends_it(is_guarded: bool) -> None:
    """The unguarded half shows that this test can fail: aiohttp by itself sends the PUT again (aiohttp#10790)."""
    arrived: list[str] = []
    async with serving(partial(hang_up_on_a_put, arrived)) as base_url, open_caller() as caller:
        session = caller._session
        if not is_guarded:
            session._retry_connection = True
        await (await session.get(base_url)).read()
        with pytest.raises(aiohttp.ClientConnectionError):
            await session.put(base_url, data=b"{}")
    assert arrived == (["GET", "PUT"] if is_guarded else ["GET", "PUT", "PUT"])


@pytest.mark.parametrize("is_effect", [True, False])
async def test_a_dropped_answer_is_ambiguous_only_for_effects(is_effect: bool) -> None:
    async with serving(drop) as base_url, open_caller() as caller:
        failure = await failure_of(caller, base_url, is_effect=is_effect)
    assert isinstance(failure, Transient)
    assert failure.is_ambiguous is is_effect


async def test_a_refused_connection_is_not_ambiguous() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        async with open_caller() as caller:
            failure = await failure_of(caller, f"http://127.0.0.1:{unused.getsockname()[1]}/")
    assert isinstance(failure, Transient)
    assert not failure.is_ambiguous


async def test_a_server_without_tls_is_not_ambiguous() -> None:
    async with serving(answering(b"{}")) as base_url, open_caller() as caller:
        failure = await failure_of(caller, base_url.replace("http:", "https:"))
    assert isinstance(failure, Transient)
    assert not failure.is_ambiguous


async def test_an_answer_that_does_not_come_in_time_is_ambiguous() -> None:
    async def handler(request: web.Request) -> web.Response:
        await anyio.sleep_forever()
        raise AssertionError

    async with serving(handler) as base_url, open_caller(timeout_seconds=0.2) as caller:
        failure = await failure_of(caller, base_url)
    assert isinstance(failure, Transient)
    assert failure.is_ambiguous
    assert failure.detail == "no answer in time"


@pytest.mark.parametrize("body", [b'{"cut": ', b""])
async def test_an_answer_that_breaks_off_is_ambiguous(body: bytes) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        await request.read()
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(body)
        assert request.transport is not None
        request.transport.close()
        return response

    async with serving(handler) as base_url, open_caller() as caller:
        failure = await failure_of(caller, base_url)
    assert isinstance(failure, Transient)
    assert failure.is_ambiguous


async def test_an_answer_that_is_not_http_is_ambiguous_and_its_error_shows_no_header() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server, open_caller() as caller:
        failure = await failure_of(caller, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    assert isinstance(failure, Transient)
    assert failure.is_ambiguous
    assert failure.__cause__ is None
    assert failure.__context__ is None
    assert TOKEN not in "".join(traceback.format_exception(failure))


@pytest.mark.parametrize("is_chunked", [True, False])
async def test_an_endless_answer_is_cut_off(is_chunked: bool) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        if is_chunked:
            response.enable_chunked_encoding()
        else:
            response.content_length = 2000
        await response.prepare(request)
        await response.write(b"x" * 2000)
        return response

    async with serving(handler) as base_url, open_caller(max_body_bytes=1000) as caller:
        failure = await failure_of(caller, base_url, is_effect=False, method="GET")
    assert isinstance(failure, Transient)
    assert failure.detail == "the answer is larger than 1000 bytes"


async def test_a_compressed_answer_is_measured_unpacked() -> None:
    async def handler(request: web.Request) -> web.Response:
        response = web.Response(body=b"x" * 100_000)
        response.enable_compression()
        return response

    async with serving(handler) as base_url:
        async with open_caller(max_body_bytes=10_000) as caller:
            failure = await failure_of(caller, base_url, is_effect=False, method="GET")
        async with open_caller(max_body_bytes=100_000) as caller:
            answer = await caller.call("GET", URL(base_url), is_effect=False)
    assert "larger than" in failure.detail
    assert answer.body == b"x" * 100_000


async def test_redirects_are_not_followed_and_take_no_token_along() -> None:
    seen: list[str] = []

    async def elsewhere(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Authorization", ""))
        return web.Response()

    async with (
        serving(elsewhere) as other,
        serving(answering(b"", 307, Location=other)) as base_url,
        open_caller() as caller,
    ):
        failure = await failure_of(caller, base_url)
    assert seen == []
    assert isinstance(failure, Transient)
    assert not failure.is_ambiguous
    assert other in failure.detail


@pytest.mark.parametrize(
    ("status", "retry_after", "is_ambiguous", "seconds"),
    [
        (429, None, False, 30),
        (429, "7", False, 7),
        (429, "2.5", False, 2.5),
        (429, "0", False, 1),
        (429, "999999", False, 3600),
        (429, "Sun, 18 Aug 2024 16:54:20 GMT", False, 60),
        (429, "Sun, 18 Aug 2024 16:00:00 GMT", False, 1),
        (429, "soon", False, 30),
        (503, "5", True, 5),
        (503, None, True, None),
        (500, None, True, None),
        (502, None, True, None),
        (504, "5", True, None),
        (408, None, True, None),
    ],
)
async def test_a_status_that_can_pass_is_transient(
    status: int, retry_after: str | None, is_ambiguous: bool, seconds: float | None
) -> None:
    with MockedHttp() as http:
        http.put("http://shop/", status=status, headers={"Retry-After": retry_after} if retry_after else {})
        async with open_caller() as caller:
            failure = await failure_of(caller, "http://shop/")
    assert isinstance(failure, Transient)
    assert failure.is_ambiguous is is_ambiguous
    assert failure.retry_after_seconds == seconds


@pytest.mark.parametrize("is_effect", [True, False])
async def test_an_answer_that_changes_the_protocol_is_no_success(is_effect: bool) -> None:
    """A proxy's: nobody of the platform said that something was done."""
    hung_up = anyio.Event()

    async def switch(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n")
        await reader.read()  # to its end
        writer.close()
        hung_up.set()

    server = await asyncio.start_server(switch, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with server, open_caller() as caller:
        failure = await failure_of(caller, url, is_effect=is_effect)
        with anyio.fail_after(60):
            await hung_up.wait()
    assert isinstance(failure, Transient)
    assert failure.is_ambiguous is is_effect


async def test_a_refused_token_is_access_denied() -> None:
    with MockedHttp() as http:
        http.put("http://shop/", status=401, payload={"message": "Unauthenticated."})
        async with open_caller() as caller:
            failure = await failure_of(caller, "http://shop/")
    assert isinstance(failure, AccessDenied)
    assert failure.detail == "HTTP 401: Unauthenticated."


@pytest.mark.parametrize(
    ("status", "body", "detail"),
    [
        (404, b"", "HTTP 404 without a message"),
        (404, b"{}", "HTTP 404 without a message"),
        (400, b'["Order is locked."]', 'HTTP 400: ["Order is locked."]'),
        (
            400,
            b'{"order_lines": [{}, {"product": {"key": ["Unknown."]}}]}',
            'HTTP 400: {"order_lines": [{}, {"product": {"key": ["Unknown."]}}]}',
        ),
        (400, b'{"address": {"name": "Jane"}, "lines": [{"name": "Jane"}], "ids": [[]]}', "HTTP 400 without a message"),
        (502, b"502", "HTTP 502 without a message"),
        (502, b"502 502 Bad Gateway", "HTTP 502: Bad Gateway"),
        (502, b"<title>502 Bad Gateway</title><h1>502 Bad Gateway</h1>nginx", "HTTP 502: Bad Gateway nginx"),
        (502, b'{"code": 502, "message": "502 Bad Gateway"}', "HTTP 502: Bad Gateway"),
        (404, b"4041 is no article", "HTTP 404: 4041 is no article"),
        (404, b"404 page not found", "HTTP 404: page not found"),
    ],
)
async def test_the_status_is_reported_once(status: int, body: bytes, detail: str) -> None:
    with MockedHttp() as http:
        http.put("http://shop/", status=status, body=body)
        async with open_caller() as caller:
            answer = await caller.call("PUT", URL("http://shop/"), is_effect=True) if status < 500 else None
            message = caller.words(answer) if answer else (await failure_of(caller, "http://shop/")).detail
    assert message == detail


@pytest.mark.parametrize("status", [200, 201, 204, 400, 403, 404, 409, 422])
async def test_other_statuses_are_for_the_client_to_judge(status: int) -> None:
    with MockedHttp() as http:
        http.put("http://shop/", status=status, body=b"{}")
        async with open_caller() as caller:
            answer = await caller.call("PUT", URL("http://shop/"), is_effect=True)
    assert (answer.status, answer.body) == (status, b"{}")


async def test_a_secret_that_the_platform_echoes_does_not_show() -> None:
    with MockedHttp() as http:
        http.put("http://shop/", status=500, body=f"no access for Bearer {TOKEN} {'x' * 1000}")
        async with open_caller() as caller:
            failure = await failure_of(caller, "http://shop/")
    assert TOKEN not in failure.detail
    assert "Bearer ***" in failure.detail
    assert len(failure.detail) == DETAIL_LENGTH


async def test_a_body_above_the_usual_stream_limit_arrives_through_the_shim() -> None:
    with MockedHttp() as http:
        http.get("http://shop/", body=b"x" * 300_000)
        async with open_caller() as caller:
            answer = await caller.call("GET", URL("http://shop/"), is_effect=False)
    assert len(answer.body) == 300_000


async def test_aioresponses_still_needs_the_shim() -> None:
    """A canary: when this fails, tests/support/aioresponses_compat.py can go (aioresponses#289)."""
    with aioresponses() as http:
        http.get("http://shop/")
        async with open_caller() as caller:
            with pytest.raises(TypeError, match="stream_writer"):
                await caller.call("GET", URL("http://shop/"), is_effect=False)


def test_a_retry_date_is_held_against_the_platforms_own_clock() -> None:
    headers = {"Retry-After": "Sun, 18 Aug 2024 10:00:30 GMT", "Date": "Sun, 18 Aug 2024 10:00:00 GMT"}
    assert retry_after_seconds(headers, CLOCK) == 30


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_retry_after_makes_trouble(text: str, date: str) -> None:
    seconds = retry_after_seconds({"Retry-After": text, "Date": date}, CLOCK)
    assert seconds is None or 1 <= seconds <= 3600


@given(st.binary(max_size=200))
def test_any_error_body_has_a_text(body: bytes) -> None:
    assert isinstance(error_text(body), str)


@pytest.mark.parametrize("depth", [200, 400, 900, 5000])
def test_an_error_that_is_nested_deeply_has_a_text(depth: int) -> None:
    deep = b"[" * depth + b'"a"' + b"]" * depth
    for body in (deep, b'{"errors": %s}' % deep, b'{"message": %s}' % deep, b'{"state": %s}' % deep):
        assert isinstance(error_text(body), str)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"error": "NO", "error_msg": "no way"}', "NO – no way"),
        (b'{"error": true, "code": 17, "error_msg": "no way"}', "17 – no way"),
        (b'{"message": "bad", "errors": {"url": ["wrong"]}}', 'bad – {"url": ["wrong"]}'),
        (b'{"errors": "[API] Invalid API key or access token"}', "[API] Invalid API key or access token"),
        (b"<html><style>p {}</style><p>Just a\n moment</p></html>", "Just a moment"),
        (b"[1]", ""),
        (
            b'{"code": "rest_invalid_param", "message": "Bad.", "data": {"params": {"status": "not one of a, b"}}}',
            "rest_invalid_param – Bad. – status: not one of a, b",
        ),
        (b'{"code": "rest_missing", "message": "Bad.", "data": {"params": ["note"]}}', "rest_missing – Bad. – note"),
        (b'{"data": {"params": {"name": "Jane Roe"}}}', ""),
        (b'{"code": "bad", "data": {"params": {"a": {"name": "Jane Roe"}, "b": 1}}}', "bad"),
        (b'{"code": "bad", "data": {"params": "Jane Roe"}}', "bad"),
        (b'{"code": "bad", "data": [{"params": ["Jane Roe"]}]}', "bad"),
        (b'{"receiver_info": {"name": "Jane Roe"}}', ""),
    ],
)
def test_only_the_texts_of_an_error_are_reported(body: bytes, words: str) -> None:
    assert error_text(body) == words


@pytest.mark.parametrize(
    ("date", "status", "detail"),
    [
        (NOW, "ok", "within 60 s of the platform's"),
        ("Sun, 18 Aug 2024 16:50:00 GMT", "warning", "ours is 200 s ahead of the platform's"),
        ("Sun, 18 Aug 2024 16:55:00 GMT", "warning", "ours is 100 s behind the platform's"),
        ("", "warning", "the platform sends no date"),
    ],
)
def test_a_skewed_clock_is_worth_a_warning(date: str, status: str, detail: str) -> None:
    finding = skew_finding(Answer(200, b"", CIMultiDictProxy(CIMultiDict({"Date": date}))), CLOCK)
    assert (finding.check, finding.status, finding.detail) == ("clock", status, detail)


@pytest.mark.parametrize("is_effect", [True, False])
async def test_a_call_that_outlasts_its_shop_is_to_be_made_again_and_was_not_sent(is_effect: bool) -> None:
    caller = open_caller()
    await caller.aclose()
    failure = await failure_of(caller, "http://127.0.0.1:1/", is_effect=is_effect)
    assert isinstance(failure, Transient)
    assert not failure.is_ambiguous
    assert "config changed" in failure.detail
