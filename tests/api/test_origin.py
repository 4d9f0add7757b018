"""A page from elsewhere has a browser ask: refused on socket and TCP alike. Programs ask as ever."""

from __future__ import annotations

import base64
import gzip
import json
import re
import zlib
from collections.abc import Mapping
from urllib.parse import quote

import aiohttp
import pytest

from orchestrator.api.dashboard import page
from orchestrator.api.routes import ROUTES
from tests.api.bench import TOKEN, Bench, Got, an_order, bench
from tests.api.test_http import JSON, TARGETS, raw
from tests.support.ports import free_port

PAUSE = "/v1/shops/acme/pause"
FOREIGN: tuple[Mapping[str, str], ...] = (
    {"Origin": "http://evil.example"},
    {"Origin": "https://evil.example:8440"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "http://localhost:3000"},
    {"Origin": "http://127.0.0.1"},
    {"Origin": "http://localhost.evil.example"},
    {"Origin": "http://evil.example@localhost"},
    {"Origin": "file://"},
    {"Origin": "chrome-extension://abcdefghijklmnop"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "Cross-Site"},
    {"Origin": "http://localhost", "Sec-Fetch-Site": "cross-site"},
    {"Host": "evil.example"},
    {"Host": "evil.example:8440"},
    {"Host": "localhost.evil.example"},
    {"Host": "127.0.0.1.evil.example"},
    {"Host": "192.168.1.7"},
    {"Host": "[fe80::1]:8440"},
    {"Host": "evil.example", "Origin": "http://evil.example"},  # a rebound name: the page is of our origin
    {"Host": "fulfilld:8440"},
    {"Host": "a b"},
    {"Host": "@"},
    {"Host": "localhost.."},
    {"Host": "localhost:80:80"},
    {"Host": "user@localhost"},
    {"Host": "localhost/.evil.example"},
    {"Host": "0.0.0.0"},
    {"Host": "[::]"},
    {"Host": "evil.localhost"},
    {"Origin": "NULL"},
    {"Origin": "http://localhost/"},
    {"Origin": "http://localhost, http://evil.example"},
    {"Origin": "ws://localhost"},
    {"Sec-Fetch-Site": "same-origin, cross-site"},
    {"Sec-Fetch-Site": ""},
)


def label(headers: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value!r}" for name, value in headers.items())


async def ask(b: Bench, method: str, path: str, headers: Mapping[str, str], *, is_tcp: bool) -> Got:
    """With `Host: localhost`, unless something else is said."""
    sent = {"Host": "localhost", **headers}
    if not is_tcp:
        return await b.call(method, path, headers=sent)
    assert b.served.tcp is not None
    url = f"http://{b.served.tcp[0]}:{b.served.tcp[1]}{path}"
    async with aiohttp.ClientSession() as session, session.request(method, url, headers=sent) as response:
        return Got(response.status, response.headers, await response.read())


@pytest.mark.parametrize("headers", FOREIGN, ids=label)
async def test_a_page_from_elsewhere_may_neither_look_nor_change_anything(headers: Mapping[str, str]) -> None:
    async with bench(an_order(), tcp={"port": free_port(), "token": TOKEN}) as b:
        for is_tcp in (False, True):
            for authorization in ({}, {"Authorization": f"Bearer {TOKEN}"}):
                for method, path in (("GET", "/v1/status"), ("POST", PAUSE), ("GET", "/"), ("OPTIONS", PAUSE)):
                    got = await ask(b, method, path, {**headers, **authorization}, is_tcp=is_tcp)
                    assert (got.status, got.slug) == (403, "cross-origin"), (method, path)
                    assert "WWW-Authenticate" not in got.headers
                    assert not [name for name in got.headers if name.lower().startswith("access-control")]
        assert not (await b.get("/v1/shops/acme")).json()["paused"]


async def test_a_page_from_elsewhere_reads_no_stream() -> None:
    async with bench() as b:
        headers = {"Accept": "text/event-stream", "Origin": "http://evil.example"}
        assert (await b.get("/v1/events", headers=headers)).slug == "cross-origin"


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "LOCALHOST", "localhost.", "localhost:8440", "localhost:99999", "localhost:"),
        *("127.0.0.1", "127.0.0.1:8440", "127.8.9.1", "127.1:80", "2130706433", "0x7f.1"),
        *("[::1]", "[::1]:8440", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]:8440"),
    ],
)
async def test_loopback_may_be_asked_by_any_of_its_names(host: str) -> None:
    async with bench(tcp={"port": free_port(), "token": TOKEN}) as b:
        for is_tcp in (False, True):
            headers = {"Host": host, "Authorization": f"Bearer {TOKEN}"}
            assert (await ask(b, "GET", "/v1/status", headers, is_tcp=is_tcp)).status == 200
            assert (await ask(b, "POST", PAUSE, headers, is_tcp=is_tcp)).status == 200


async def test_over_tcp_a_word_is_no_name_of_the_daemon() -> None:
    async with bench(tcp={"port": free_port(), "token": TOKEN}) as b:
        headers = {"Host": "fulfilld", "Authorization": f"Bearer {TOKEN}"}
        assert (await ask(b, "GET", "/v1/status", headers, is_tcp=True)).slug == "cross-origin"


async def test_the_socket_may_be_asked_by_its_own_names_and_by_any_word() -> None:
    async with bench() as b:
        path = str(b.served.socket)
        for host in (path, quote(path, safe=""), b.served.socket.name, "unix", "d", "fulfilld", "_"):
            assert (await raw(b, f"GET /v1/health HTTP/1.1\r\nHost: {host}\r\n\r\n")).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("head", ["HTTP/1.0\r\n", "HTTP/1.0\r\nHost:\r\n", "HTTP/1.1\r\nHost:\r\n"])
async def test_a_program_that_names_no_host_is_served(head: str) -> None:
    async with bench() as b:
        got = await raw(b, f"POST {PAUSE} {head}Content-Length: 0\r\n\r\n")
        assert b" 200 " in got.splitlines()[0]


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("localhost", "http://localhost"),
        ("localhost:8440", "http://localhost:8440"),
        ("127.0.0.1:8440", "http://127.0.0.1:8440"),
        ("[::1]:8440", "http://[::1]:8440"),
        ("localhost", "https://localhost"),
        ("Localhost:80", "http://localhost"),
    ],
)
async def test_the_dashboards_own_page_may_ask(host: str, origin: str) -> None:
    async with bench() as b:
        headers = {"Host": host, "Origin": origin, "Sec-Fetch-Site": "same-origin"}
        assert (await ask(b, "GET", "/v1/status", headers, is_tcp=False)).status == 200
        assert (await ask(b, "GET", "/", {"Host": host, "Sec-Fetch-Site": "none"}, is_tcp=False)).status == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "ff.example"}, 200),
        ({"Host": "FF.example.:8440"}, 200),
        ({"Host": "ff.example", "Origin": "https://ff.example"}, 200),
        ({"Host": "localhost", "Origin": "https://ff.example"}, 200),  # a proxy that sends a Host of its own
        ({"Host": "[2001:DB8:0::7]:443"}, 200),
        ({"Host": "ff.example", "Origin": "https://evil.example"}, 403),
        ({"Host": "ff.example", "Origin": "https://ff.example", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Host": "more.ff.example"}, 403),
    ],
)
async def test_a_host_of_the_config_may_be_asked(headers: Mapping[str, str], status: int) -> None:
    async with bench(hosts=("FF.example", "2001:db8::7")) as b:
        assert (await ask(b, "GET", "/v1/status", headers, is_tcp=False)).status == status


async def test_a_second_host_does_not_hide_the_first() -> None:
    async with bench() as b:
        got = await raw(b, "GET /v1/health HTTP/1.0\r\nHost: localhost\r\nHost: evil.example\r\n\r\n")
        assert b" 403 " in got.splitlines()[0] or b" 400 " in got.splitlines()[0]


@pytest.mark.parametrize(
    "target",
    [
        *("http://evil.example", "https://evil.example:443", "HTTP://Evil.example", "ftp://evil.example"),
        *("http://localhost@evil.example", "http://localhost.evil.example:80", "http://192.168.1.7"),
    ],
)
@pytest.mark.parametrize("version", ["1.1", "1.0"])
async def test_an_absolute_target_names_the_host_that_is_asked(target: str, version: str) -> None:
    async with bench() as b:
        for method, path in (("GET", "/v1/health"), ("POST", PAUSE)):
            asked = f"{method} {target}{path} HTTP/{version}\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
            assert b" 403 " in (await raw(b, asked)).splitlines()[0]
        assert not (await b.get("/v1/shops/acme")).json()["paused"]


@pytest.mark.parametrize(
    ("target", "host", "origin", "status"),
    [
        ("http://localhost:8440", "localhost:8440", "http://localhost:8440", 200),
        ("http://localhost:8440", "localhost:8440", "http://localhost:3000", 403),
        ("http://localhost:8440", "evil.example", "http://localhost:8440", 403),
        ("http://localhost", "evil.example", None, 403),
        ("http://[::1]:8440", "[::1]:8440", None, 200),
    ],
)
async def test_an_absolute_target_is_held_against_the_rest(
    target: str, host: str, origin: str | None, status: int
) -> None:
    async with bench() as b:
        header = "" if origin is None else f"Origin: {origin}\r\n"
        got = await raw(b, f"GET {target}/v1/health HTTP/1.1\r\nHost: {host}\r\n{header}\r\n")
        assert f" {status} ".encode() in got.splitlines()[0]


@pytest.mark.parametrize("header", ["Origin", "Sec-Fetch-Site"])
async def test_a_header_that_is_there_twice_hides_nothing(header: str) -> None:
    own, foreign = {"Origin": ("http://localhost", "http://evil.example"), "Sec-Fetch-Site": ("none", "cross-site")}[
        header
    ]
    async with bench() as b:
        for values in ((own, foreign), (foreign, own)):
            twice = "".join(f"{header}: {value}\r\n" for value in values)
            got = await raw(b, f"GET /v1/health HTTP/1.1\r\nHost: localhost\r\n{twice}\r\n")
            assert b" 403 " in got.splitlines()[0]


async def test_every_route_asks_who_asks() -> None:
    async with bench(an_order(), tcp={"port": free_port(), "token": TOKEN}) as b:
        for route in ROUTES:
            path = re.sub(r"{\w+}", "x", route.path)
            for headers in ({"Origin": "null"}, {"Sec-Fetch-Site": "same-site"}, {"Host": "evil.example"}):
                for is_tcp in (False, True):
                    got = await ask(b, route.method, path, headers, is_tcp=is_tcp)
                    assert (got.status, got.slug) == (403, "cross-origin"), path


async def test_a_refusal_says_what_to_do() -> None:
    async with bench() as b:
        for headers, words in (
            ({"Host": "ff.example"}, ("'ff.example'", "api.hosts")),
            ({"Origin": "https://ff.example"}, ("'https://ff.example'", "api.hosts")),
            ({"Sec-Fetch-Site": "cross-site"}, ("'cross-site'", "type the dashboard's address")),
        ):
            detail = (await ask(b, "GET", "/", headers, is_tcp=False)).json()["detail"]
            assert all(word in detail for word in words), detail


async def test_every_answer_keeps_other_pages_from_including_it() -> None:
    async with bench() as b:
        for path in ("/", "/v1/status", "/nowhere", "/v1/machines/selldone?format=svg"):
            assert (await b.get(path)).headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert (await b.get("/")).headers["Content-Security-Policy"] == page().policy


# -- bodies ------------------------------------------------------------------------------------------------------------

FORMS = ("application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain", "Text/Plain;charset=a")
TAKES_A_BODY = (
    (TARGETS, b'{"state": "accepted"}'),
    ("/v1/shops/acme/orders/67890/hold", b'{"reason": "called"}'),
    (PAUSE, b'{"reason": "stocktaking"}'),
    ("/v1/consumers/erp/ack", b'{"cursor": 0}'),
    ("/v1/targets", b'{"shop": "acme", "order": "67890", "state": "accepted"}'),
    ("/v1/shops/acme/resume", b"{}"),
)


@pytest.mark.parametrize(("path", "body"), TAKES_A_BODY)
async def test_a_body_of_a_forms_type_changes_nothing(path: str, body: bytes) -> None:
    async with bench(an_order()) as b:
        for media_type in FORMS:
            got = await b.call("POST", path, data=body, headers={"Content-Type": media_type})
            assert (got.status, got.slug) == (415, "unsupported-media-type")
            assert "Content-Type: application/" in got.json()["detail"]
        assert b.commands.submitted == []


@pytest.mark.parametrize(("path", "body"), TAKES_A_BODY)
async def test_a_body_without_a_type_changes_nothing(path: str, body: bytes) -> None:
    async with bench(an_order()) as b:
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
        assert (await raw(b, head.encode() + body)).startswith(b"HTTP/1.1 415 ")
        assert b.commands.submitted == []


@pytest.mark.parametrize(("path", "body"), TAKES_A_BODY)
@pytest.mark.parametrize("is_chunked", [False, True])
async def test_neither_pieces_nor_blanks_make_a_form_a_program(path: str, body: bytes, is_chunked: bool) -> None:
    async with bench(an_order()) as b:
        for sent in (body, b" \r\n"):
            pieces = f"{len(sent):x}\r\n".encode() + sent + b"\r\n0\r\n\r\n" if is_chunked else sent
            header = "Transfer-Encoding: chunked" if is_chunked else f"Content-Length: {len(sent)}"
            head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n{header}\r\n\r\n"
            assert (await raw(b, head.encode() + pieces)).startswith(b"HTTP/1.1 415 ")
        assert b.commands.submitted == []
        assert not (await b.get("/v1/shops/acme")).json()["paused"]


@pytest.mark.parametrize("path", [PAUSE, "/v1/shops/acme/resume", "/v1/shops/acme/orders/67890/hold"])
async def test_where_there_is_no_body_its_type_means_nothing(path: str) -> None:
    async with bench(an_order()) as b:
        for media_type in FORMS:
            assert (await b.call("POST", path, headers={"Content-Type": media_type})).status == 200


@pytest.mark.parametrize("encoding", ["br", "zstd", "compress", "gzip, br", "x-unknown", "BR"])
@pytest.mark.parametrize(("path", "body"), TAKES_A_BODY)
async def test_a_content_coding_that_is_not_read_is_refused_with_those_that_are(
    path: str, body: bytes, encoding: str
) -> None:
    async with bench(an_order()) as b:
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        sized = f"{head}Content-Encoding: {encoding}\r\nContent-Length: {len(body)}\r\n\r\n"
        answer, _, problem = (await raw(b, sized.encode() + body)).partition(b"\r\n\r\n")
        assert b" 415 " in answer.splitlines()[0]
        assert b"Accept-Encoding: gzip, deflate" in answer.splitlines()
        assert json.loads(problem)["type"] == "unsupported-media-type"
        assert b"nstall" not in problem
        assert b.commands.submitted == []


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [("gzip", gzip.compress), ("GZIP", gzip.compress), ("deflate", zlib.compress), ("identity", bytes)],
)
async def test_a_content_coding_that_is_read_is_read(encoding: str, pack: object) -> None:
    async with bench(an_order()) as b:
        body = pack(b'{"state": "accepted"}')  # type: ignore[operator]
        got = await b.call("POST", TARGETS, data=body, headers={**JSON, "Content-Encoding": encoding})
        assert got.status == 202


async def test_a_browsers_password_does_not_let_another_page_in() -> None:
    async with bench(tcp={"port": free_port(), "token": TOKEN}) as b:
        kept = "Basic " + base64.b64encode(f"anybody:{TOKEN}".encode()).decode()
        headers = {"Authorization": kept, "Sec-Fetch-Site": "cross-site"}
        assert (await ask(b, "GET", "/v1/orders", headers, is_tcp=True)).slug == "cross-origin"
