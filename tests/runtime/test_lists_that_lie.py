"""No platform's claim alone moves, ends or prolongs a sync: lists without an end, wrong counts, times of the future."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from orchestrator.decisions.refusals import Refused
from orchestrator.sandbox.server import Sandbox, SandboxSettings
from orchestrator.sandbox.xsale.shop import XsaleOptions
from storage.records import Shop
from storage.shops import get_shop, save_sync
from tests.support.lying_lists import CHANGED, Lie, Listed, LyingLists, lying_lists
from tests.support.platforms import SHOPS
from tests.support.shopfloor import Shopfloor, config_of, working_on

ORDERS = 5
PAGE = 2
every_platform = pytest.mark.parametrize("platform", sorted(SHOPS))
by_change_time = pytest.mark.parametrize("platform", sorted(CHANGED))


@dataclass(slots=True)
class Scene:
    sandbox: Sandbox
    folder: Path
    lists: LyingLists
    is_by_change: bool = True
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def platform(self) -> str:
        return self.lists.platform

    @property
    def shop(self) -> str:
        return SHOPS[self.platform]

    @property
    def ids(self) -> set[str]:
        return set(self.sandbox.platforms[self.platform].order_ids())

    def operate(self, action: str, **fields: Any) -> dict[str, Any]:
        return self.sandbox.platforms[self.platform].operate({"action": action, **fields})

    @asynccontextmanager
    async def working(self) -> AsyncIterator[Shopfloor]:
        changes: dict[str, Any] = {
            "base_url": self.lists.base_url,
            "poll": {"interval_seconds": 3600, "page_size": PAGE, "lookback_seconds": 120},
        }
        if self.platform == "xsale":
            changes["paging"] = "limit_offset"
        if self.platform == "cloudsuite" and self.is_by_change:
            changes["modified_filter"] = "modified_date__gte"
        config = config_of(self.sandbox, self.folder, {**changes, **self.options}, platform=self.platform)
        async with working_on(self.sandbox, config, self.folder) as floor:
            yield floor

    async def shop_of(self, floor: Shopfloor) -> Shop:
        found = await floor.store.read(lambda tx: get_shop(tx, self.shop))
        assert found is not None
        return found


@asynccontextmanager
async def scene(platform: str, folder: Path) -> AsyncIterator[Scene]:
    sandbox = Sandbox(SandboxSettings(orders=ORDERS, options={"xsale": XsaleOptions(paging="limit_offset")}))
    async with sandbox.running(), lying_lists(sandbox, platform) as lists:
        yield Scene(sandbox, folder, lists)


# -- lists without an end ----------------------------------------------------------------------------------------------


def endless(*, cursor: Callable[[int], str], pages: int) -> Callable[[], Lie]:
    """The first page again and again, in so many pieces, each of which says that more follows, at `cursor`."""

    def made() -> Lie:
        kept: list[Any] = []

        def lie(listed: Listed) -> Listed:
            kept.extend(listed.rows if not kept else ())
            return Listed(listed.number, kept[listed.number % pages :: pages], True, cursor(listed.number), 10_000)

        return lie

    return made


def no_rows(listed: Listed) -> Listed:
    return Listed(listed.number, [], True, f"cursor-{listed.number}", 10_000)


def nowhere(listed: Listed) -> Listed:
    return replace(listed, has_more=True, cursor=None, total=10_000)


def one_row(listed: Listed) -> Listed:
    return Listed(listed.number, listed.rows[:1], True, f"cursor-{listed.number}", 10_000)


ENDLESS: dict[str, Callable[[], Lie]] = {
    "the same cursor again": endless(cursor=lambda number: "cursor", pages=1),
    "two cursors alternately": endless(cursor=lambda number: f"cursor-{number % 2}", pages=2),
    "one page under ever new cursors": endless(cursor=lambda number: f"cursor-{number}", pages=1),
    "two pages under ever new cursors": endless(cursor=lambda number: f"cursor-{number}", pages=2),
    "empty pages": lambda: no_rows,
    "more, and not where": lambda: nowhere,
    "one row for ever": lambda: one_row,
}
NATURAL_END = {
    "the same cursor again",  # xSale has no cursors, and a page that shows nothing new ends its lists (xsale.md §3)
    "one page under ever new cursors",
    "empty pages",
    "more, and not where",
    "one row for ever",
}
CASES = [(p, lie) for p in sorted(SHOPS) for lie in ENDLESS if p != "xsale" or lie not in NATURAL_END]


@pytest.mark.parametrize(("platform", "name"), CASES)
async def test_a_list_without_an_end_fails_the_sync_and_costs_no_order(
    platform: str, name: str, tmp_path: Path
) -> None:
    async with scene(platform, tmp_path) as it:
        it.lists.lie = ENDLESS[name]()
        async with it.working() as floor:
            with pytest.raises(Refused) as refused:
                await floor.commands.sync(it.shop, 60)
            assert "the list of orders is not to be relied on" in refused.value.detail
            failed = await floor.event("sync.failed")
            assert failed[0].data["kind"] == "inconsistent"
            shop = await it.shop_of(floor)
            assert shop.last_sync_error == refused.value.detail
            assert shop.sync_position is None
            assert shop.last_sync_at is None
            it.lists.lie = None
            await floor.commands.sync(it.shop, 60)
            assert {order.id for order in await floor.orders()} == it.ids
            assert (await it.shop_of(floor)).last_sync_error is None


async def test_xsale_says_so_when_its_second_page_is_the_first_again(tmp_path: Path) -> None:
    async with scene("xsale", tmp_path) as it:
        it.lists.lie = ENDLESS["one page under ever new cursors"]()
        async with it.working() as floor:
            with pytest.raises(Refused) as refused:
                await floor.commands.sync(it.shop, 60)
            assert "its second page shows the 2 orders of the first again" in refused.value.detail


@pytest.mark.parametrize("platform", ["cloudsuite", "xsale"])
async def test_known_orders_are_read_though_the_list_is_no_use(platform: str, tmp_path: Path) -> None:
    async with scene(platform, tmp_path) as it:
        it.is_by_change = False  # so that each poll reads the open orders
        async with it.working() as floor:
            await floor.commands.sync(it.shop, 60)
        it.lists.lie = ENDLESS["two pages under ever new cursors"]()
        order = sorted(it.ids)[-1]
        it.operate("cancel", order=order)
        async with it.working() as floor:
            with pytest.raises(Refused):
                await floor.commands.sync(it.shop, 60)
            assert (await floor.order(order, it.shop)).milestone == "cancelled"


async def test_an_order_that_only_lists_show_is_not_looked_for_without_an_end(tmp_path: Path) -> None:
    async with scene("xsale", tmp_path) as it:
        it.options = {"single_get": False}
        async with it.working() as floor:
            await floor.commands.sync(it.shop, 60)
            it.lists.lie = ENDLESS["two pages under ever new cursors"]()
            with pytest.raises(Refused) as refused:
                await floor.commands.refresh(it.shop, sorted(it.ids)[-1])
            assert refused.value.slug == "platform-unreachable"
            assert "does not end" in refused.value.detail


# -- counts ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("platform", ["selldone", "cloudsuite"])
@pytest.mark.parametrize("total", [0, 1, 2, 3, None])
async def test_a_count_that_is_too_small_hides_no_order(platform: str, total: int | None, tmp_path: Path) -> None:
    async with scene(platform, tmp_path) as it:
        it.lists.lie = lambda listed: replace(listed, total=total)
        async with it.working() as floor:
            await floor.commands.sync(it.shop, 60)
            assert {order.id for order in await floor.orders()} == it.ids


@pytest.mark.parametrize("platform", ["selldone", "cloudsuite", "woocommerce"])
@pytest.mark.parametrize("grows_by", [0, 100])
async def test_a_count_that_the_list_does_not_show_moves_no_position(
    platform: str, grows_by: int, tmp_path: Path
) -> None:
    async with scene(platform, tmp_path) as it:
        it.lists.lie = lambda listed: replace(listed, total=50 + listed.number * grows_by)
        async with it.working() as floor:
            with pytest.raises(Refused) as refused:
                await floor.commands.sync(it.shop, 60)
            assert "it counts" in refused.value.detail
            assert {order.id for order in await floor.orders()} == it.ids, "what is shown is taken in"
            assert (await it.shop_of(floor)).sync_position is None


@every_platform
async def test_an_empty_list_where_there_were_orders_costs_none(platform: str, tmp_path: Path) -> None:
    async with scene(platform, tmp_path) as it, it.working() as floor:
        await floor.commands.sync(it.shop, 60)
        it.lists.lie = lambda listed: Listed(listed.number, [], total=0)
        await floor.commands.sync(it.shop, 60)
        assert {order.id for order in await floor.orders()} == it.ids
        added = it.operate("add")["order"]
        it.lists.lie = None
        await floor.commands.sync(it.shop, 60)
        assert (await floor.order(added, it.shop)).gone_at is None
        assert await floor.events("order.drifted") == []


# -- times -------------------------------------------------------------------------------------------------------------


def with_change_time(platform: str, at: datetime, *, of_all: bool = False) -> Lie:
    def lie(listed: Listed) -> Listed:
        for row in listed.rows if of_all else listed.rows[-1:]:
            naive = at.replace(tzinfo=None).isoformat(timespec="microseconds")
            row[CHANGED[platform]] = naive if platform == "cloudsuite" else f"{naive[:19]}Z"
        return listed

    return lie


HOURS_AHEAD, YEAR_2100 = timedelta(hours=5), timedelta(days=27_000)


@by_change_time
@pytest.mark.parametrize("ahead", [HOURS_AHEAD, YEAR_2100, timedelta(days=-15_000)])
@pytest.mark.parametrize("date", ["right", "none", "as wrong"])
async def test_a_change_time_of_another_time_hides_no_later_order(
    platform: str, ahead: timedelta, date: str, tmp_path: Path
) -> None:
    async with scene(platform, tmp_path) as it, it.working() as floor:
        wrong = datetime.now(UTC) + ahead
        it.lists.lie = with_change_time(platform, wrong)
        it.lists.date = {"right": None, "none": "", "as wrong": format_datetime(wrong, usegmt=True)}[date]
        await floor.commands.sync(it.shop, 60)
        added = it.operate("add")["order"]
        await floor.commands.sync(it.shop, 60)
        assert (await floor.order(added, it.shop)).id == added
        it.lists.lie = it.lists.date = None
        after = it.operate("add")["order"]
        await floor.commands.sync(it.shop, 60)
        assert (await floor.order(after, it.shop)).id == after


def position_at(platform: str, at: datetime) -> Any:
    ms = int(at.timestamp() * 1000)
    naive = at.replace(tzinfo=None).isoformat(timespec="microseconds")
    return {
        "selldone": {"updated_at": ms},
        "woocommerce": {"updated_at": ms},
        "cloudsuite": {"seen": {}, "since": naive},
        "shopify": {"latest": ms, "seen": {}},
    }[platform]


@by_change_time
@pytest.mark.parametrize("ahead", [HOURS_AHEAD, YEAR_2100])
async def test_a_position_that_was_kept_in_the_future_is_begun_anew(
    platform: str, ahead: timedelta, tmp_path: Path
) -> None:
    async with scene(platform, tmp_path) as it:
        async with it.working() as floor:
            await floor.commands.sync(it.shop, 60)
            position = position_at(platform, datetime.now(UTC) + ahead)
            await floor.store.write(lambda tx: save_sync(tx, it.shop, position, 1))
        added = it.operate("add")["order"]
        async with it.working() as floor:
            await floor.commands.sync(it.shop, 60)
            assert (await floor.order(added, it.shop)).id == added
            kept = json.dumps((await it.shop_of(floor)).sync_position)
            assert kept != json.dumps(position)
            bound = position_at(platform, datetime.now(UTC) + timedelta(hours=3))  # CloudSuite's zone is ahead of ours
            now = (await it.shop_of(floor)).sync_position
            key = next(name for name in ("updated_at", "since", "latest") if name in now)
            assert now[key] < bound[key]
