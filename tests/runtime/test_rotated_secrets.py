"""Secrets in files that change while the daemon runs: read again before a refusal is believed, on every platform."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest
import structlog.testing

from orchestrator.config import Config, load, reread
from orchestrator.runtime import access_watch
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from orchestrator.sandbox.shopify.options import ShopifyOptions
from storage.records import Situation, TargetStatus
from storage.shops import get_shop
from tests.support.shopfloor import QUICK, Shopfloor, working_on

PLACES: dict[str, tuple[str, tuple[str, ...]]] = {
    "selldone": ("acme", ("token",)),
    "cloudsuite": ("cs", ("credentials", "client_secret")),
    "xsale": ("xs", ("credentials", "password")),
    "shopify": ("shopy", ("credentials", "client_secret")),
    "shopify by token": ("shopy", ("token",)),
    "woocommerce": ("woo", ("credentials", "consumer_secret")),
}
"""Where each platform's shop has a secret that `change_token` of its panel replaces."""
every_place = pytest.mark.parametrize("place", PLACES)


@dataclass(slots=True)
class Rotation:
    """A shop whose secret stands in a file. `taken`: of which shops the daemon would have heard."""

    floor: Shopfloor
    sandbox: Sandbox
    name: str
    platform: str
    config: Config
    secret: Path
    reported: list[str] = field(default_factory=list)

    def change(self, secret: str) -> None:
        """At the platform."""
        self.sandbox.platforms[self.platform].operate({"action": "change_token", "token": secret})

    async def submit(self, state: str | None = None) -> Any:
        """A target that takes a call; CloudSuite ships nothing without a despatch."""
        order = (await self.floor.orders())[0]
        usual = "accepted" if self.platform == "cloudsuite" else "shipped"
        return await self.floor.submit(order.id, state or usual, self.name)

    async def paused_by(self) -> str | None:
        row = await self.floor.store.read(lambda tx: get_shop(tx, self.name))
        assert row is not None
        return row.paused_by


def config_with_file(sandbox: Sandbox, folder: Path, place: str) -> tuple[Config, Path]:
    """The sandbox's shop, its secret in a file."""
    name, path = PLACES[place]
    raw = sandbox.config()
    shop = {**raw["shops"][name], **QUICK}
    node = shop
    for part in path[:-1]:
        node = node[part]
    secret = folder / "secret"
    secret.write_text(f"{node[path[-1]]}\n")
    node[path[-1]] = {"file": "secret"}
    (folder / "config.json").write_text(json.dumps({**raw, "shops": {name: shop}}))
    return load(folder / "config.json"), secret


@asynccontextmanager
async def rotating(folder: Path, place: str) -> AsyncIterator[Rotation]:
    shopify = ShopifyOptions(access="token" if place == "shopify by token" else "client_credentials")
    sandbox = Sandbox(SandboxSettings(orders=1, options={"shopify": shopify}))
    async with sandbox.running():
        config, secret = config_with_file(sandbox, folder, place)
        reported: list[str] = []
        async with working_on(sandbox, config, folder, on_secrets=lambda shop: reported.append(shop.name)) as floor:
            it = Rotation(floor, sandbox, PLACES[place][0], place.split(maxsplit=1)[0], config, secret, reported)
            await floor.commands.sync(it.name, 30)
            yield it


@every_place
async def test_a_secret_that_was_replaced_in_its_file_stops_nothing(tmp_path: Path, place: str) -> None:
    async with rotating(tmp_path, place) as it:
        for n in range(2):
            it.change(f"rotated-{n}")
            it.secret.write_text(f"rotated-{n}")
            await it.floor.commands.sync(it.name, 30)
        target = await it.submit()
        assert (await it.floor.finished(target)).status is TargetStatus.REACHED
        assert await it.floor.events("shop.access_denied") == []
        assert set(it.reported) == {it.name}, "the log has to hide the new ones, too"


@every_place
async def test_a_step_that_is_refused_is_made_with_the_secret_of_the_file(tmp_path: Path, place: str) -> None:
    async with rotating(tmp_path, place) as it:
        it.secret.write_text("rotated")
        it.change("rotated")
        target = await it.submit()
        assert (await it.floor.finished(target)).status is TargetStatus.REACHED
        assert await it.floor.events("shop.access_denied") == []
        assert it.sandbox.ledger.repeats_after_effect() == []


@every_place
async def test_a_file_that_holds_the_same_pauses_the_shop_with_one_alarm(tmp_path: Path, place: str) -> None:
    async with rotating(tmp_path, place) as it:
        it.change("rotated")
        await it.submit()
        await it.floor.event("shop.access_denied")
        assert len(await it.floor.events("shop.access_denied")) == 1
        assert it.reported == []


@every_place
async def test_a_paused_shop_goes_on_by_itself_when_its_file_changes(
    tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access_watch, "CHECK_SECONDS", 0.02)
    async with rotating(tmp_path, place) as it:
        it.change("rotated")
        target = await it.submit()
        await it.floor.event("shop.access_denied")
        it.secret.write_text("mistyped")
        await it.floor.event("shop.access_denied", count=2)
        it.secret.write_text("rotated")
        assert (await it.floor.finished(target)).status is TargetStatus.REACHED
        assert [event.data["by"] for event in await it.floor.events("shop.resumed")] == ["new credentials"] * 2


async def test_a_persons_pause_outlasts_a_file_that_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_watch, "CHECK_SECONDS", 0.01)
    async with rotating(tmp_path, "selldone") as it:
        await it.floor.commands.pause(it.name, None)
        it.secret.write_text("rotated")
        with anyio.fail_after(60):
            while not it.reported:  # noqa: ASYNC110
                await anyio.sleep(0.01)  # the file is looked at by the clock
        assert await it.paused_by() == "person"


async def test_a_restart_after_a_rotation_takes_it_for_no_change(tmp_path: Path) -> None:
    async with rotating(tmp_path, "selldone") as it:
        it.secret.write_text("rotated")
        it.change("rotated")
        await it.floor.commands.sync(it.name, 30)
        kept = await it.floor.store.read(lambda tx: get_shop(tx, it.name))
        assert kept is not None
        assert kept.credentials == load(it.config.path).shops[it.name].access_fingerprint()


async def test_a_reload_after_a_rotation_disturbs_nobody(tmp_path: Path) -> None:
    async with rotating(tmp_path, "selldone") as it:
        it.secret.write_text("rotated")
        it.change("rotated")
        await it.floor.commands.sync(it.name, 30)
        before = it.floor.supervisor.worker(it.name)
        with structlog.testing.capture_logs() as logs:
            await it.floor.supervisor.reload(load(it.config.path))
        assert it.floor.supervisor.worker(it.name) is before
        assert [entry["changed"] for entry in logs if entry["event"] == "config.reloaded"] == [()]


@pytest.mark.parametrize("content", ["", " ", "has a blank", "x" * 70_000, None])
async def test_a_file_that_holds_no_secret_changes_nothing(tmp_path: Path, content: str | None) -> None:
    async with rotating(tmp_path, "selldone") as it:
        if content is None:
            it.secret.unlink()
        else:
            it.secret.write_text(content)
        it.change("rotated")
        await it.submit()
        await it.floor.event("shop.access_denied")
        assert it.reported == []


async def test_calls_that_are_refused_at_the_same_time_read_the_file_once(tmp_path: Path) -> None:
    async with rotating(tmp_path, "selldone") as it:
        order = (await it.floor.orders())[0].id
        worker = it.floor.supervisor.worker(it.name)
        assert worker is not None
        it.secret.write_text("rotated")
        it.change("rotated")
        async with anyio.create_task_group() as group:
            for _ in range(8):
                group.start_soon(worker.reads.refresh, order)
        assert it.reported == [it.name]


# -- what counts as a change -------------------------------------------------------------------------------------------


def test_only_secrets_are_taken_over(tmp_path: Path) -> None:
    tree = {"platform": "selldone", "shop_id": 1, "token": {"file": "t"}, "base_url": {"file": "u"}}
    for name, text in (("t", "one"), ("u", "https://one.example")):
        (tmp_path / name).write_text(text)
    (tmp_path / "config.json").write_text(json.dumps({"shops": {"acme": tree}}))
    shop = load(tmp_path / "config.json").shops["acme"]
    assert reread(shop) is None
    (tmp_path / "t").write_text("two")
    fresh = reread(shop)
    assert fresh is not None
    assert fresh.options.model_dump()["token"].get_secret_value() == "two"
    assert reread(fresh) is None
    (tmp_path / "u").write_text("https://two.example")
    assert reread(shop) is None, "another address is for a reload"


def test_what_stands_in_no_file_is_not_looked_for(tmp_path: Path) -> None:
    tree = {"platform": "selldone", "shop_id": 1, "token": {"env": "TOKEN"}}
    (tmp_path / "config.json").write_text(json.dumps({"shops": {"acme": tree}}))
    shop = load(tmp_path / "config.json", {"TOKEN": "one"}).shops["acme"]
    assert shop.source is None
    assert reread(shop) is None


async def test_an_order_is_not_blocked_by_a_rotation(tmp_path: Path) -> None:
    async with rotating(tmp_path, "selldone") as it:
        it.change("rotated")
        it.secret.write_text("rotated")
        target = await it.submit("delivered")
        await it.floor.finished(target)
        order = (await it.floor.orders())[0]
        assert (order.situation, order.attempts) == (Situation.IDLE, 0)
