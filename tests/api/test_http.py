"""What HTTP itself can get wrong: paths, methods, types, sizes, tokens, and bytes that are no HTTP at all."""

from __future__ import annotations

import base64
import io
import json
import socket

import aiohttp
import anyio
import anyio.lowlevel
import pytest
import structlog.testing

from tests.api.bench import TOKEN, Bench, an_order, bench
from tests.support.ports import free_port

TARGETS = "/v1/shops/acme/orders/67890/targets"
JSON = {"Content-Type": "application/json"}


async def test_a_path_that_is_not_there_is_a_problem() -> None:
    async with bench() as b:
        for path in ("/v1", "/v2/orders", "/v1/shops//orders/1", "/v1/orders/", "/%00", "/v1/invoices"):
            got = await b.get(path)
            assert (got.status, got.slug) == (404, "not-found")


async def test_a_method_that_is_not_taken_says_which_are() -> None:
    async with bench() as b:
        got = await b.call("PATCH", "/v1/targets/x")
        assert (got.status, got.slug) == (405, "method-not-allowed")
        assert set(got.headers["Allow"].split(",")) == {"GET", "HEAD", "DELETE"}
        assert (await b.call("HEAD", "/v1/targets")).status == 405


async def test_head_answers_as_get_does_without_the_body() -> None:
    async with bench(an_order()) as b:
        for path in ("/v1/orders", "/v1/shops/acme/orders/67890", "/openapi.json", "/", "/v1/orders?limit=0"):
            full, head = await b.get(path), await b.call("HEAD", path)
            assert (head.status, head.body) == (full.status, b"")
            assert head.headers["Content-Type"] == full.headers["Content-Type"]
            assert head.headers["Content-Length"] == str(len(full.body))


async def test_head_of_what_streams_ends_at_once() -> None:
    async with bench(an_order()) as b:
        with anyio.fail_after(60):
            got = await b.call("HEAD", "/v1/events", headers={"Accept": "text/event-stream"})
            assert (got.status, got.headers["Content-Type"], got.body) == (200, "text/event-stream", b"")
            assert (await b.call("HEAD", "/v1/dump")).headers["Content-Type"] == "application/x-ndjson"
            assert (await b.get("/v1/health")).json() == {"status": "ok"}


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"state": "shipped"} x',
        b"\xff{}",
        b'{"state": NaN}',
        b'{"delivery_info": {"n": 1e999}}',
        b'{"delivery_info": {"n": -1e999}}',
        b'{"delivery_info": {"n": 1e-400}}',
        b'{"items": [{"id": "1", "quantity": 1.00000000000000000001}]}',
        b'{"items": [{"id": "1", "quantity": 9007199254740993.0}]}',
        b'{"delivery_info":' + b'{"a":' * 100 + b"1" + b"}" * 101,
        b"[" * 100_000,
        b'{"items": [' + b"9" * 5000 + b"]}",
        b'{"state": "a\x00b"}',
    ],
)
async def test_a_body_that_is_not_json_is_reported_so(body: bytes) -> None:
    async with bench(an_order()) as b:
        got = await b.call("POST", TARGETS, data=body, headers=JSON)
        assert (got.status, got.slug) == (400, "malformed-json")


@pytest.mark.parametrize("body", [b"", b"  ", b"null", b"[]", b'"shipped"', b"5", b"true"])
async def test_a_body_that_is_no_object_is_no_target(body: bytes) -> None:
    async with bench(an_order()) as b:
        got = await b.call("POST", TARGETS, data=body, headers=JSON)
        assert (got.status, got.slug) == (422, "invalid-target")


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (b'{"state": "\\u0000"}', "state"),
        (b'{"state": "shipped", "tracking": {"code": "\\ud83d"}}', "tracking.code"),
        (b'{"state": "shipped", "items": ["1", "\\udc00"]}', "items[1]"),
        (b'{"state": "shipped", "delivery_info": {"a": [{"\\u0000b": 1}]}}', "delivery_info.a[0].?b"),
    ],
)
async def test_text_that_cannot_be_kept_is_refused_where_it_is(body: bytes, path: str) -> None:
    async with bench(an_order()) as b:
        got = await b.call("POST", TARGETS, data=body, headers=JSON)
        assert got.slug == "invalid-target"
        assert [error["path"] for error in got.json()["errors"]] == [path]


async def test_a_whole_surrogate_pair_is_a_character_like_others() -> None:
    async with bench(an_order()) as b:
        body = b'{"state": "shipped", "tracking": {"code": "\\ud83d\\udce6"}}'
        got = await b.call("POST", TARGETS, data=body, headers=JSON)
        assert got.status == 202
        tracking = b.commands.submitted[0][2].tracking
        assert tracking is not None
        assert tracking.code == "📦"


async def test_a_body_that_is_too_large_is_refused() -> None:
    async with bench(an_order()) as b:
        body = io.BytesIO(json.dumps({"state": "shipped", "reason": "x" * 1024 * 1024}).encode())
        got = await b.call("POST", TARGETS, data=body, headers=JSON)
        assert (got.status, got.slug) == (413, "body-too-large")


@pytest.mark.parametrize("media_type", ["text/plain", "multipart/form-data; boundary=x", "nonsense"])
async def test_a_body_of_another_type_is_refused(media_type: str) -> None:
    async with bench(an_order()) as b:
        got = await b.call("POST", TARGETS, data=b'{"state": "shipped"}', headers={"Content-Type": media_type})
        assert (got.status, got.slug) == (415, "unsupported-media-type")


@pytest.mark.parametrize("media_type", ["application/json; charset=utf-8", "Application/JSON", "application/a+json"])
async def test_json_by_any_of_its_names_is_taken(media_type: str) -> None:
    async with bench(an_order()) as b:
        got = await b.call("POST", TARGETS, data=b'{"state": "accepted"}', headers={"Content-Type": media_type})
        assert got.status == 202


async def test_a_mark_before_a_body_is_no_part_of_it() -> None:
    async with bench(an_order()) as b:
        body = b'\xef\xbb\xbf{"state": "accepted"}\r\n'
        assert (await b.call("POST", TARGETS, data=body, headers=JSON)).status == 202


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
async def test_a_body_in_another_encoding_is_refused_in_words(encoding: str) -> None:
    async with bench(an_order()) as b:
        body = '{"state": "accepted"}'.encode(encoding)
        got = await b.call("POST", TARGETS, data=body, headers=JSON)
        assert (got.status, got.slug) == (400, "malformed-json")
        assert "send UTF-8" in got.json()["detail"]


TAKE_NOTHING = (
    *(("POST", f"/v1/shops/acme/orders/67890/{name}") for name in ("retry", "release", "cancel", "refresh")),
    *(("POST", f"/v1/shops/acme/{name}") for name in ("resume", "sync")),
    *(("POST", path) for path in ("/v1/rejected/7/retry", "/v1/delivery/orders_url/pause")),
    ("DELETE", "/v1/targets/x"),
)


@pytest.mark.parametrize(("method", "path"), TAKE_NOTHING)
async def test_a_call_that_takes_no_body_refuses_one(method: str, path: str) -> None:
    async with bench(an_order()) as b:
        unknown = await b.call(method, path, json={"reason": "x", "force": True})
        assert (unknown.status, unknown.slug) == (422, "invalid-request")
        expected = [{"path": name, "message": "is not known"} for name in ("reason", "force")]
        assert unknown.json()["errors"] == expected
        assert (await b.call(method, path, data=b"{", headers=JSON)).slug == "malformed-json"
        assert (await b.call(method, path, data=b"[1]", headers=JSON)).slug == "invalid-request"
        assert (await b.call(method, path, data=b"x", headers={"Content-Type": "text/plain"})).status == 415


@pytest.mark.parametrize("body", [None, b"", b" ", b"{}"])
async def test_a_call_that_takes_no_body_takes_an_empty_one(body: bytes | None) -> None:
    async with bench(an_order()) as b:
        assert (await b.call("POST", "/v1/shops/acme/orders/67890/refresh", data=body, headers=JSON)).status == 200


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b'{"state": "shipped", "state": "accepted"}', "`state`"),
        (b'{"state": "shipped", "tracking": {"code": "1", "url": "u", "code": "1"}}', "`code`"),
        (b'{"state": "shipped", "%s": 1, "%s": 1}' % (b"x" * 999, b"x" * 999), "`" + "x" * 60 + "…`"),
    ],
)
async def test_a_member_that_is_there_twice_is_not_json(body: bytes, name: str) -> None:
    async with bench(an_order()) as b:
        got = await b.call("POST", TARGETS, data=body, headers=JSON)
        assert (got.status, got.slug) == (400, "malformed-json")
        assert got.json()["detail"] == f"the member {name} is there twice"
        assert b.commands.submitted == []


@pytest.mark.parametrize("query", ["limit=%", "limit=%zz", "reference=%ff", "reference=%C0%80"])
async def test_broken_escapes_are_refused(query: str) -> None:
    async with bench() as b:
        got = await raw(b, f"GET /v1/orders?{query} HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert got.startswith(b"HTTP/1.1 422 ")
        assert b'"invalid-request"' in got


async def raw(b: Bench, text: str | bytes) -> bytes:
    """Sends bytes as they are and reads until the daemon has answered."""
    request = text.encode() if isinstance(text, str) else text

    def talk() -> bytes:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(20)
            sock.connect(str(b.served.socket))
            sock.sendall(request)
            got = b""
            while b"\r\n\r\n" not in got:
                part = sock.recv(65536)
                if not part:
                    return got
                got += part
            head, _, body = got.partition(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
            while len(body) < length:
                body += sock.recv(65536)
            return head + b"\r\n\r\n" + body

    return await anyio.to_thread.run_sync(talk)


@pytest.mark.parametrize(
    "request_text",
    [
        "nonsense\r\n\r\n",
        "GET /v1/health HTTP/1.1\r\nHost: localhost\r\nbad header\r\n\r\n",
        "GET /v1/health HTTP/1.1\r\nHost: localhost\r\nX: a\x00b\r\n\r\n",
        "GET /v1/" + "x" * 20_000 + " HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /v1/health HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\nX-Long: " + "x" * 20_000 + "\r\n\r\n",
        "POST /v1/targets HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        "GET /v1/health HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer top-secret\x01\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_a_problem_too(request_text: str) -> None:
    async with bench() as b:
        got = await raw(b, request_text)
        head, _, body = got.partition(b"\r\n\r\n")
        assert b" 400 " in head.splitlines()[0]
        assert b"application/problem+json" in head
        assert b"Server: fulfilld" in head.splitlines()
        assert json.loads(body)["type"] == "malformed-request"
        assert b"top-secret" not in body


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (
            "POST /v1/targets HTTP/1.1\r\nHost: localhost\r\nContent-Encoding: zstd\r\nContent-Length: 100000\r\n\r\n",
            415,
        ),
        ("POST /v1/targets HTTP/1.1\r\nHost: localhost\r\nContent-Encoding: br\r\nContent-Length: 100000\r\n\r\n", 415),
        ("POST /v1/targets HTTP/1.1\r\nHost: localhost\r\nbad header\r\nContent-Length: 100000\r\n\r\n", 400),
    ],
)
async def test_who_is_refused_amid_a_body_may_send_the_rest(head: str, status: int) -> None:
    def talk(path: str) -> bytes:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(60)
            sock.connect(path)
            sock.sendall(head.encode())
            got = b""
            while part := sock.recv(65536):
                got += part
            sock.sendall(b"x" * 100_000)
            return got

    async with bench() as b:
        got = await anyio.to_thread.run_sync(talk, str(b.served.socket))
        assert f" {status} ".encode() in got.splitlines()[0]


async def test_a_broken_encoding_of_a_body_is_a_problem() -> None:
    async with bench(an_order()) as b:
        got = await b.call("POST", TARGETS, data=b"not gzip", headers={**JSON, "Content-Encoding": "gzip"})
        assert (got.status, got.slug) == (400, "malformed-request")


@pytest.mark.parametrize("head", ["Content-Length: 99", "Transfer-Encoding: chunked"])
async def test_a_client_that_goes_away_amid_its_body_alarms_nobody(head: str) -> None:
    async with bench(an_order()) as b:
        with structlog.testing.capture_logs() as logs:
            with socket.socket(socket.AF_UNIX) as sock:
                sock.connect(str(b.served.socket))
                sock.sendall(f"POST {TARGETS} HTTP/1.1\r\nHost: localhost\r\n{head}\r\n\r\n5\r\n{{".encode())
            with anyio.fail_after(60):
                while b'status="400"' not in b.metrics.render({}):
                    await anyio.lowlevel.checkpoint()
        assert logs == []
        assert b.commands.submitted == []


async def test_a_client_that_asks_first_may_go_on() -> None:
    async with bench(an_order()) as b:
        assert (await b.post(TARGETS, {"state": "accepted"}, expect100=True)).status == 202
        assert (await b.post(TARGETS, {"state": "accepted"}, headers={"Expect": "miracles"})).status == 202


async def test_answers_name_no_framework() -> None:
    async with bench() as b:
        got = await b.get("/v1/health")
        assert got.headers["Server"] == "fulfilld"
        assert got.headers["X-Content-Type-Options"] == "nosniff"


# -- TCP ---------------------------------------------------------------------------------------------------------------


EVERY_KIND = ("/", "/v1/status", "/metrics", "/openapi.json", "/nowhere", "/v1/shops/nope")


async def over_tcp(b: Bench, method: str, path: str, authorization: str | None) -> tuple[int, str, str]:
    assert b.served.tcp is not None
    headers = {} if authorization is None else {"Authorization": authorization}
    url = f"http://{b.served.tcp[0]}:{b.served.tcp[1]}{path}"
    async with aiohttp.ClientSession() as session, session.request(method, url, headers=headers) as response:
        return response.status, response.headers.get("WWW-Authenticate", ""), await response.text()


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


async def test_over_tcp_every_call_needs_the_token() -> None:
    async with bench(tcp={"port": free_port(), "token": TOKEN}) as b:
        for path in EVERY_KIND:
            for wrong in (
                None,
                "Bearer",
                "Bearer x",
                f"Token {TOKEN}",
                "Basic !!!",
                basic(TOKEN, "x"),
                f"Basic {TOKEN}",
            ):
                status, challenge, text = await over_tcp(b, "GET", path, wrong)
                assert (status, json.loads(text)["type"]) == (401, "unauthorized")
                assert challenge.startswith("Bearer")
                assert TOKEN not in text
        assert (await over_tcp(b, "GET", "/v1/status", f"Bearer {TOKEN}"))[0] == 200
        assert (await over_tcp(b, "GET", "/v1/status", f"bearer  {TOKEN} "))[0] == 200
        assert (await over_tcp(b, "GET", "/nowhere", f"Bearer {TOKEN}"))[0] == 404


async def test_a_browser_may_look_with_the_token_as_password_but_change_nothing() -> None:
    async with bench(tcp={"port": free_port(), "token": TOKEN}) as b:
        assert (await over_tcp(b, "GET", "/v1/status", basic("anybody", TOKEN)))[0] == 200
        assert (await over_tcp(b, "HEAD", "/v1/status", basic("anybody", TOKEN)))[0] == 200
        assert (await over_tcp(b, "HEAD", "/v1/status", None))[0] == 401
        assert (await over_tcp(b, "POST", "/v1/shops/acme/pause", basic("anybody", TOKEN)))[0] == 401
        assert (await over_tcp(b, "POST", "/v1/shops/acme/pause", f"Bearer {TOKEN}"))[0] == 200


@pytest.mark.parametrize(
    ("method", "authorization", "words"),
    [
        ("GET", None, "calls over TCP need the header"),
        ("GET", "Bearer", "calls over TCP need the header"),
        ("GET", f"Token {TOKEN}", "calls over TCP need the header"),
        ("GET", "Bearer another", "the token is wrong"),
        ("GET", basic("anybody", "another"), "the token is wrong"),
        ("POST", basic("anybody", "another"), "Basic may only read"),
        ("POST", basic("anybody", TOKEN), "Basic may only read"),
    ],
)
async def test_a_call_without_access_is_reported_what_is_wrong_with_it(
    method: str, authorization: str | None, words: str
) -> None:
    async with bench(tcp={"port": free_port(), "token": TOKEN}) as b:
        path = "/v1/status" if method == "GET" else "/v1/shops/acme/pause"
        status, challenge, text = await over_tcp(b, method, path, authorization)
        assert (status, json.loads(text)["type"]) == (401, "unauthorized")
        assert json.loads(text)["detail"].startswith(words)
        assert challenge.startswith("Bearer")
        assert TOKEN not in text


async def test_on_the_unix_socket_nobody_is_asked_for_a_token() -> None:
    async with bench(tcp={"port": free_port(), "token": TOKEN}) as b:
        assert (await b.get("/v1/status")).status == 200
        assert (await b.get("/v1/status", headers={"Authorization": "Bearer wrong"})).status == 200
