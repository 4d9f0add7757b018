"""Orders from before a shop was connected: what polls and webhooks leave out, on platforms that show dates."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orchestrator.runtime.reports import SyncReport
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from statemachines.target import Json
from storage.records import Shop, TargetStatus
from storage.shops import get_shop
from tests.support.platforms import SHOPS
from tests.support.shopfloor import Shopfloor, config_of, working_on

SINCE = "2024-03-01"
SINCE_MS = 1_709_251_200_000
DAY_MS = 86_400_000


@dataclass(slots=True)
class Scene:
    """One platform's shop that is polled for the first time when a test says so."""

    sandbox: Sandbox
    folder: Path
    platform: str

    @property
    def panel(self) -> Any:
        return getattr(self.sandbox, self.platform).panel

    @property
    def ids(self) -> list[str]:
        return list(getattr(self.sandbox, self.platform).order_ids())

    @asynccontextmanager
    async def working(self, **changes: Any) -> AsyncIterator[At]:
        config = config_of(self.sandbox, self.folder, changes, platform=self.platform)
        async with working_on(self.sandbox, config, self.folder) as floor:
            yield At(floor, SHOPS[self.platform], self)


@dataclass(slots=True)
class At:
    """The shop at work."""

    floor: Shopfloor
    shop: str
    scene: Scene

    async def sync(self) -> SyncReport:
        report = await self.floor.commands.sync(self.shop, 30)
        assert report is not None
        return report

    async def known(self) -> list[str]:
        return [order.id for order in await self.floor.orders()]

    async def row(self) -> Shop:
        found = await self.floor.store.read(lambda tx: get_shop(tx, self.shop))
        assert found is not None
        return found

    async def reload(self, **changes: Any) -> None:
        config = config_of(self.scene.sandbox, self.scene.folder, changes, platform=self.scene.platform)
        await self.floor.supervisor.reload(config)


@asynccontextmanager
async def scene(folder: Path, platform: str, orders: int = 3) -> AsyncIterator[Scene]:
    sandbox = Sandbox(SandboxSettings(orders=orders))
    async with sandbox.running():
        yield Scene(sandbox, folder, platform)


# -- with import_since -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("platform", SHOPS)
async def test_orders_made_before_are_left_out_and_counted_once(tmp_path: Path, platform: str) -> None:
    async with scene(tmp_path, platform) as stage:
        old, recent, new = stage.ids
        stage.panel.backdate(old, SINCE_MS - DAY_MS)
        stage.panel.backdate(recent, SINCE_MS + DAY_MS)
        async with stage.working(import_since=SINCE) as at:
            await at.sync()
            assert sorted(await at.known()) == sorted([recent, new])
            assert (await at.row()).skipped == 1
            again = await at.sync()
            assert (again.imported, again.skipped) == (0, 0), "it was counted"
            assert (await at.row()).skipped == 1
            assert at.floor.sandbox.ledger.calls(old, "read") == [], "its row says enough"
            assert await at.floor.events(order=old) == []


@pytest.mark.parametrize("platform", SHOPS)
async def test_one_that_is_asked_for_is_imported_and_followed(tmp_path: Path, platform: str) -> None:
    async with scene(tmp_path, platform, 2) as stage:
        old, _ = stage.ids
        stage.panel.backdate(old, SINCE_MS - DAY_MS)
        async with stage.working(import_since=SINCE) as at:
            await at.sync()
            await at.floor.commands.refresh(at.shop, old)
            assert old in await at.known()
            assert (await at.row()).skipped == 0, "it is left out no more"
            stage.panel.edit(old, "Somebody else")
            assert (await at.sync()).updated == 1
            assert (await at.floor.reach(old, "accepted", at.shop)).status is TargetStatus.REACHED


def goes_on(before: Json, after: Json) -> bool:
    """Whether a position is that one or a later one: a sync of the second in which rows changed stops short."""
    if not isinstance(before, dict) or not isinstance(after, dict):
        return bool(after == before or after > before)
    return before.keys() <= after.keys() and all(goes_on(before[name], after[name]) for name in before)


@pytest.mark.parametrize("platform", SHOPS)
async def test_an_earlier_import_since_finds_what_was_left_out(tmp_path: Path, platform: str) -> None:
    async with scene(tmp_path, platform) as stage:
        old, older, _ = stage.ids
        stage.panel.backdate(old, SINCE_MS - DAY_MS)
        stage.panel.backdate(older, SINCE_MS - 10 * DAY_MS)
        async with stage.working(import_since=SINCE) as at:
            await at.sync()
            assert (await at.row()).skipped == 2
            position = (await at.row()).sync_position
            await at.reload(import_since="2024-02-25T00:00:00+01:00")
            await at.sync()
            assert old in await at.known()
            assert older not in await at.known()
            assert (await at.row()).skipped == 1
            assert goes_on(position, (await at.row()).sync_position), "the sync goes on where it was"
            await at.reload()
            await at.sync()
            assert older in await at.known()
            assert (await at.row()).skipped == 0


async def test_looking_for_older_orders_reads_none_that_is_known(tmp_path: Path) -> None:
    async with scene(tmp_path, "shopify") as stage:
        old, known, _ = stage.ids
        stage.panel.backdate(old, SINCE_MS - DAY_MS)
        async with stage.working(import_since=SINCE) as at:
            await at.sync()
            await at.sync()
            reads = len(stage.sandbox.ledger.calls(known, "read"))
            await at.reload(import_since="2020-01-01")
            await at.sync()
            await at.sync()
            assert len(stage.sandbox.ledger.calls(known, "read")) == reads
            assert old in await at.known()


async def test_a_change_of_a_known_order_is_not_missed_while_older_ones_are_looked_for(tmp_path: Path) -> None:
    async with scene(tmp_path, "shopify") as stage:
        old, known, _ = stage.ids
        stage.panel.backdate(old, SINCE_MS - DAY_MS)
        async with stage.working(import_since=SINCE) as at:
            await at.sync()
            stage.panel.edit(known, "Somebody else")
            await at.reload(import_since="2020-01-01")
            await at.sync()
            assert len(await at.floor.events("order.updated", order=known)) == 1
            assert old in await at.known()


async def test_a_later_import_since_forgets_nothing(tmp_path: Path) -> None:
    async with scene(tmp_path, "selldone", 2) as stage:
        old, _ = stage.ids
        stage.panel.backdate(old, SINCE_MS - DAY_MS)
        async with stage.working() as at:
            await at.sync()
            assert len(await at.known()) == 2
            await at.reload(import_since=SINCE)
            stage.panel.edit(old, "Somebody else")
            await at.sync()
            assert len(await at.floor.events("order.updated", order=old)) == 1, "known orders are followed"
            assert (await at.row()).skipped == 0


async def test_a_shopify_order_that_was_brought_over_is_as_old_as_it_was_there(tmp_path: Path) -> None:
    async with scene(tmp_path, "shopify", 2) as stage:
        old, _ = stage.ids
        stage.panel.backdate(old, SINCE_MS - DAY_MS, is_brought_over=True)
        async with stage.working(import_since=SINCE) as at:
            await at.sync()
            assert old not in await at.known()


async def test_an_order_whose_time_is_unknown_is_imported(tmp_path: Path) -> None:
    async with scene(tmp_path, "selldone", 1) as stage:
        (order,) = stage.ids
        stage.panel.basket(order).fields["reserved_at"] = "once upon a time"
        async with stage.working(import_since=SINCE) as at:
            await at.sync()
            assert await at.known() == [order]


# -- without it --------------------------------------------------------------------------------------------------------


async def test_the_first_sync_of_a_shopify_shop_imports_what_is_open(tmp_path: Path) -> None:
    async with scene(tmp_path, "shopify", 4) as stage:
        archived, cancelled, old, new = stage.ids
        for order in (archived, cancelled, old):
            stage.panel.backdate(order, SINCE_MS)
        stage.panel.close(archived)
        stage.panel.cancel(cancelled)
        async with stage.working() as at:
            await at.sync()
            assert sorted(await at.known()) == sorted([old, new]), "an open order is imported, however old"
            assert (await at.row()).skipped == 2
            calls = stage.sandbox.ledger.calls
            assert [*calls(archived, "read"), *calls(cancelled, "read")] == []


async def test_the_first_sync_of_a_shopify_shop_begins_with_what_is_open(tmp_path: Path) -> None:
    async with scene(tmp_path, "shopify", 6) as stage:
        *archived, new = stage.ids
        for order in archived:
            stage.panel.backdate(order, SINCE_MS)
            stage.panel.close(order)
        async with stage.working(poll={"interval_seconds": 3600, "page_size": 1}) as at:
            await at.sync()
            calls = [call for call in stage.sandbox.ledger.calls() if call.step in ("list", "read")]
            assert [(call.step, call.order) for call in calls[:2]] == [("list", None), ("read", new)]
            assert await at.known() == [new]
            assert (await at.row()).skipped == len(archived)


async def test_a_touched_order_of_years_ago_is_no_new_order(tmp_path: Path) -> None:
    async with scene(tmp_path, "shopify", 2) as stage:
        archived, _ = stage.ids
        stage.panel.backdate(archived, SINCE_MS)
        stage.panel.close(archived)
        async with stage.working() as at:
            await at.sync()
            stage.panel.edit(archived, "Somebody else")
            report = await at.sync()
            assert (report.imported, report.skipped) == (0, 0)
            assert (await at.row()).skipped == 1
            assert await at.floor.events(order=archived) == []


async def test_an_order_that_is_opened_again_is_imported(tmp_path: Path) -> None:
    async with scene(tmp_path, "shopify", 2) as stage:
        archived, _ = stage.ids
        stage.panel.backdate(archived, SINCE_MS)
        stage.panel.close(archived)
        async with stage.working() as at:
            await at.sync()
            stage.panel.open(archived)
            assert (await at.sync()).imported == 1
            assert (await at.row()).skipped == 0


async def test_an_order_that_was_made_and_archived_since_is_a_new_order(tmp_path: Path) -> None:
    async with scene(tmp_path, "shopify", 1) as stage, stage.working() as at:
        await at.sync()
        sold_at_the_till = stage.panel.add()
        stage.panel.close(sold_at_the_till)
        await at.sync()
        assert sold_at_the_till in await at.known()


async def test_the_first_sync_of_a_selldone_shop_leaves_out_what_is_over(tmp_path: Path) -> None:
    async with scene(tmp_path, "selldone", 4) as stage:
        delivered, canceled, sent, _ = stage.ids
        stage.panel.move(delivered, "ToCustomer")
        stage.panel.cancel(canceled)
        stage.panel.move(sent, "SentOrder")
        async with stage.working() as at:
            await at.sync()
            assert len(await at.known()) == 2
            assert sent in await at.known()
            assert (await at.row()).skipped == 2


async def test_what_is_over_is_imported_with_an_import_since_before_it(tmp_path: Path) -> None:
    async with scene(tmp_path, "shopify", 2) as stage:
        archived, _ = stage.ids
        stage.panel.close(archived)
        async with stage.working(import_since=SINCE) as at:
            await at.sync()
            assert archived in await at.known()


# -- webhooks ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("platform", SHOPS)
async def test_a_hint_about_history_imports_nothing(tmp_path: Path, platform: str) -> None:
    async with scene(tmp_path, platform, 1) as stage:
        (old,) = stage.ids
        stage.panel.backdate(old, SINCE_MS - DAY_MS)
        async with stage.working(import_since=SINCE) as at:
            worker = at.floor.supervisor.worker(at.shop)
            assert worker is not None
            assert await worker.reads.follow(old, None) is None
            assert await at.known() == []
            assert (await at.row()).skipped == 1
