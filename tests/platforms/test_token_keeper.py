"""Tokens that are kept: one fetch at a time over all tasks and processes, and none that could not be kept."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import anyio.from_thread
import anyio.to_thread
import pytest

from orchestrator.clock import Clock
from orchestrator.platforms import token_file
from orchestrator.platforms.failures import AccessDenied, PlatformFailure, Transient
from orchestrator.platforms.http import Caller
from orchestrator.platforms.token_file import TokenFile
from orchestrator.platforms.token_keeper import TokenKeeper
from orchestrator.platforms.token_place import TokenPlace, UnusableTokens

HOUR_MS = 3_600_000
HOLD_LOCK = """
import asyncio, sys
from pathlib import Path
from orchestrator.platforms.token_file import TokenFile

async def hold():
    async with TokenFile(Path(sys.argv[1]), "digest").locked() as is_locked:
        print(is_locked, flush=True)
        await asyncio.sleep(600)

asyncio.run(hold())
"""


@dataclass(frozen=True, slots=True)
class Kept:
    """Tokens of a platform that replaces what is needed to get the next ones."""

    name: str
    renew_at: int
    expires_at: int


@dataclass(slots=True)
class Issuer:
    """Issues t1, t2 …; `failures` come first. `must_be_kept`: as of tokens whose loss locks out."""

    must_be_kept: bool = True
    ms: int = 1_790_000_000_000
    asked_with: list[str | None] = field(default_factory=list)
    failures: list[PlatformFailure] = field(default_factory=list)

    def clock(self) -> Clock:
        return Clock(now_ms=lambda: self.ms, monotonic=lambda: self.ms / 1000)

    async def fetch(self, known: Kept | None) -> Kept:
        self.asked_with.append(None if known is None else known.name)
        await anyio.sleep(0.01)
        if self.failures:
            raise self.failures.pop(0)
        end = self.ms + HOUR_MS
        return Kept(f"t{len(self.asked_with)}", end - 300_000, end)

    def pack(self, tokens: Kept) -> dict[str, Any]:
        return {"name": tokens.name, "renew_at": tokens.renew_at, "expires_at": tokens.expires_at}

    def unpack(self, kept: Mapping[str, Any]) -> Kept | None:
        return Kept(kept["name"], kept["renew_at"], kept["expires_at"]) if "name" in kept else None

    def secrets_of(self, tokens: Kept) -> list[str]:
        return [tokens.name]

    def keeper(self, folder: Path | None) -> TokenKeeper[Kept]:
        """As a process of its own would have it."""
        return self.keeper_at(None if folder is None else TokenFile(folder / "shop.tokens", "digest"))

    def keeper_at(self, place: TokenPlace | None) -> TokenKeeper[Kept]:
        """As a process of its own would have it, whose tokens are kept there."""
        caller = Caller(aiohttp.ClientSession.__new__(aiohttp.ClientSession), clock=self.clock())
        return TokenKeeper(self, caller, self.clock(), place=place)


def holding_the_lock(folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", HOLD_LOCK, str(folder / "shop.tokens")]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def fail_to(monkeypatch: pytest.MonkeyPatch, name: str, times: int = 1) -> None:
    """The next calls of an `os` function by the file fail as on a full disk."""
    real = getattr(os, name)
    left = [times]

    def full(*given: Any, **named: Any) -> Any:
        if left[0]:
            left[0] -= 1
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(*given, **named)

    monkeypatch.setattr(os, name, full)


# -- one fetch ---------------------------------------------------------------------------------------------------------


async def test_processes_that_need_tokens_at_the_same_time_fetch_once(tmp_path: Path) -> None:
    issuer = Issuer()
    keepers = [issuer.keeper(tmp_path) for _ in range(5)]
    got: list[str] = []

    async def ask(keeper: TokenKeeper[Kept]) -> None:
        got.append((await keeper.tokens()).name)

    async with anyio.create_task_group() as group:
        for keeper in keepers:
            group.start_soon(ask, keeper)
    assert (got, issuer.asked_with) == (["t1"] * 5, [None])


async def test_who_is_refused_takes_what_another_process_fetched(tmp_path: Path) -> None:
    issuer = Issuer()
    daemon, doctor = issuer.keeper(tmp_path), issuer.keeper(tmp_path)
    first = await daemon.tokens()
    assert await doctor.tokens() == first
    renewal = await doctor.renewed(first)
    assert renewal is not None
    second, is_fetched = renewal
    assert (second.name, is_fetched) == ("t2", True)
    assert await daemon.renewed(first) == (second, False)
    assert issuer.asked_with == [None, "t1"]


async def test_who_waited_for_the_lock_reads_the_file_again_before_it_fetches(tmp_path: Path) -> None:
    issuer = Issuer()
    old = await issuer.keeper(tmp_path).tokens()
    issuer.ms = old.renew_at
    keepers = [issuer.keeper(tmp_path) for _ in range(3)]
    async with anyio.create_task_group() as group:
        for keeper in keepers:
            group.start_soon(keeper.tokens)
    assert issuer.asked_with == [None, "t1"]


async def test_a_process_that_is_killed_with_the_lock_frees_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    issuer, was_held_up, try_lock = Issuer(), anyio.Event(), TokenFile._try_lock

    def noticed(file: TokenFile) -> int | None:
        found = try_lock(file)
        if found is None:
            anyio.from_thread.run_sync(was_held_up.set)
        return found

    monkeypatch.setattr(TokenFile, "_try_lock", noticed)
    holder = holding_the_lock(tmp_path)
    try:
        assert holder.stdout is not None
        assert await anyio.to_thread.run_sync(holder.stdout.readline) == b"True\n"
        async with anyio.create_task_group() as group:
            got: list[Kept] = []

            async def ask() -> None:
                got.append(await issuer.keeper(tmp_path).tokens())

            group.start_soon(ask)
            await was_held_up.wait()
            assert issuer.asked_with == [], "the lock is held"
            holder.send_signal(signal.SIGKILL)
        assert [each.name for each in got] == ["t1"]
    finally:
        holder.kill()
        holder.wait()
        assert holder.stdout is not None
        holder.stdout.close()


async def test_a_lock_that_is_held_too_long_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_file, "LOCK_PATIENCE_SECONDS", 0.05)
    issuer = Issuer()
    async with TokenFile(tmp_path / "shop.tokens", "digest").locked():
        with pytest.raises(Transient, match="another process"):
            await issuer.keeper(tmp_path).tokens()
    assert (await issuer.keeper(tmp_path).tokens()).name == "t1"


async def test_a_wait_for_the_lock_that_is_cancelled_leaves_it_free(tmp_path: Path) -> None:
    issuer = Issuer()
    async with TokenFile(tmp_path / "shop.tokens", "digest").locked():
        with anyio.move_on_after(0.1) as scope:
            await issuer.keeper(tmp_path).tokens()
        assert scope.cancelled_caught
    with anyio.fail_after(60):
        assert (await issuer.keeper(tmp_path).tokens()).name == "t1"


# -- on disk before use ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["write", "fsync"])
async def test_on_a_full_disk_nothing_is_asked_for_and_good_tokens_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    issuer = Issuer()
    keeper = issuer.keeper(tmp_path)
    old = await keeper.tokens()
    issuer.ms = old.renew_at
    fail_to(monkeypatch, name, times=2)
    assert await keeper.tokens() == old
    issuer.ms = old.expires_at
    with pytest.raises(Transient, match="No space left on device"):
        await keeper.tokens()
    assert issuer.asked_with == [None], "what cannot be kept is not asked for"
    assert (await keeper.tokens()).name == "t2"


@pytest.mark.parametrize("name", ["open", "write", "fsync"])
async def test_tokens_that_were_answered_and_cannot_be_kept_are_never_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    issuer = Issuer()
    keeper = issuer.keeper(tmp_path)
    old = await keeper.tokens()
    issuer.ms = old.expires_at
    fetch = issuer.fetch
    done: list[bool] = []

    async def fetch_then_fill(known: Kept | None) -> Kept:
        got = await fetch(known)
        if not done:
            done.append(True)
            fail_to(monkeypatch, name)
        return got

    monkeypatch.setattr(Issuer, "fetch", lambda self, known: fetch_then_fill(known))
    with pytest.raises(Transient, match="No space left on device"):
        await keeper.tokens()
    assert keeper.known == old
    assert (await keeper.tokens()).name == "t3"
    assert issuer.asked_with == [None, "t1", "t1"], "the old ones are asked with again"
    assert sorted(os.listdir(tmp_path)) == ["shop.tokens", "shop.tokens.lock"]


async def test_where_loss_does_no_harm_a_full_disk_costs_a_fetch_a_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    issuer = Issuer(must_be_kept=False)
    keeper = issuer.keeper(tmp_path)
    fail_to(monkeypatch, "fsync")
    assert [(await keeper.tokens()).name for _ in range(2)] == ["t1", "t1"]
    assert (await issuer.keeper(tmp_path).tokens()).name == "t2"


async def test_without_a_place_what_must_be_kept_is_not_asked_for() -> None:
    issuer = Issuer()
    with pytest.raises(Transient, match="no place"):
        await issuer.keeper(None).tokens()
    assert issuer.asked_with == []


@pytest.mark.parametrize("mode", [0o644, 0o620])
async def test_a_file_that_others_may_read_is_no_reason_to_begin_anew(tmp_path: Path, mode: int) -> None:
    issuer = Issuer()
    await issuer.keeper(tmp_path).tokens()
    os.chmod(tmp_path / "shop.tokens", mode)
    with pytest.raises(Transient, match="chmod 600"):
        await issuer.keeper(tmp_path).tokens()
    os.chmod(tmp_path / "shop.tokens", 0o600)
    assert (await issuer.keeper(tmp_path).tokens()).name == "t1"
    assert issuer.asked_with == [None]


async def test_a_file_that_somebody_removed_is_written_again_from_what_is_known(tmp_path: Path) -> None:
    issuer = Issuer()
    keeper = issuer.keeper(tmp_path)
    first = await keeper.tokens()
    os.remove(tmp_path / "shop.tokens")
    await keeper.renewed(first)
    assert issuer.asked_with == [None, "t1"]
    assert (await issuer.keeper(tmp_path).tokens()).name == "t2"


async def test_what_a_killed_process_had_reserved_is_cleared_away(tmp_path: Path) -> None:
    issuer = Issuer()
    TokenFile(tmp_path / "shop.tokens", "digest").reserve()
    assert len(os.listdir(tmp_path)) == 1
    await issuer.keeper(tmp_path).tokens()
    assert sorted(os.listdir(tmp_path)) == ["shop.tokens", "shop.tokens.lock"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act for another user")
async def test_what_root_looks_at_stays_the_daemons(tmp_path: Path) -> None:
    os.chown(tmp_path, 12_345, 12_345)
    issuer = Issuer()
    keeper = issuer.keeper(tmp_path)
    await keeper.tokens()
    owners = {name: os.stat(tmp_path / name).st_uid for name in os.listdir(tmp_path)}
    assert owners == {"shop.tokens": 12_345, "shop.tokens.lock": 12_345}
    assert (await issuer.keeper(tmp_path).tokens()).name == "t1", "root believes the daemon's file"


def test_a_link_in_place_of_the_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "real").write_text(json.dumps({"credentials": "digest"}))
    (tmp_path / "shop.tokens").symlink_to(tmp_path / "real")
    with pytest.raises(UnusableTokens):
        TokenFile(tmp_path / "shop.tokens", "digest").load()


# -- refusals ----------------------------------------------------------------------------------------------------------


async def test_a_refusal_is_remembered_for_a_while_and_ends_with_what_another_process_got(tmp_path: Path) -> None:
    issuer = Issuer(failures=[AccessDenied("wrong secret")])
    keeper, other = issuer.keeper(tmp_path), issuer.keeper(tmp_path)
    for _ in range(3):
        with pytest.raises(AccessDenied, match="wrong secret"):
            await keeper.tokens()
    assert issuer.asked_with == [None]
    await other.tokens()
    assert (await keeper.tokens()).name == "t2"


async def test_a_refusal_that_is_forgotten_is_asked_about_anew(tmp_path: Path) -> None:
    issuer = Issuer(failures=[AccessDenied("wrong secret")])
    keeper = issuer.keeper(tmp_path)
    with pytest.raises(AccessDenied):
        await keeper.tokens()
    keeper.forget_refusal()
    assert (await keeper.tokens()).name == "t2"


async def test_good_tokens_outlive_a_server_in_trouble_until_their_end(tmp_path: Path) -> None:
    issuer = Issuer()
    keeper = issuer.keeper(tmp_path)
    old = await keeper.tokens()
    issuer.ms, issuer.failures = old.renew_at, [Transient("HTTP 520")]
    assert [await keeper.tokens() for _ in range(3)] == [old] * 3
    assert issuer.asked_with == [None, "t1"], "it is not asked again at once"
    issuer.ms += 30_000
    assert (await keeper.tokens()).name == "t3"
