"""A browser logs in with the token, and has a session by cookie: reading by it alone, changing with the CSRF token."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from http.cookies import SimpleCookie
from typing import Any

import aiohttp
import anyio
import anyio.lowlevel
import pytest

from orchestrator.api.attempts import MOST_AT_ONCE, SECONDS_EACH
from orchestrator.api.openapi import OWN_PROBLEMS, openapi_document
from orchestrator.api.session import SESSION_SECONDS, Sessions
from orchestrator.clock import Clock
from storage.errors import StoreUnavailable
from storage.sessions import KeptSession
from tests.api.bench import TOKEN, Bench, Got, an_order, bench
from tests.support.ports import free_port

PAUSE = "/v1/shops/acme/pause"
SESSION = "/v1/session"
PAGE = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


class Browser:
    """Keeps its cookie and its page's CSRF token, and sends the headers that browsers send."""

    def __init__(self, b: Bench) -> None:
        assert b.served.tcp is not None
        self.origin = f"http://{b.served.tcp[0]}:{b.served.tcp[1]}"
        self.cookie = ""
        self.csrf: str | None = None

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Got:
        sent = {"Sec-Fetch-Site": "same-origin", **({} if method == "GET" else {"Origin": self.origin})}
        if self.cookie:
            sent["Cookie"] = self.cookie
        async with (
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
            session.request(method, self.origin + path, json=body, headers={**sent, **headers}) as response,
        ):
            return Got(response.status, response.headers, await response.read())

    async def change(self, path: str) -> Got:
        return await self.ask("POST", path, **({} if self.csrf is None else {"X-CSRF-Token": self.csrf}))

    async def log_in(self, token: str = TOKEN) -> Got:
        got = await self.ask("POST", SESSION, {"token": token})
        if got.status == 200:
            [(name, morsel)] = cookie_of(got).items()
            self.cookie, self.csrf = f"{name}={morsel.value}", got.json()["csrf"]
        return got


def cookie_of(got: Got) -> SimpleCookie:
    return SimpleCookie(got.headers["Set-Cookie"])


def tcp() -> Mapping[str, Any]:
    return {"port": free_port(), "token": TOKEN}


async def test_a_browser_without_a_session_gets_the_page_to_log_in_by_and_nothing_else() -> None:
    async with bench(an_order(), tcp=tcp()) as b:
        browser = Browser(b)
        page = await browser.ask("GET", "/", **PAGE)
        assert (page.status, page.headers["Content-Type"]) == (401, "text/html; charset=utf-8")
        # of a scheme that browsers know they would ask for a password before they show the form
        assert page.headers["WWW-Authenticate"] == 'Bearer realm="fulfilld"'
        assert "script-src 'sha256-" in page.headers["Content-Security-Policy"]
        assert b"67890" not in page.body
        for path in ("/v1/status", "/v1/session", "/v1/events", "/metrics"):
            refused = await browser.ask("GET", path, **PAGE)
            assert (refused.status, refused.slug) == (401, "unauthorized")
            assert "Basic" not in refused.headers["WWW-Authenticate"]


async def test_guessing_by_the_form_is_bounded_and_locks_no_caller_out() -> None:
    now = 0.0
    async with bench(tcp=tcp(), clock=replace(Clock(), monotonic=lambda: now)) as b:
        browser = Browser(b)
        guesses = [await browser.log_in(f"a guess {n}") for n in range(MOST_AT_ONCE + 1)]
        assert [got.status for got in guesses] == [*[401] * MOST_AT_ONCE, 429]
        assert guesses[-1].slug == "too-many-attempts"
        held = await browser.log_in()  # nobody learns whether it is the one
        assert (held.status, held.headers["Retry-After"]) == (429, str(int(SECONDS_EACH)))
        assert (await browser.ask("GET", "/v1/status", Authorization=f"Bearer {TOKEN}")).status == 200
        now += SECONDS_EACH
        assert (await browser.log_in()).status == 200
        assert (await browser.log_in()).status == 200  # only wrong ones count
        assert [(await browser.log_in("again")).status for _ in range(2)] == [401, 429]
        now += 3600
        guesses = [await browser.log_in("again") for _ in range(MOST_AT_ONCE + 1)]
        assert [got.status for got in guesses] == [*[401] * MOST_AT_ONCE, 429]


async def test_a_login_gives_a_cookie_that_scripts_and_other_sites_cannot_use() -> None:
    async with bench(tcp=tcp()) as b:
        browser = Browser(b)
        got = await browser.log_in()
        assert got.json()["access"] == "session"
        assert got.headers["Cache-Control"] == "no-store"
        [morsel] = cookie_of(got).values()
        assert morsel["httponly"]
        assert morsel["samesite"] == "Strict"
        assert (morsel["path"], morsel["max-age"]) == ("/", str(SESSION_SECONDS))
        assert not morsel["secure"]
        assert TOKEN not in str(got.headers) + got.body.decode()
        assert morsel.value not in got.body.decode()


async def test_behind_a_proxy_with_tls_the_cookie_goes_over_tls_alone() -> None:
    async with bench(tcp=tcp(), hosts=("erp.example",)) as b:
        browser = Browser(b)
        headers = {"Host": "erp.example", "Origin": "https://erp.example"}
        got = await browser.ask("POST", SESSION, {"token": TOKEN}, **headers)
        [morsel] = cookie_of(got).values()
        assert morsel["secure"]


async def test_a_session_reads_by_its_cookie_and_changes_with_its_csrf_token() -> None:
    async with bench(an_order(), tcp=tcp()) as b:
        browser = Browser(b)
        await browser.log_in()
        assert (await browser.ask("GET", "/", **PAGE)).status == 200
        assert (await browser.ask("GET", "/v1/status")).status == 200
        assert (await browser.ask("GET", SESSION)).json()["csrf"] == browser.csrf
        assert (await browser.change(PAUSE)).status == 200
        assert (await b.get("/v1/shops/acme")).json()["paused"]


@pytest.mark.parametrize("csrf", [None, "", "x", "ä"])
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", PAUSE), ("POST", "/v1/shops/acme/orders/67890/hold"), ("DELETE", "/v1/session"), ("POST", "/v1/targets")],
)
async def test_a_session_without_its_csrf_token_changes_nothing(method: str, path: str, csrf: str | None) -> None:
    async with bench(an_order(), tcp=tcp()) as b:
        browser = Browser(b)
        await browser.log_in()
        got = await browser.ask(method, path, **({} if csrf is None else {"X-CSRF-Token": csrf}))
        assert (got.status, got.slug) == (401, "unauthorized")
        assert "X-CSRF-Token" in got.json()["detail"]
        assert not (await b.get("/v1/shops/acme")).json()["paused"]
        assert (await browser.ask("GET", "/v1/status")).status == 200


async def test_another_sessions_csrf_token_does_not_do() -> None:
    async with bench(tcp=tcp()) as b:
        one, other = Browser(b), Browser(b)
        await one.log_in()
        await other.log_in()
        one.csrf = other.csrf
        assert (await one.change(PAUSE)).slug == "unauthorized"


@pytest.mark.parametrize("token", ["another", TOKEN + "x", " ", "ß", "\ud800"])
async def test_a_wrong_token_logs_nobody_in(token: str) -> None:
    async with bench(tcp=tcp()) as b:
        got = await Browser(b).log_in(token)
        assert got.status in (401, 400, 422)
        assert "Set-Cookie" not in got.headers
        assert token not in got.body.decode() or token == " "


@pytest.mark.parametrize("body", [None, {}, {"token": ""}, {"token": None}, {"token": 7}, {"token": TOKEN, "more": 1}])
async def test_a_login_that_is_no_login_is_refused_with_what_is_wrong(body: Any) -> None:
    async with bench(tcp=tcp()) as b:
        got = await Browser(b).ask("POST", SESSION, body)
        assert (got.status, got.slug) == (422, "invalid-request")
        assert "Set-Cookie" not in got.headers
        assert TOKEN not in got.body.decode()


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}],
)
async def test_a_page_from_elsewhere_uses_no_session_and_begins_none(headers: Mapping[str, str]) -> None:
    async with bench(tcp=tcp()) as b:
        browser = Browser(b)
        assert (await browser.ask("POST", SESSION, {"token": TOKEN}, **headers)).slug == "cross-origin"
        await browser.log_in()
        assert (await browser.ask("GET", "/v1/status", **headers)).slug == "cross-origin"
        assert (await browser.ask("GET", SESSION, **headers)).slug == "cross-origin"
        assert browser.csrf is not None
        assert (await browser.ask("POST", PAUSE, **{"X-CSRF-Token": browser.csrf, **headers})).slug == "cross-origin"


async def test_who_logs_out_is_out() -> None:
    async with bench(tcp=tcp()) as b:
        browser = Browser(b)
        await browser.log_in()
        assert browser.csrf is not None
        got = await browser.ask("DELETE", SESSION, **{"X-CSRF-Token": browser.csrf})
        assert (got.status, got.json()["access"]) == (200, "none")
        [morsel] = cookie_of(got).values()
        assert (morsel.value, morsel["max-age"]) == ("", "0")
        assert (await browser.ask("GET", "/v1/status")).slug == "unauthorized"


async def test_a_stream_ends_with_its_session() -> None:
    async with bench(an_order(), tcp=tcp()) as b:
        browser = Browser(b)
        await browser.log_in()
        headers = {"Cookie": browser.cookie, "Accept": "text/event-stream"}
        async with (
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
            session.get(f"{browser.origin}/v1/events", headers=headers) as stream,
        ):
            await stream.content.readuntil(b"\n\n")
            await b.emit("order.updated", shop="acme", order="before")
            assert b"before" in await stream.content.readuntil(b"\n\n")
            assert browser.csrf is not None
            await browser.ask("DELETE", SESSION, **{"X-CSRF-Token": browser.csrf})
            await b.emit("order.updated", shop="acme", order="after")
            assert await stream.content.read() == b""


@pytest.mark.parametrize("path", ["/v1/events?after={after}&wait=100", "/v1/targets/{target}?wait=100"])
async def test_what_was_waited_for_is_not_shown_after_the_logout(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with bench(an_order(), tcp=tcp()) as b, anyio.create_task_group() as group:
        browser, waits = Browser(b), anyio.Event()
        await browser.log_in()
        target = (await b.submit("accepted")).json()["id"]

        def note(name: str) -> None:
            usual = getattr(b.feed, name)

            def noted(*given: Any) -> Any:
                waits.set()
                return usual(*given)

            monkeypatch.setattr(b.feed, name, noted)

        async def log_out() -> None:
            await waits.wait()
            await browser.ask("DELETE", SESSION, **{"X-CSRF-Token": browser.csrf or ""})
            await b.end(target)

        note("wait_beyond")
        note("add")
        group.start_soon(log_out)
        got = await browser.ask("GET", path.format(after=b.feed.last_cursor, target=target))
        assert (got.status, got.slug) == (401, "unauthorized")


async def test_a_new_login_ends_the_session_before_it() -> None:
    async with bench(tcp=tcp()) as b:
        browser = Browser(b)
        await browser.log_in()
        before = browser.cookie
        await browser.log_in()
        assert (await browser.ask("GET", "/v1/status")).status == 200
        browser.cookie = before
        assert (await browser.ask("GET", "/v1/status")).slug == "unauthorized"


async def test_a_session_ends_by_itself() -> None:
    ahead_ms = 0
    usual = Clock()
    clock = replace(usual, now_ms=lambda: usual.now_ms() + ahead_ms)
    async with bench(tcp=tcp(), clock=clock) as b:
        browser = Browser(b)
        await browser.log_in()
        ahead_ms = SESSION_SECONDS * 1000 - 60_000
        assert (await browser.ask("GET", "/v1/status")).status == 200
        ahead_ms = SESSION_SECONDS * 1000 + 1
        assert (await browser.ask("GET", "/v1/status")).slug == "unauthorized"
        assert (await browser.change(PAUSE)).slug == "unauthorized"


async def test_there_are_only_so_many_sessions_and_the_oldest_gives_way() -> None:
    async with bench(tcp=tcp()) as b:
        browsers = [Browser(b) for _ in range(65)]
        for browser in browsers:
            await browser.log_in()
        statuses = [(await browser.ask("GET", "/v1/health")).status for browser in browsers]
        assert statuses == [401, *[200] * 64]


async def test_a_programs_token_counts_before_a_cookie_and_needs_no_csrf_token() -> None:
    async with bench(tcp=tcp()) as b:
        browser = Browser(b)
        await browser.log_in()
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        assert (await browser.ask("POST", PAUSE, **bearer)).status == 200
        assert (await browser.ask("GET", SESSION, **bearer)).json() == {
            "access": "token",
            "csrf": None,
            "expires_at": None,
        }
        assert (await browser.ask("GET", "/v1/status", Authorization="Bearer wrong")).slug == "unauthorized"


async def test_two_daemons_of_one_host_name_have_cookies_of_their_own() -> None:
    async with bench(tcp=tcp()) as one, bench(tcp=tcp()) as other:
        names = {next(iter(cookie_of(await Browser(b).log_in()))) for b in (one, other)}
        assert len(names) == 2


async def test_on_the_socket_nobody_logs_in() -> None:
    async with bench() as b:
        for got in (await b.get(SESSION), await b.post(SESSION, {"token": "any"}), await b.call("DELETE", SESSION)):
            assert (got.status, got.json()["access"]) == (200, "open")
        assert (await b.post(PAUSE)).status == 200


async def test_what_a_session_asks_for_in_bulk_is_asked_by_the_page() -> None:
    async with bench(tcp=tcp()) as b:
        browser = Browser(b)
        await browser.log_in()
        headers = {"X-CSRF-Token": browser.csrf or ""}
        started = await browser.ask("POST", "/v1/orders/hold", {"filter": {"shop": "acme"}}, **headers)
        assert started.status == 202, started
        job = await browser.ask("GET", f"/v1/jobs/{started.json()['job']}")
        assert job.json()["by"] == "page"


@dataclass
class AllNodes:
    """What other nodes know. `asked`: how often each digest was looked for."""

    kept: dict[str, KeptSession] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    is_away: bool = False

    async def keep(self, session: KeptSession, most: int) -> None:
        assert most > 0
        self._check()
        self.kept[session.digest] = session

    async def known(self, digests: Sequence[str]) -> Mapping[str, KeptSession]:
        self.asked += digests
        self._check()
        await anyio.lowlevel.checkpoint()  # others ask meanwhile
        return {digest: self.kept[digest] for digest in digests if digest in self.kept}

    async def forget(self, digest: str) -> None:
        self._check()
        self.kept.pop(digest, None)

    def _check(self) -> None:
        if self.is_away:
            raise StoreUnavailable("it is away")


def at(b: Bench, secret: str = "whose-is-it") -> Browser:
    """A browser that brings a cookie."""
    browser = Browser(b)
    browser.cookie = f"fulfilld_session_{browser.origin.rpartition(':')[2]}={secret}"
    return browser


async def test_the_store_is_asked_once_for_each_cookie_and_only_where_it_lets_a_call_in() -> None:
    nodes = AllNodes()
    async with bench(tcp=tcp(), sessions=Sessions(Clock(), nodes)) as b:
        stranger = at(b)
        await stranger.ask("GET", "/", **PAGE)
        assert (await stranger.log_in("a guess")).status == 401
        await stranger.ask("GET", "/v1/status", Authorization=f"Bearer {TOKEN}")
        await b.get("/v1/status", headers={"Cookie": stranger.cookie})
        assert nodes.asked == []
        async with anyio.create_task_group() as group:
            for _ in range(4):
                group.start_soon(stranger.ask, "GET", "/v1/status")
        assert (await stranger.ask("GET", SESSION)).slug == "unauthorized"
        assert len(nodes.asked) == 1

        elsewhere = Sessions(Clock(), nodes)
        secret, _ = await elsewhere.begin()
        assert (await at(b, secret).ask("GET", SESSION)).json()["access"] == "session"
        assert len(nodes.asked) == 2


async def test_a_login_ends_the_session_before_it_that_only_another_node_has_seen() -> None:
    nodes = AllNodes()
    async with bench(tcp=tcp(), sessions=Sessions(Clock(), nodes)) as b:
        secret, _ = await Sessions(Clock(), nodes).begin()
        [before] = nodes.kept
        assert (await at(b, secret).log_in()).status == 200
        assert before not in nodes.kept
        assert len(nodes.kept) == 1


async def test_every_call_says_that_the_store_may_be_away_for_a_session_that_only_it_knows() -> None:
    nodes = AllNodes(is_away=True)
    operations = [
        (method.upper(), path, operation)
        for path, methods in openapi_document()["paths"].items()
        for method, operation in methods.items()
    ]
    async with bench(tcp=tcp(), sessions=Sessions(Clock(), nodes)) as b:
        stranger = at(b)
        for method, path, operation in operations:
            body = {"token": TOKEN} if (method, path) == ("POST", SESSION) else None
            got = await stranger.ask(method, re.sub(r"{\w+}", "x", path), body)
            if path == "/":
                assert got.slug == "unauthorized"
                continue
            assert (got.status, got.slug) == (503, "overloaded"), (method, path)
            assert got.headers["Retry-After"]
            assert "overloaded" in operation["responses"]["503"][OWN_PROBLEMS], (method, path)
        nodes.is_away = False
        assert (await stranger.ask("GET", "/v1/health")).slug == "unauthorized"
