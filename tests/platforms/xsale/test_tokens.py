"""Both tokens: one login for many calls, kept safely over restarts, renewed in time, refused once (xsale.md §1, §6)."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from aiohttp import web

from orchestrator.clock import Clock
from orchestrator.platforms.failures import AccessDenied, Transient
from orchestrator.platforms.http import Caller, open_session
from orchestrator.platforms.platform import ClientSettings
from orchestrator.platforms.token_file import TokenFile
from orchestrator.platforms.token_keeper import TokenKeeper
from orchestrator.platforms.token_place import UnusableTokens
from orchestrator.platforms.xsale.options import XsaleCredentials
from orchestrator.platforms.xsale.tokens import Tokens, XsaleTokens, digest_of, keeper_of
from tests.platforms.selldone.shop import serving

SAMPLES = Path(__file__).parents[2] / "samples" / "xsale"
DAY_MS = 86_400_000
ACCOUNT = {
    "client_id": "client-1",
    "client_secret": "s3cr3t-client",
    "username": "erp@example.com",
    "password": "pa55word",
}


@dataclass(slots=True)
class LoginServer:
    """Answers logins; counts them. `answers`: what comes instead of tokens, in sequence."""

    ms: int = 1_790_000_000_000
    bodies: list[dict[str, Any]] = field(default_factory=list)
    answers: list[tuple[int, bytes]] = field(default_factory=list)
    life: Any = 86_400

    def clock(self) -> Clock:
        return Clock(now_ms=lambda: self.ms, monotonic=lambda: self.ms / 1000)

    async def handle(self, request: web.Request) -> web.Response:
        self.bodies.append(json.loads(await request.read()))
        await anyio.lowlevel.checkpoint()
        if self.answers:
            status, body = self.answers.pop(0)
            return web.Response(status=status, body=body, content_type="application/json")
        n = len(self.bodies)
        return web.json_response({"access_token": f"access-{n}", "id_token": f"id-{n}", "expires_in": self.life})


@asynccontextmanager
async def keeper(server: LoginServer, directory: Path | None = None) -> AsyncIterator[TokenKeeper[Tokens]]:
    async with serving(server.handle) as base_url:
        account = credentials(login_url=f"{base_url}/oauth/token")
        session = open_session(headers={}, timeout_seconds=5, concurrency=2)
        async with Caller(session, clock=server.clock(), secrets=tuple(ACCOUNT.values())) as caller:
            yield keeper_of(account, caller, settings_of(server, account, directory))


def settings_of(server: LoginServer, account: XsaleCredentials, directory: Path | None) -> ClientSettings:
    return ClientSettings("xs", account, "https://api.example", state_directory=directory, clock=server.clock())


def credentials(**changes: str) -> XsaleCredentials:
    return XsaleCredentials.model_validate({**ACCOUNT, **changes})


def save(path: Path, digest: str, kept: Tokens) -> None:
    room = TokenFile(path, digest).reserve()
    room.save(XsaleTokens.pack(kept))
    room.publish()


def load(path: Path, digest: str) -> Tokens | None:
    """What is used of a file: one that cannot be costs a login."""
    try:
        kept = TokenFile(path, digest).load()
    except UnusableTokens:
        return None
    return None if kept is None else XsaleTokens.unpack(kept)


def tokens(server: LoginServer, name: str = "kept") -> Tokens:
    return Tokens(f"access-{name}", f"id-{name}", server.ms + DAY_MS - 300_000, server.ms + DAY_MS)


# -- logging in --------------------------------------------------------------------------------------------------------


async def test_the_login_sends_what_the_documentation_shows() -> None:
    server = LoginServer()
    async with keeper(server) as found:
        got = await found.tokens()
    shown = json.loads((SAMPLES / "token_request.json").read_text())
    (sent,) = server.bodies
    assert sent == {**shown, **ACCOUNT}
    assert got.headers == {"Authorization": "Bearer access-1", "x-id-token": "id-1"}


async def test_one_login_serves_many_calls_also_at_once() -> None:
    server = LoginServer()
    async with keeper(server) as found, anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(found.tokens)
    assert len(server.bodies) == 1


async def test_tokens_are_renewed_shortly_before_they_expire() -> None:
    server = LoginServer()
    async with keeper(server) as found:
        await found.tokens()
        server.ms += DAY_MS - 301_000
        assert (await found.tokens()).access_token == "access-1"
        server.ms += 2_000
        assert (await found.tokens()).access_token == "access-2"
    assert len(server.bodies) == 2


async def test_while_the_old_tokens_are_good_a_login_server_that_is_down_holds_nobody_up() -> None:
    server = LoginServer()
    async with keeper(server) as found:
        await found.tokens()
        server.ms += DAY_MS - 100_000
        server.answers = [(503, b"{}")] * 3
        for _ in range(5):
            assert (await found.tokens()).access_token == "access-1"
        assert len(server.bodies) == 2, "it is not asked again at once"
        server.ms += 100_000
        with pytest.raises(Transient):
            await found.tokens()


@pytest.mark.parametrize("life", [None, "soon", 0, -1, True, "3600"])
async def test_an_unknown_life_is_a_day(life: Any) -> None:
    server = LoginServer(life=life)
    async with keeper(server) as found:
        got = await found.tokens()
    assert got.expires_at - server.ms == (3_600_000 if life == "3600" else DAY_MS)


async def test_tokens_with_a_short_life_are_used_for_most_of_it() -> None:
    server = LoginServer(life=60)
    async with keeper(server) as found:
        got = await found.tokens()
        assert (got.renew_at - server.ms, got.expires_at - server.ms) == (54_000, 60_000)


async def test_refused_tokens_are_renewed_once_for_all_who_carried_them() -> None:
    server = LoginServer()
    async with keeper(server) as found:
        old = await found.tokens()
        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(found.renewed, old)
        assert (await found.tokens()).access_token == "access-2"
    assert len(server.bodies) == 2


# -- being refused -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 401, 403, 404])
async def test_a_refused_login_is_an_alarm_with_its_words_and_is_not_repeated_at_once(status: int) -> None:
    server = LoginServer()
    server.answers = [(status, b'{"error":"invalid_grant","error_description":"Wrong email or password: pa55word"}')]
    async with keeper(server) as found:
        for _ in range(4):
            with pytest.raises(AccessDenied, match="invalid_grant") as caught:
                await found.tokens()
            assert "pa55word" not in caught.value.detail
        assert len(server.bodies) == 1
        server.ms += 11_000
        assert (await found.tokens()).access_token == "access-2"


async def test_a_refusal_that_is_forgotten_is_asked_about_anew() -> None:
    server = LoginServer()
    server.answers = [(403, b'{"error":"invalid_grant"}')]
    async with keeper(server) as found:
        with pytest.raises(AccessDenied):
            await found.tokens()
        found.forget_refusal()
        assert (await found.tokens()).access_token == "access-2"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b"{}"),
        (502, b"<html>bad gateway</html>"),
        (429, b"{}"),
        (401, b"<html>Sign in to the proxy</html>"),
        (403, b"<html>Access denied by policy</html>"),
        (404, b"<html>nothing here</html>"),
    ],
)
async def test_a_login_server_in_trouble_is_asked_again_later(status: int, body: bytes) -> None:
    server = LoginServer()
    server.answers = [(status, body)]
    async with keeper(server) as found:
        with pytest.raises(Transient) as caught:
            await found.tokens()
        assert not caught.value.is_ambiguous
        assert (caught.value.retry_after_seconds is not None) is (status == 429)
        assert (await found.tokens()).access_token == "access-2"


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"[]",
        b'{"access_token":"leaked-token"}',
        b'{"access_token":"leaked-token","id_token":""}',
        b'{"access_token":"leaked-token","id_token":"a\\nb"}',
        b'{"access_token":17,"id_token":"leaked-token"}',
    ],
)
async def test_an_answer_without_both_tokens_is_trouble_and_repeats_no_token(body: bytes) -> None:
    server = LoginServer()
    server.answers = [(200, body)]
    async with keeper(server) as found:
        with pytest.raises(Transient) as caught:
            await found.tokens()
        assert "leaked-token" not in caught.value.detail


# -- over restarts -----------------------------------------------------------------------------------------------------


def test_the_file_is_only_its_owners_and_comes_back_whole(tmp_path: Path) -> None:
    server = LoginServer()
    old_mask = os.umask(0)
    try:
        save(tmp_path / "t", "digest", tokens(server, "old"))
        save(tmp_path / "t", "digest", tokens(server))
    finally:
        os.umask(old_mask)
    assert (tmp_path / "t").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["t"], "nothing is left beside it"
    assert load(tmp_path / "t", "digest") == tokens(server)


def test_other_credentials_never_use_the_tokens(tmp_path: Path) -> None:
    server = LoginServer()
    save(tmp_path / "t", digest_of(credentials()), tokens(server))
    for change in (
        {"client_id": "x"},
        {"client_secret": "x"},
        {"username": "x"},
        {"password": "x"},
        {"audience": "x"},
        {"scope": "x"},
        {"login_url": "https://login.example/oauth/token"},
    ):
        assert load(tmp_path / "t", digest_of(credentials(**change))) is None
    assert load(tmp_path / "t", digest_of(credentials())) is not None
    assert ACCOUNT["password"] not in (tmp_path / "t").read_text()


@pytest.mark.parametrize("mode", [0o644, 0o660, 0o604])
def test_a_file_that_others_could_have_written_or_read_is_not_used(tmp_path: Path, mode: int) -> None:
    save(tmp_path / "t", "digest", tokens(LoginServer()))
    (tmp_path / "t").chmod(mode)
    assert load(tmp_path / "t", "digest") is None


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    save(tmp_path / "real", "digest", tokens(LoginServer()))
    (tmp_path / "t").symlink_to(tmp_path / "real")
    assert load(tmp_path / "t", "digest") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"credentials": "digest"}',
        '{"credentials": "digest", "access_token": 1, "id_token": "x", "renew_at": 1, "expires_at": 1}',
        '{"credentials": "digest", "access_token": "a b", "id_token": "x", "renew_at": 1, "expires_at": 1}',
        "[" * 100_000,
    ],
)
def test_a_file_that_makes_no_sense_costs_a_login_and_no_more(tmp_path: Path, text: str) -> None:
    (tmp_path / "t").write_text(text)
    (tmp_path / "t").chmod(0o600)
    assert load(tmp_path / "t", "digest") is None


async def test_a_place_that_cannot_be_written_costs_no_more_than_a_login_a_start(tmp_path: Path) -> None:
    server = LoginServer()
    async with keeper(server, tmp_path / "missing") as found:
        assert [(await found.tokens()).access_token for _ in range(2)] == ["access-1"] * 2
    assert os.listdir(tmp_path) == []


async def test_a_restart_goes_on_with_the_same_tokens_until_they_end(tmp_path: Path) -> None:
    server = LoginServer()
    async with serving(server.handle) as base_url:
        account = credentials(login_url=f"{base_url}/oauth/token")

        async def start() -> str:
            session = open_session(headers={}, timeout_seconds=5, concurrency=2)
            async with Caller(session, clock=server.clock()) as caller:
                keeper = keeper_of(account, caller, settings_of(server, account, tmp_path))
                return (await keeper.tokens()).access_token

        assert [await start() for _ in range(3)] == ["access-1"] * 3
        server.ms += DAY_MS
        assert [await start() for _ in range(2)] == ["access-2"] * 2
    assert len(server.bodies) == 2


def test_tokens_do_not_show_in_their_repr() -> None:
    assert "access-kept" not in repr(tokens(LoginServer()))
    assert "id-kept" not in repr(tokens(LoginServer()))
