"""Webhook secrets in files that change while the daemon runs: read again before a webhook is refused."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from orchestrator import renewal
from orchestrator.clock import Clock
from orchestrator.config import Config, ShopConfig, load
from orchestrator.config.load import reread
from orchestrator.renewal import Renewal
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from tests.intake.front import Front, facing
from tests.support.shopfloor import QUICK, working_on

BODY = b'{"id": 820982911946154508}'


@dataclass(slots=True)
class Held:
    """The config in force, as the daemon holds it. `reads`: how often files were looked at."""

    config: Config
    reads: int = 0
    ms: int = 0

    def use(self, config: Config) -> None:
        self.config = config


@asynccontextmanager
async def fronting(
    folder: Path, monkeypatch: pytest.MonkeyPatch, platform: str, place: str
) -> AsyncIterator[tuple[Front, Held, str]]:
    """A listener whose shop has the secret `one` in the file `secret`."""
    (folder / "secret").write_text("one")
    sandbox = Sandbox(SandboxSettings(orders=1))
    raw = sandbox.config("http://127.0.0.1:9")
    name, shop = next((name, shop) for name, shop in raw["shops"].items() if shop["platform"] == platform)
    shop |= {**QUICK, "poll": {"enabled": False}}
    if place == "client_secret":
        shop["credentials"]["client_secret"] = {"file": "secret"}
        del shop["webhook_secret"]
    else:
        shop["webhook_secret"] = [{"file": "secret"}]
    (folder / "config.json").write_text(json.dumps({**raw, "shops": {name: shop}}))
    held = Held(load(folder / "config.json"))

    def counted(shop: ShopConfig) -> ShopConfig | None:
        held.reads += 1
        return reread(shop)

    monkeypatch.setattr(renewal, "reread", counted)

    def took(shop: ShopConfig) -> None:
        watch.took(shop)

    async with sandbox.running(), working_on(sandbox, held.config, folder, on_secrets=took) as floor:
        clock = Clock(now_ms=lambda: held.ms, monotonic=lambda: held.ms / 1000)
        watch = Renewal(lambda: held.config, held.use, floor.supervisor.adopt, clock)
        async with facing(
            floor, held.config.shops[name], shops=lambda: held.config.shops, reread=watch.reread_shop
        ) as front:
            yield front, held, name


@pytest.mark.parametrize("place", ["webhook_secret", "client_secret"])
async def test_a_signature_is_checked_against_the_file_before_it_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    async with fronting(tmp_path, monkeypatch, "shopify", place) as (front, held, name):
        url = f"/webhooks/{name}/orders"
        assert await front.signed("orders/create", BODY, secret="one", url=url) == 200
        assert held.reads == 0
        (tmp_path / "secret").write_text("two")
        assert await front.signed("orders/create", BODY, secret="two", url=url) == 200
        assert await front.signed("orders/create", BODY, secret="two", url=url) == 200
        assert held.reads == 1
        assert "two" in held.config.secret_values(), "the log has to hide it"
        held.ms += 2_000
        assert await front.signed("orders/create", BODY, secret="one", url=url) == 401


async def test_the_secret_of_an_address_is_read_again_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with fronting(tmp_path, monkeypatch, "selldone", "webhook_secret") as (front, held, name):
        (tmp_path / "secret").write_text("two")
        assert await front.post(f"/webhooks/{name}/orders/two", BODY) == 200
        assert held.reads == 1


async def test_garbage_makes_nobody_read_the_disk_without_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with fronting(tmp_path, monkeypatch, "shopify", "webhook_secret") as (front, held, name):
        url = f"/webhooks/{name}/orders"
        for _ in range(20):
            assert await front.signed("orders/create", BODY, secret="forged", url=url) == 401
        assert held.reads == 1
        held.ms += 1_001
        assert await front.signed("orders/create", BODY, secret="forged", url=url) == 401
        assert held.reads == 2
        assert await front.rows() == 0


@pytest.mark.parametrize("content", ["", " ", None])
async def test_a_file_that_holds_no_secret_leaves_the_old_one_in_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    async with fronting(tmp_path, monkeypatch, "shopify", "webhook_secret") as (front, held, name):
        url = f"/webhooks/{name}/orders"
        (tmp_path / "secret").write_text(content or "")
        if content is None:
            (tmp_path / "secret").unlink()
        assert await front.signed("orders/create", BODY, secret="", url=url) == 401
        assert held.reads == 1
        assert await front.signed("orders/create", BODY, secret="one", url=url) == 200
