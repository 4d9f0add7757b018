"""Tokens that platforms gave go with a store that moves to another engine, and back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from pydantic import BaseModel
from typer.testing import Result

from orchestrator.cli import moving_tokens
from orchestrator.platforms.platform import ClientSettings
from orchestrator.platforms.sealing import Sealer
from orchestrator.platforms.token_row import SealedRows
from orchestrator.testing import postgres
from storage import moving
from storage.engines import engine_of, open_store
from storage.nodes import Presence, StoreMoving, join
from tests.support.engines import SECRET_KEY

Run = Callable[..., Result]
NOW = 1_760_000_000_000


@pytest.fixture
def there(alone: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An empty database."""
    monkeypatch.setenv("STATE_DIRECTORY", str(alone / "state"))
    yield postgres.server().database()
    postgres.server().forget()


class NoOptions(BaseModel):
    """Of a platform that has none."""


def settings(url: str) -> ClientSettings:
    """As a daemon with the key has them."""
    engine = engine_of(url)
    rows = engine.token_rows
    sealed = None if rows is None else SealedRows(rows, Sealer([SECRET_KEY]))
    return ClientSettings(
        "acme", NoOptions(), "https://shop.example", state_directory=engine.state_directory, token_rows=sealed
    )


def kept(url: str) -> object:
    place = settings(url).token_place("shopify", "digest")
    assert place is not None
    found = place.load()
    return None if found is None else found.get("refresh")


def keep(url: str, token: str) -> None:
    anyio.run(_keep, url, token)


async def _keep(url: str, token: str) -> None:
    place = settings(url).token_place("shopify", "digest")
    assert place is not None
    async with place.locked():
        place.load()
        room = place.reserve()
        room.save({"refresh": token})
        room.publish()


async def _made(url: str) -> None:
    async with open_store(url, NOW):
        """A store that has nothing yet."""


def test_tokens_go_to_a_database_and_come_back(run: Run, alone: Path, there: str) -> None:
    here, back = f"sqlite:///{alone}/here.db", f"sqlite:///{alone}/back/store.db"
    (alone / "back").mkdir()
    anyio.run(_made, here)
    keep(here, "first")
    moved = run("migrate-store", here, there)
    assert moved.exit_code == 0, moved.output
    assert f"access tokens: shopify-acme.tokens - they are in {alone}/state/postgresql-" in moved.output
    assert kept(there) == "first", "the daemon there takes the file over"
    keep(there, "second")
    assert "second" not in "".join(path.read_text() for path in alone.rglob("*.tokens"))

    sealed = run("migrate-store", there, back)
    assert sealed.exit_code == 0, sealed.output
    assert "the access tokens of acme stay sealed" in sealed.output
    (alone / "config.json").write_text(json.dumps({"storage": {"url": there, "secret_key": SECRET_KEY}, "shops": {}}))
    again = run("--config", "config.json", "migrate-store", there, back)
    assert again.exit_code == 0, again.output
    assert f"access tokens: acme - they are in {alone}/back\n" in again.output
    assert kept(back) == "second"
    assert [oct(path.stat().st_mode)[-3:] for path in (alone / "back").glob("*.tokens")] == ["600"]
    same = run("--config", "config.json", "migrate-store", there, back)
    assert same.exit_code == 0, same.output
    assert "access tokens" not in same.output
    keep(back, "third")
    late = run("--config", "config.json", "migrate-store", there, back)
    assert "other access tokens of acme were at the new store" in late.output
    assert kept(back) == "third", "the platform takes no older one"


def test_rows_go_from_database_to_database_sealed_as_they_are(run: Run, there: str) -> None:
    other = postgres.server().database()
    anyio.run(_made, there)
    keep(there, "first")
    moved = run("migrate-store", there, other)
    assert moved.exit_code == 0
    assert f"access tokens: acme - they are in {engine_of(other).url}, sealed\n" in moved.output
    assert kept(other) == "first"
    keep(other, "second")
    late = run("migrate-store", there, other)
    assert "other access tokens of acme" in late.output
    assert kept(other) == "second", "the platform takes no older one"


async def _refused(url: str) -> None:
    async with open_store(url, NOW) as store:
        with pytest.raises(StoreMoving):
            await store.write(lambda tx: join(tx, "node-1", Presence("1"), 60_000))


def test_tokens_go_while_no_daemon_may_start_and_again_with_a_move_that_was_killed(
    run: Run, there: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = postgres.server().database()
    anyio.run(_made, there)
    keep(there, "first")
    usual, asked = moving_tokens.move_tokens, []

    def watched(*stores: Any, is_new: bool) -> moving_tokens.MovedTokens:
        for url in (there, other):
            anyio.run(_refused, url)
        asked.append(is_new)
        return usual(*stores, is_new=is_new)

    def killed(*_: object) -> None:
        raise KeyError("it was killed here")

    monkeypatch.setattr(moving_tokens, "move_tokens", watched)
    with monkeypatch.context() as patched:
        patched.setattr(moving, "mark_copy", killed)
        assert run("migrate-store", there, other).exit_code != 0
    keep(there, "second")  # the old store was not given up
    assert run("migrate-store", there, other).exit_code == 0
    assert kept(other) == "second"
    assert asked == [True, True]
