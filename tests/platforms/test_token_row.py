"""Tokens that are kept in the database: one fetch over all nodes, sealed, and none written over newer ones."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import anyio
import anyio.from_thread
import pytest

from orchestrator.platforms import token_row
from orchestrator.platforms.failures import Transient
from orchestrator.platforms.sealing import Sealer
from orchestrator.platforms.token_file import TokenFile
from orchestrator.platforms.token_keeper import TokenKeeper
from orchestrator.platforms.token_place import NotKept
from orchestrator.platforms.token_row import SealedRows, TokenRow
from orchestrator.testing import postgres
from storage.engines import engine_of
from storage.tokens import TokenRows
from tests.platforms.test_token_keeper import Issuer, Kept

OLD, NEW = "the key of before, long enough for it", "the key of today, and long enough too"


@pytest.fixture
def rows() -> Iterator[TokenRows]:
    server = postgres.server()
    found = engine_of(server.store()).token_rows
    assert found is not None
    yield found
    server.forget()


def row(rows: TokenRows, *keys: str, owner: str = "digest", before: TokenFile | None = None) -> TokenRow:
    """As a node of its own has it."""
    return TokenRow(SealedRows(rows, Sealer(keys or (NEW,))), "kind", "shop", owner, before)


async def test_nodes_that_need_tokens_at_the_same_time_fetch_once(rows: TokenRows) -> None:
    issuer, got = Issuer(), list[str]()

    async def ask(keeper: TokenKeeper[Kept]) -> None:
        got.append((await keeper.tokens()).name)

    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(ask, issuer.keeper_at(row(rows)))
    assert got == ["t1"] * 4
    assert issuer.asked_with == [None]


async def test_a_node_goes_on_with_what_another_one_was_given(rows: TokenRows) -> None:
    issuer = Issuer()
    first = await issuer.keeper_at(row(rows)).tokens()
    await issuer.keeper_at(row(rows)).renewed(first)
    assert issuer.asked_with == [None, "t1"]
    assert (await issuer.keeper_at(row(rows)).tokens()).name == "t2"


async def test_nobody_reads_a_token_in_the_database(rows: TokenRows) -> None:
    await Issuer().keeper_at(row(rows)).tokens()
    kept = rows.read("shop")
    assert kept is not None
    opened = Sealer([NEW]).unseal(kept.sealed)
    assert b'"name": "t1"' in opened
    assert opened not in kept.sealed
    assert base64.urlsafe_b64encode(opened)[8:40] not in kept.sealed


async def test_tokens_of_other_credentials_are_not_used(rows: TokenRows) -> None:
    issuer = Issuer()
    await issuer.keeper_at(row(rows)).tokens()
    assert (await issuer.keeper_at(row(rows, owner="another")).tokens()).name == "t2"
    assert issuer.asked_with == [None, None]


async def test_a_key_is_replaced_by_naming_both_for_a_while(rows: TokenRows) -> None:
    issuer = Issuer()
    first = await issuer.keeper_at(row(rows, OLD)).tokens()
    both = issuer.keeper_at(row(rows, NEW, OLD))
    assert (await both.tokens()).name == "t1"
    await both.renewed(first)
    assert (await issuer.keeper_at(row(rows, NEW)).tokens()).name == "t2"


@pytest.mark.parametrize("must_be_kept", [True, False])
async def test_with_another_key_a_chain_waits_for_a_person_and_others_begin_anew(
    rows: TokenRows, must_be_kept: bool
) -> None:
    issuer = Issuer(must_be_kept=must_be_kept)
    await issuer.keeper_at(row(rows, OLD)).tokens()
    other = issuer.keeper_at(row(rows, NEW))
    if must_be_kept:
        with pytest.raises(Transient, match=r"another storage\.secret_key - give that one too"):
            await other.tokens()
    else:
        assert (await other.tokens()).name == "t2"
    assert issuer.asked_with == [None] * (1 if must_be_kept else 2)


async def test_a_chain_in_a_file_of_before_goes_on(rows: TokenRows, tmp_path: Path) -> None:
    issuer, file = Issuer(), TokenFile(tmp_path / "shop.tokens", "digest")
    first = await issuer.keeper_at(file).tokens()
    await issuer.keeper_at(row(rows, before=file)).renewed(first)
    assert issuer.asked_with == [None, "t1"]
    assert (await issuer.keeper_at(row(rows)).tokens()).name == "t2"
    assert (await issuer.keeper_at(row(rows, before=file)).tokens()).name == "t2", "the file is behind"


async def test_a_node_that_stood_still_asks_for_nothing_and_writes_over_nothing(
    rows: TokenRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    frozen, other = row(rows), row(rows)
    monkeypatch.setattr(token_row, "_CLAIM_SECONDS", 0.0)
    assert frozen.load() is None
    room = frozen.reserve()  # its claim is over at once
    monkeypatch.undo()
    async with other.locked():
        other.load()
        with pytest.raises(NotKept, match="another process fetches tokens by now"):
            frozen.reserve()
        there = other.reserve()
        there.save({"name": "newer"})
        there.publish()
    room.save({"name": "older"})
    with pytest.raises(NotKept, match="another process has replaced them meanwhile"):
        room.publish()
    kept = row(rows).load()
    assert kept is not None
    assert kept["name"] == "newer"


async def test_nothing_is_asked_for_while_the_database_is_away(rows: TokenRows) -> None:
    issuer = Issuer()
    keeper = issuer.keeper_at(row(rows))
    with postgres.server().away(), pytest.raises(Transient, match="failed"):
        await keeper.tokens()
    assert issuer.asked_with == []
    assert (await keeper.tokens()).name == "t1"


async def test_a_claim_is_good_for_as_long_as_its_process_lives_and_a_moment_longer(
    rows: TokenRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_row, "_RENEWALS", 100)
    renewed, claims, claim = anyio.Event(), 0, rows.claim

    def counted(shop: str, claimant: str, seconds: float) -> bool:
        nonlocal claims
        claims += 1
        if claims == 3:
            anyio.from_thread.run_sync(renewed.set)
        return claim(shop, claimant, seconds)

    monkeypatch.setattr(rows, "claim", counted)
    async with row(rows).locked():
        await renewed.wait()
        assert not claim("shop", "another", 1.0)
    monkeypatch.undo()
    assert rows.claim("shop", "killed", 0.2)
    async with row(rows).locked():
        """It is waited for, and comes."""


async def test_who_waits_too_long_for_another_node_says_so(rows: TokenRows, monkeypatch: pytest.MonkeyPatch) -> None:
    issuer = Issuer()
    async with row(rows).locked():
        monkeypatch.setattr(token_row, "LOCK_PATIENCE_SECONDS", 0.05)
        with pytest.raises(Transient, match="another process has been fetching tokens"):
            await issuer.keeper_at(row(rows)).tokens()
    assert (await issuer.keeper_at(row(rows)).tokens()).name == "t1"
